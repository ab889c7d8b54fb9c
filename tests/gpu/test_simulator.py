"""Host code and kernels in Numba's simulator, in a process of its own: NUMBA_ENABLE_CUDASIM=1 pytest tests/gpu/test_simulator.py."""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip("numba", reason="Numba is missing: pip install '.[gpucheck]'")
if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") in ("", "0"):
    pytest.skip("the simulator needs NUMBA_ENABLE_CUDASIM=1 and a process of its own", allow_module_level=True)

from kernel_cases import CASES, compare

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.backends import get_backend
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.utils.data import DataLoader


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_equals_the_reference(name: str) -> None:
    compare(get_backend("cuda"), name)


class LeNet(nn.Module):
    """LeNet's layers for images of 12 x 12."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 2, 5, padding=2), nn.Conv2d(2, 3, 3)
        self.fc1, self.fc2 = nn.Linear(12, 8), nn.Linear(8, 5)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def step(device: str, recorded: bool = False) -> list[np.ndarray]:
    """Train LeNet for three steps; return its parameters."""
    tg.manual_seed(0)
    model = LeNet().to(device)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    rng = np.random.default_rng(0)
    x, t = tg.tensor(rng.standard_normal((2, 1, 12, 12)).astype(np.float32)).to(device), tg.tensor([3, 1]).to(device)

    def once() -> tg.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    if recorded:
        tg.cuda.graph(once, warmup=2)()
    else:
        for _ in range(3):
            once()
    return [p.detach().cpu().numpy() for p in model.parameters()]


@pytest.mark.parametrize("recorded", [False, True])
def test_lenet_trains_as_on_the_cpu(recorded: bool) -> None:
    for got, wanted in zip(step("cuda", recorded), step("cpu")):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_replays_of_adam_and_dropout_equal_steps() -> None:
    def train(recorded: bool) -> tuple[list[list[float]], int]:
        tg.manual_seed(0)
        model, x = nn.Linear(6, 2).to("cuda"), tg.ones(4, 6, device="cuda")
        optimizer = tg.optim.Adam(model.parameters(), lr=0.1)

        def once() -> None:
            optimizer.zero_grad()
            F.dropout(model(x), 0.5).square().sum().backward()
            optimizer.step()

        once()
        again = tg.cuda.graph(once, warmup=0) if recorded else once
        for rate in (0.1, 0.2):
            optimizer.param_groups[0]["lr"] = rate
            again()
        return model.weight.cpu().tolist(), optimizer.state[model.weight]["step"]

    assert train(True) == train(False)


def test_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    driver, waited = get_backend("cuda").driver, []
    upload = driver.upload
    monkeypatch.setattr(driver, "upload", lambda at, host, wait: waited.append(wait) or upload(at, host, wait))
    plain = tg.arange(6.0).view(2, 3)
    assert not plain.is_pinned()
    x = plain.pin_memory()
    assert x.is_pinned()
    assert x.pin_memory() is x
    assert x[1:].t().is_pinned()
    assert not (x + 1).is_pinned()
    for source, non_blocking in ((x, True), (x, False), (x.t(), False)):
        assert source.to("cuda", non_blocking=non_blocking).cpu().tolist() == source.tolist()
    tg.zeros(2, 3, device="cuda").copy_(x, non_blocking=True)
    assert waited[:3] == [False, True, True]
    assert not waited[-1]
    with pytest.raises(RuntimeError, match="only tensors on the CPU can be pinned, got one on 'cuda'"):
        x.cuda().pin_memory()
    assert tg.empty(3, pin_memory=True).is_pinned()


def test_a_loader_pins_what_its_batches_hold() -> None:
    data = [{"image": tg.ones(2), "label": i, "name": "one"} for i in range(3)]
    for batch in DataLoader(data, 2, pin_memory=True):
        assert batch["image"].is_pinned()
        assert batch["label"].is_pinned()
        assert batch["name"][0] == "one"


def test_questions() -> None:
    assert tg.cuda.is_available()
    assert tg.cuda.device_count() == 1
    assert "simulator" in tg.cuda.get_device_name()
    x = tg.ones(1000, device="cuda")
    assert tg.cuda.memory_allocated() >= 4000
    start, end = tg.cuda.Event(enable_timing=True), tg.cuda.Event(enable_timing=True)
    start.record()
    y = x + 1
    end.record()
    tg.cuda.synchronize()
    assert start.elapsed_time(end) >= 0
    assert y.cpu().tolist() == [2.0] * 1000
