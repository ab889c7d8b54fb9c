"""weight_norm, spectral_norm and parametrizations: names, texts, values, gradients and what remains after removal."""

import copy

import numpy as np
import pytest

from .compare import same_in_both, tg, torch

MAKERS = {
    "weight_norm": lambda t: t.nn.utils.weight_norm(t.nn.Conv2d(3, 4, 3)),
    "weight_norm, whole": lambda t: t.nn.utils.weight_norm(t.nn.Linear(3, 2), dim=None),
    "weight_norm, dim 1": lambda t: t.nn.utils.weight_norm(t.nn.Linear(3, 2), dim=1),
    "spectral_norm": lambda t: t.nn.utils.spectral_norm(t.nn.Conv2d(3, 4, 3), n_power_iterations=2),
    "spectral_norm, transposed": lambda t: t.nn.utils.spectral_norm(t.nn.ConvTranspose2d(3, 4, 3)),
    "new weight_norm": lambda t: t.nn.utils.parametrizations.weight_norm(t.nn.Conv2d(3, 4, 3)),
    "new spectral_norm": lambda t: t.nn.utils.parametrizations.spectral_norm(t.nn.Conv2d(3, 4, 3)),
    "new spectral_norm, vector": lambda t: t.nn.utils.parametrizations.spectral_norm(t.nn.Linear(3, 2), "bias"),
    "two": lambda t: t.nn.utils.parametrizations.weight_norm(
        t.nn.utils.parametrizations.spectral_norm(t.nn.Linear(3, 2)), "bias", dim=None
    ),
}


def filled(t, module):
    """Return a module with given values."""
    module, random = module.double(), np.random.default_rng(0)
    with t.no_grad():
        for _, value in sorted(module.state_dict().items()):
            value.copy_(t.tensor(random.standard_normal(tuple(value.shape))))
            if value.dim() == 1:
                value.div_(value.norm())
    return module


def used(t, make):
    """Return what can be seen of a module in use."""
    module = filled(t, make(t))
    shape = (2, 3, 5, 5) if "Conv" in type(module).__name__ else (2, 3)
    x = t.tensor(np.random.default_rng(1).standard_normal(shape))
    arrays, texts = [], [repr(module), list(module.state_dict()), [n for n, _ in module.named_parameters()]]
    for _ in range(2):
        y = module(x)
        module.zero_grad()
        (y * y).sum().backward()
        arrays += [y, *(p.grad for p in module.parameters()), *module.buffers()]
    twin = copy.deepcopy(module.eval()) if "Parametrized" in type(module).__name__ else module.eval()
    arrays += [twin(x), *twin.buffers()]
    return texts, [a.detach().numpy().copy() for a in arrays]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MAKERS)
def test_weights_are_those_of_pytorch(name):
    (texts, arrays), (expected_texts, expected) = used(tg, MAKERS[name]), used(torch, MAKERS[name])
    assert texts == expected_texts
    for a, b in zip(arrays, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.filterwarnings("ignore")
@same_in_both
def test_removal_leaves_the_weight(t):
    results = []
    for name, remove in (("weight_norm", "remove_weight_norm"), ("spectral_norm", "remove_spectral_norm")):
        utils = t.nn.utils
        for add, take in (
            (getattr(utils, name), getattr(utils, remove)),
            (
                getattr(utils.parametrizations, name),
                lambda m: t.nn.utils.parametrize.remove_parametrizations(m, "weight"),
            ),
        ):
            module = filled(t, add(t.nn.Linear(3, 2))).eval()
            module(t.ones(1, 3, dtype=t.float64))
            before = module.weight.detach().clone()
            take(module)
            results += [before, module.weight, type(module).__name__, sorted(n for n, _ in module.named_parameters())]
            with pytest.raises(ValueError, match="weight"):
                take(module)
    return results


@same_in_both
def test_own_parametrizations(t):
    class Symmetric(t.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).transpose(-1, -2)

        def right_inverse(self, x):
            return x.triu()

    class Twice(t.nn.Module):
        def forward(self, x):
            return 2 * x

    parametrize = t.nn.utils.parametrize
    layer = filled(t, t.nn.Linear(3, 3))
    parametrize.register_parametrization(layer, "weight", Symmetric())
    layer.weight = t.arange(9.0, dtype=t.float64).view(3, 3)
    results = [layer.weight.clone(), layer.parametrizations.weight.original, parametrize.is_parametrized(layer)]
    parametrize.register_parametrization(layer, "weight", Twice())
    results += [layer.weight, repr(layer), parametrize.is_parametrized(layer, "bias")]
    with pytest.raises(RuntimeError):
        layer.weight = layer.weight  # Twice has no inverse
    for wrong in ("foo", "parametrizations"):
        with pytest.raises(ValueError, match=wrong):
            parametrize.register_parametrization(layer, wrong, Twice())
    with pytest.raises(ValueError, match="shape"):
        parametrize.register_parametrization(layer, "bias", t.nn.Linear(3, 1).double())
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    return [*results, layer.weight, repr(layer)]
