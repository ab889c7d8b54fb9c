"""nn.utils.prune: masks by value, by norm, over several layers, of one's own, one after the other; removal."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from .compare import same_in_both


def net_and_prune(t):
    """Return a network whose parameters have known values, and the module of pruning."""
    net = t.nn.Sequential(t.nn.Conv2d(1, 6, 3), t.nn.ReLU(), t.nn.Conv2d(6, 4, 3), t.nn.Flatten(), t.nn.Linear(16, 3))
    rng = np.random.default_rng(0)
    with t.no_grad():
        for parameter in net.parameters():
            parameter.copy_(t.from_numpy(rng.normal(size=tuple(parameter.shape))))
    return net, import_module(f"{t.__name__}.nn.utils.prune")


def state(net):
    """Return names and values, of buffers too."""
    return [(name, value.tolist()) for name, value in net.state_dict().items()]


@same_in_both
def test_one_after_the_other(t):
    net, prune = net_and_prune(t)
    conv, seen = net[0], []
    prune.l1_unstructured(conv, name="bias", amount=3)
    for change in (
        lambda: prune.l1_unstructured(conv, "weight", 0.3),
        lambda: prune.ln_structured(conv, name="weight", amount=0.5, n=2, dim=0),
        lambda: prune.l1_unstructured(conv, "weight", 0.5, importance_scores=-conv.weight_orig.detach()),
        lambda: prune.ln_structured(net[4], "weight", 5, n=1, dim=1),
    ):
        change()
        seen.append([state(net), conv.weight.tolist(), len(conv._forward_pre_hooks)])
    net(t.ones(2, 1, 6, 6)).sum().backward()
    seen += [conv.weight_orig.grad.tolist(), prune.is_pruned(net), prune.is_pruned(net[2])]
    with t.no_grad():
        conv.weight_orig.mul_(2)
    seen.append(net(t.ones(2, 1, 6, 6)).tolist())
    prune.remove(conv, "weight")
    return [
        *seen,
        state(net),
        isinstance(conv.weight, t.nn.Parameter),
        prune.is_pruned(net),
        len(conv._forward_pre_hooks),
    ]


@same_in_both
def test_several_layers(t):
    net, prune = net_and_prune(t)
    places = [(net[0], "weight"), (net[2], "weight"), (net[4], "bias")]
    seen = []
    for amount in (0.2, 10):
        prune.global_unstructured(places, pruning_method=prune.L1Unstructured, amount=amount)
        seen.append(state(net))
    with pytest.raises(TypeError):
        prune.global_unstructured(places, prune.LnStructured, amount=1, n=2)
    return seen


@same_in_both
def test_methods_of_ones_own_and_random_ones(t):
    net, prune = net_and_prune(t)

    class EverySecond(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    EverySecond.apply(net[4], "bias")
    prune.custom_from_mask(net[2], "bias", t.tensor([1, 0, 0, 1]))
    prune.identity(net[4], "weight")
    seen = state(net)
    prune.random_unstructured(net[0], "weight", 0.5)
    prune.random_structured(net[2], "weight", amount=3, dim=0)
    counts = int((net[0].weight_mask == 0).sum()), int((net[2].weight_mask.sum((1, 2, 3)) == 0).sum())
    return seen, counts, prune.L1Unstructured(0.5).prune(t.tensor([[1.0, -3.0], [2.0, 0.5]])).tolist()


@same_in_both
def test_what_is_refused(t):
    net, prune = net_and_prune(t)
    errors = []
    for wrong in (
        lambda: prune.l1_unstructured(net[0], "weight", 1.5),
        lambda: prune.l1_unstructured(net[0], "weight", -1),
        lambda: prune.l1_unstructured(net[0], "bias", 1000),
        lambda: prune.l1_unstructured(net[0], "weight", "all"),
        lambda: prune.remove(net[4], "weight"),
    ):
        with pytest.raises((ValueError, TypeError)) as error:
            wrong()
        errors.append(error.type)
    return errors
