"""The same cases on a real GPU, and larger ones: pytest -m gpu (skipped where there is none)."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.backends import cuda as status
from tinygrad_cnn.nn import functional as F

pytestmark = pytest.mark.gpu
missing = "the simulator is no GPU" if status.is_simulated() else status.reason()
if missing:
    pytest.skip(f"no GPU: {missing}", allow_module_level=True)

from kernel_cases import CASES, compare  # noqa: E402


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_equals_the_reference(name: str) -> None:
    compare(tg.backends.get_backend("cuda"), name)


@pytest.mark.parametrize("shape", [(1024, 1024, 1024), (4096, 1000, 33), (1, 4096, 4096)])
def test_large_products(shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    x, y = tg.randn(m, k, dtype=tg.float64), tg.randn(k, n, dtype=tg.float64)
    got = (x.float().cuda() @ y.float().cuda()).cpu().double()
    assert float((got - x @ y).norm() / (x @ y).norm()) < 1e-5


@pytest.mark.parametrize(
    ("channels", "outputs", "size", "stride"), [(64, 128, 56, 1), (3, 64, 224, 2), (256, 256, 14, 1)]
)
def test_large_convolutions(channels: int, outputs: int, size: int, stride: int) -> None:
    def run(device: str, dtype: tg.dtype) -> list[np.ndarray]:
        tg.manual_seed(0)
        x = tg.randn(4, channels, size, size).to(device, dtype).requires_grad_()
        w = tg.randn(outputs, channels, 3, 3).to(device, dtype).requires_grad_()
        y = F.conv2d(x, w, stride=stride, padding=1)
        y.square().mean().backward()
        return [t.detach().cpu().double().numpy() for t in (y, x.grad, w.grad)]

    for got, wanted in zip(run("cuda", tg.float32), run("cpu", tg.float64)):
        assert np.linalg.norm(got - wanted) / np.linalg.norm(wanted) < 1e-5


def test_results_are_the_same_in_every_run() -> None:
    x = tg.randn(1 << 20, device="cuda")
    assert len({x.sum().item() for _ in range(10)}) == 1


def test_copies_that_do_not_wait() -> None:
    batches = [tg.full((1 << 20,), float(i)).pin_memory() for i in range(8)]
    moved = [batch.to("cuda", non_blocking=True) for batch in batches]
    assert [float(t.mean()) for t in moved] == list(range(8))


@pytest.mark.parametrize("optimizer_class", [tg.optim.SGD, tg.optim.Adam])
def test_a_recorded_step_equals_steps(optimizer_class: type[tg.optim.Optimizer]) -> None:
    def train(recorded: bool) -> list[np.ndarray]:
        tg.manual_seed(0)
        model = tg.models.lenet5().to("cuda")
        optimizer = optimizer_class(model.parameters(), lr=0.01)
        x, t = tg.randn(64, 1, 28, 28, device="cuda"), tg.randint(0, 10, (64,)).to("cuda")

        def step() -> tg.Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(F.dropout(model(x), 0.2), t)
            loss.backward()
            optimizer.step()
            return loss

        if recorded:
            graph = tg.cuda.graph(step, warmup=2)
            for _ in range(8):
                graph()
        else:
            for _ in range(10):
                step()
        return [p.detach().cpu().numpy() for p in model.parameters()]

    for got, wanted in zip(train(True), train(False)):
        np.testing.assert_array_equal(got, wanted)
