"""Every row of the table of kernels as compiled PTX in the interpreter: results, memory traffic, planted faults."""

import inspect
import re
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest

pytest.importorskip("numba", reason="Numba's compiler is missing: pip install '.[gpucheck]'")

import interpreter
from interpreter import InterpreterDriver, compile_ptx
from kernel_cases import CASES, compare, floats
from ptx_machine import Traffic
from ptx_parser import PtxError, parse
from report import COSTS

import tinygrad_cnn as tg
from tinygrad_cnn import backends, nn
from tinygrad_cnn.backends.base import Backend, kernel_names
from tinygrad_cnn.backends.cuda import dlpack, layers
from tinygrad_cnn.backends.cuda._numba import cuda
from tinygrad_cnn.backends.cuda.graph import Graph
from tinygrad_cnn.backends.cuda.kernels.common import I32
from tinygrad_cnn.backends.cuda.launch import SPECS, Spec, pointer
from tinygrad_cnn.backends.cuda.layers import CudaBackend
from tinygrad_cnn.nn import functional as F


def check_traffic(spec: Spec, traffic: Traffic) -> None:
    """Compare with the limits of the table."""
    for kind, found, limit in zip(("load", "store"), traffic.sectors_per_request(), spec.sectors):
        assert found <= limit, f"{spec.name}: {found:.2f} sectors per {kind} of a warp, at most {limit}"
    assert traffic.conflicts() <= spec.conflicts, (
        f"{spec.name}: bank conflicts, {traffic.conflicts():.2f} turns for one"
    )


def test_every_kernel_has_a_case_and_a_row_in_the_documents() -> None:
    assert set(CASES) == set(SPECS) == set(COSTS)


@pytest.mark.parametrize("name", kernel_names())
def test_the_backend_has_the_kernels_of_the_contract(name: str) -> None:
    ours, contract = (inspect.signature(getattr(cls, name)).parameters for cls in (CudaBackend, Backend))
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in contract.values()]
    assert not getattr(getattr(CudaBackend, name), "is_kernel", False)


@pytest.mark.parametrize("name", SPECS)
def test_a_kernel_equals_the_reference(name: str) -> None:
    driver = InterpreterDriver(counts=True)
    compare(CudaBackend(driver), name)
    assert name in driver.launches
    check_traffic(SPECS[name], driver.traffic[name])


def transposing(pitch: int, coalesced: bool) -> Spec:
    """Return a kernel that transposes a tile of 32 x 32 by shared memory of some pitch, or reads it down the columns."""

    def make() -> Callable[..., None]:
        def transpose(y: pointer(np.float32), x: pointer(np.float32)) -> None:
            tile = cuda.shared.array(32 * 33, np.float32)
            row, column = I32(cuda.threadIdx.x >> 5), I32(cuda.threadIdx.x & 31)
            tile[I32(row * pitch + column)] = x[I32(row * 32 + column) if coalesced else I32(column * 32 + row)]
            cuda.syncthreads()
            y[I32(row * 32 + column)] = tile[I32(column * pitch + row) if coalesced else I32(row * pitch + column)]

        return transpose

    return Spec("transpose", make, 1024, 32, (4, 4), {})


@pytest.mark.parametrize(
    ("pitch", "coalesced", "wrong"),
    [(33, True, None), (33, False, "32.00 sectors per load of a warp, at most 4"), (32, True, "bank conflicts, 16.50")],
)
def test_limits_of_traffic(pitch: int, coalesced: bool, wrong: str | None) -> None:
    driver, row = InterpreterDriver(counts=True), transposing(pitch, coalesced)
    backend, x = CudaBackend(driver), floats(np.random.default_rng(0), 32, 32)
    y = backend.empty((32, 32), x.dtype)
    backend.launch(row, 1024, [y, backend.from_numpy(x)])
    np.testing.assert_array_equal(backend.to_numpy(y), x.T)
    with pytest.raises(AssertionError, match=wrong) if wrong else nullcontext():
        check_traffic(row, driver.traffic["transpose"])


@pytest.mark.parametrize("name", ["matmul", "conv2d", "conv2d_input_grad", "conv2d_weight_grad"])
def test_large_tiles(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "BUSY", 0)
    monkeypatch.setattr(layers, "LARGE", layers.matmul.Tile(128))
    monkeypatch.setattr(layers, "SMALL", layers.matmul.Tile(128))
    compare(CudaBackend(InterpreterDriver()), name)


@pytest.mark.parametrize(
    ("name", "pattern", "replacement", "fault"),
    [
        ("reduce_by_block", r"bar\.sync\s+0;", "", "race|read before"),
        ("matmul", r"bar\.sync\s+0;", "", "race|read before"),
        ("flat", r"@%p1 bra", "@!%p1 bra", "out-of-bounds"),
        ("softmax", r"(mul\.wide\.s32\s+%rd\d+, %r\d+, )4;", r"\g<1>8;", "out-of-bounds|outside|Mismatch"),
        ("im2col", r"setp\.lt\.s32", "setp.ge.s32", "out-of-bounds|outside|differ|not equal|Mismatch"),
    ],
)
def test_a_planted_fault_is_seen(
    name: str, pattern: str, replacement: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Remove a barrier, turn a bounds test round, change a step: the interpreter or the comparison must fail."""

    def damaged(kernel: object) -> object:
        ptx = compile_ptx(kernel)
        return parse(re.sub(pattern, replacement, ptx, count=1) if kernel.name == name else ptx, kernel.name)

    monkeypatch.setattr(interpreter, "entry", damaged)
    with pytest.raises((PtxError, AssertionError), match=fault):
        compare(CudaBackend(InterpreterDriver()), name)


# ---- host code ----


@pytest.fixture
def driver() -> InterpreterDriver:
    driver = InterpreterDriver()
    backends.register("cuda", lambda: CudaBackend(driver))
    yield driver
    backends.register("cuda", backends._cuda)


def net() -> nn.Sequential:
    tg.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(48, 5),
    )


def batch() -> tuple[tg.Tensor, tg.Tensor]:
    rng = np.random.default_rng(0)
    return tg.tensor(floats(rng, 4, 1, 8, 8)), tg.tensor([0, 3, 1, 4])


def trained(device: str, steps: int, adam: bool = False) -> list[np.ndarray]:
    model = net().to(device)
    optimizer = (
        tg.optim.Adam(model.parameters(), lr=0.01)
        if adam
        else tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    )
    x, t = (v.to(device) for v in batch())
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), t).backward()
        optimizer.step()
    return [v.cpu().numpy() for v in model.state_dict().values()]


@pytest.mark.parametrize("adam", [False, True])
def test_a_network_trains_as_on_the_cpu(driver: InterpreterDriver, adam: bool) -> None:
    for got, wanted in zip(trained("cuda", 2, adam), trained("cpu", 2, adam)):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


def test_a_recorded_step_equals_steps(driver: InterpreterDriver) -> None:
    model = net().to("cuda")
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, t = (v.to("cuda") for v in batch())

    def step() -> tg.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    recorded = Graph(backends.get_backend("cuda"), step, warmup=2)
    replayed = [recorded.replay().item() for _ in range(2)]
    plain = net().to("cuda")
    optimizer = tg.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = F.cross_entropy(plain(x), t)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(replayed, losses[2:], rtol=1e-5)
    for got, wanted in zip(model.parameters(), plain.parameters()):
        np.testing.assert_allclose(got.cpu().detach().numpy(), wanted.cpu().detach().numpy(), rtol=1e-5, atol=1e-6)


OPTIMIZERS = {
    "SGD": lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: tg.optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW": lambda p: tg.optim.AdamW(p, lr=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_replays_count_steps_follow_rates_and_draw_new_masks(driver: InterpreterDriver, name: str) -> None:
    def train(recorded: bool) -> list[object]:
        tg.manual_seed(5)
        w = tg.linspace(-1, 1, 40).view(4, 10).to("cuda").requires_grad_()
        optimizer, x = OPTIMIZERS[name]([w]), tg.ones(8, 10, device="cuda")
        schedule = tg.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)

        def step() -> tg.Tensor:
            optimizer.zero_grad()
            loss = (F.dropout(x, 0.5) @ w.t() + tg.rand(8, 4, device="cuda")).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        seen = []
        run = Graph(backends.get_backend("cuda"), step, warmup=1) if recorded else step
        seen += [] if recorded else [step()]
        for _ in range(4):
            seen.append(run().item())
            schedule.step()
            seen.append(tg.rand(1).item())  # others may draw between the steps
        state = optimizer.state_dict()["state"][0]
        return [*seen[-8:], w.cpu().tolist(), state.get("step"), tg.random.default_generator.get_state().tolist()]

    assert train(True) == train(False)


def test_what_a_recorded_step_refuses(driver: InterpreterDriver) -> None:
    backend = backends.get_backend("cuda")
    x = tg.ones(3, device="cuda")
    w = tg.ones(3, device="cuda", requires_grad=True)
    w.sum().backward()
    optimizer = tg.optim.RMSprop([w])
    for step, what in (
        (lambda: x.sum().item(), "reading numbers"), (lambda: tg.ones(2).cuda(), "a copy from the host"),
        (optimizer.step, "RMSprop, whose numbers are computed on the host,"),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=f"cuda.graph: {what}"):
            Graph(backend, step, warmup=0)
    assert x.sum().item() == 3  # afterwards all is as before
    optimizer.step()


def test_memory_is_reused(driver: InterpreterDriver) -> None:
    pool = backends.get_backend("cuda").pool
    trained("cuda", 2)
    reserved = pool.reserved
    trained("cuda", 4)
    assert pool.reserved <= reserved + 4096  # tables of chunks for the new parameters
    assert pool.allocated < reserved
    pool.empty()
    assert pool.reserved < reserved


def test_a_wrong_class_is_reported_when_numbers_are_read(driver: InterpreterDriver) -> None:
    loss = F.cross_entropy(tg.zeros(2, 3, device="cuda"), tg.tensor([0, 5]).cuda())
    with pytest.raises(IndexError, match="cross_entropy: 5 is out of range"):
        loss.item()
    assert tg.ones(2, device="cuda").sum().item() == 2


def test_errors_name_both_devices(driver: InterpreterDriver) -> None:
    with pytest.raises(RuntimeError, match=r"cuda.*cpu|cpu.*cuda"):
        tg.ones(2, device="cuda") + tg.ones(2)
    with pytest.raises(TypeError, match="GPU"):
        tg.ones(2, device="cuda").numpy()
    with pytest.raises(RuntimeError, match="cuda:1"):
        tg.ones(2, device="cuda:1")


def test_the_array_interface(driver: InterpreterDriver) -> None:
    x = tg.ones(2, 3, device="cuda").t()
    interface = x.__cuda_array_interface__
    assert interface["shape"] == (3, 2)
    assert interface["strides"] == (4, 12)
    assert interface["typestr"] == "<f4"
    assert not hasattr(tg.ones(2), "__cuda_array_interface__")


def test_dlpack_shares_memory(driver: InterpreterDriver) -> None:
    x = tg.arange(6.0, device="cuda").view(2, 3)
    y = tg.from_dlpack(x.t())
    assert y.device.type == "cuda"
    assert y.cpu().tolist() == x.cpu().t().tolist()
    x.add_(1)
    assert y.cpu().tolist() == x.cpu().t().tolist()
    capsule = x.__dlpack__()
    assert len(dlpack._lent) == 2
    del capsule, y
    assert not dlpack._lent
    capsule = tg.zeros(2, dtype=tg.bool, device="cuda").__dlpack__()
    assert dlpack.adopt(capsule).dtype == bool
    with pytest.raises(ValueError, match="used before"):
        dlpack.adopt(capsule)
    assert not dlpack._lent


def test_masks_and_normal_numbers_are_those_of_the_cpu(driver: InterpreterDriver) -> None:
    for draw in (lambda d: F.dropout(tg.ones(50, device=d), 0.4), lambda d: tg.randn(7, device=d)):
        tg.manual_seed(3)
        wanted = draw("cpu")
        tg.manual_seed(3)
        np.testing.assert_allclose(draw("cuda").cpu().numpy(), wanted.numpy(), rtol=1e-6)
