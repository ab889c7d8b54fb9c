"""What programs touch besides operations: creation in all its spellings, constants, switches, dotted paths, older names."""

import importlib

import numpy as np
import pytest

from .compare import Const, agree_or_both_reject, check_all, normal, rows, same_in_both, tg, torch

CREATION = rows("""
    t.zeros(2, 3, layout=t.strided, pin_memory=False)
    t.empty(2, 3, memory_format=t.contiguous_format).shape
    t.zeros_like(x, memory_format=t.preserve_format)
    t.ones_like(x, dtype=t.int32, layout=t.strided)
    t.full_like(x, 3, dtype=t.int64)
    t.empty_like(x).shape, t.rand_like(x).shape, t.randint_like(x, 5).shape
    t.full((2, 3), 1.5, out=t.empty(0))
    t.zeros(2, out=t.ones(2))
    t.arange(3, out=t.empty(0, dtype=t.int64))
    t.arange(1, 2, 0.25), t.arange(5.0), t.arange(2, 5, dtype=t.float32), t.arange(5, 1, -2)
    t.linspace(0, 1, 5), t.linspace(1, 5, steps=3), t.linspace(0, 10, 4, dtype=t.int64), t.linspace(2, 3, 1), t.linspace(0, 1, 0)
    t.logspace(0, 2, 3), t.logspace(0, 3, steps=4, base=2.0), t.logspace(1, -1, 3, dtype=t.float64)
    t.eye(3), t.eye(2, 3), t.eye(2, dtype=t.int64), t.eye(0)
    t.tensor([1, 2], pin_memory=False)
    t.asarray([1, 2]), t.asarray(x, dtype=t.float32), t.asarray(np.ones(2)), t.asarray(3.0), t.asarray([1.0], requires_grad=True)
    t.as_tensor(x) is x, t.as_tensor([1]), t.from_numpy(np.arange(3))
    t.frombuffer(bytearray(b"abcd"), dtype=t.uint8), t.frombuffer(bytearray(8), dtype=t.float32, count=1, offset=4)
    t.scalar_tensor(2), t.scalar_tensor(2, dtype=t.int64)
    t.from_dlpack(np.arange(3.0)), t.from_dlpack(x.detach())
    t.normal(0.0, 1.0, (2, 3)).shape, t.normal(x).shape, t.normal(x, 2.0).dtype, t.normal(0.0, x.abs()).shape, t.normal(x, x.abs()).shape
    t.normal(x, t.zeros_like(x))
    t.normal(0.0, -1.0, (2,))
    t.bernoulli(t.ones(3)), t.bernoulli(t.zeros(2, 2)), t.ones(3).bernoulli(0.0), t.zeros(3, dtype=t.int64).bernoulli_(1.0)
    t.bernoulli(x + 5)
    t.multinomial(t.tensor([0.0, 1.0, 0.0]), 4, replacement=True), t.multinomial(t.tensor([[0.0, 1.0], [3.0, 0.0]]), 1)
    t.multinomial(t.tensor([1.0, 2.0, 3.0]), 3).sort()[0], t.multinomial(t.ones(2, 5), 5).sort(1)[0]
    t.multinomial(t.tensor([1.0, 0.0]), 2)
    t.multinomial(t.tensor([1.0, -1.0]), 1)
    t.randperm(5).sort()[0], t.randint(3, 4, (2, 2)), t.randint(1, (3,)), t.rand(2, 3).shape, t.randn((2,)).dtype
    x.new_zeros(2), x.new_ones((2, 3)), x.new_full((2,), 7), x.new_tensor([1, 2]), x.new_empty(2, 0), x.new_zeros(2, dtype=t.int8)
    x.new_zeros(2, layout=t.strided)
    t.zeros(3).random_(1), t.zeros(3, dtype=t.int64).random_(5, 6), t.zeros(2, dtype=t.bool).random_(1)
    t.zeros(3).random_(3, 3)
    (t.zeros(5).exponential_() >= 0).all(), (t.zeros(5).log_normal_() > 0).all(), t.zeros(3).uniform_(2, 2)
    t.zeros(3, dtype=t.int64).exponential_()
    t.zeros(3).exponential_(-1)
""")
FACTS = rows("""
    t.is_tensor(x), t.is_tensor(1), t.is_floating_point(x), t.is_complex(x), t.is_nonzero(t.ones(1)), t.numel(x), t.is_storage(x)
    t.is_same_size(x, x), x.is_same_size(x[0]), x.is_signed(), t.is_signed(t.ones(1, dtype=t.uint8)), x.ndimension(), x.nelement()
    x.is_cpu, x.is_cuda, x.is_sparse, x.is_quantized, x.is_meta, x.get_device(), x.is_pinned(), x.is_inference(), x.element_size(), x.nbytes
    x[1:, 2:].storage_offset(), x[1].storage_offset(), x.storage_offset(), x.stride(), x.stride(0)
    t.inf, t.nan != t.nan, t.pi, t.e, t.newaxis
    x.type(), t.zeros(1, dtype=t.int64).type(), t.zeros(1, dtype=t.bool).type(), t.zeros(1, dtype=t.uint8).type(), t.zeros(1, dtype=t.float64).type()
    x.type("torch.FloatTensor"), x.type(t.LongTensor), x.type(t.int32), x.type(dtype=t.float64)
    t.FloatTensor([1, 2]), t.LongTensor([[1, 2]]), t.FloatTensor(2, 3).shape, t.ByteTensor([1]), t.BoolTensor([True]), t.DoubleTensor([1.5]), t.IntTensor([1]), t.ShortTensor([1]), t.CharTensor([1])
    isinstance(x, t.DoubleTensor), isinstance(x, t.FloatTensor), isinstance(x.long(), t.LongTensor)
    t.result_type(x, 1), t.result_type(t.ones(1, dtype=t.int32), 1.5), t.result_type(1, 2), t.can_cast(t.float32, t.int32), t.promote_types(t.int8, t.uint8)
    t.finfo(t.float32).eps, t.finfo(t.float64).max, t.iinfo(t.int32).min, t.iinfo(t.uint8).max, t.finfo(t.float32).bits
    t.Size([2, 3]).numel(), t.Size([2, 3])[0], t.Size((1, 2)) + (3,), x.shape[1:], x.size(-1), len(x.size())
    t.cuda.is_available(), t.cuda.device_count(), t.cuda.is_initialized(), t.cuda.max_memory_allocated(), t.cuda.empty_cache()
    t.backends.mps.is_available(), t.backends.mps.is_built(), t.backends.cuda.is_built(), t.version.cuda, t.accelerator.is_available()
    t.get_default_dtype(), t.get_default_device(), t.are_deterministic_algorithms_enabled() in (True, False), t.get_float32_matmul_precision()
    t.device("cpu"), t.device("cuda", 1), t.device("cuda:0").index, t.device(type="cpu").type, str(t.device("cpu"))
    x.to("cpu"), x.to(t.float32, non_blocking=True), x.to(device="cpu", dtype=t.int64, copy=True), x.cpu(), x.to(x.float()), x.contiguous(memory_format=t.contiguous_format)
    x.clone(memory_format=t.preserve_format), x.double() is x, x.float().dtype, x.long(), x.bool(), x.int(), x.short(), x.char(), x.byte()
    x.tolist(), x[0, 0].item(), x.detach().numpy(), np.asarray(x.detach()), x.sum().item()
    (x > 0) & (x < 1), (x > 0) | (x < -1), ~(x > 0), x.long() << 1, x.long() >> 1, +x, -x, abs(x), x.long() ^ 3, 2 ** x, 7 // (x.abs() + 1).long(), x.long() % 3
    x is x, (x == x).all().item(), x in [x], 1.5 in t.tensor([1.5]), len(x), bool(t.tensor([True])), int(t.tensor(3.7)), float(t.tensor(2))
    t.typename([]), t.typename(1.0), t.typename(x)
    t.set_num_threads(t.get_num_threads()), t.manual_seed(0).initial_seed(), t.initial_seed(), t.Generator().manual_seed(3).initial_seed()
""")


@pytest.mark.parametrize("code", CREATION + FACTS)
def test_values(code):
    agree_or_both_reject(code, x=Const(normal(3, 4)))


@pytest.mark.parametrize("code", rows("""
    t.use_deterministic_algorithms(True), t.are_deterministic_algorithms_enabled()
    t.set_float32_matmul_precision("high"), t.get_float32_matmul_precision(), t.set_float32_matmul_precision("highest")
    t.set_default_device("cpu"), t.set_default_device(None)
    t.set_default_tensor_type("torch.DoubleTensor"), t.ones(1).dtype, t.set_default_tensor_type(t.FloatTensor)
    setattr(t.backends.cudnn, "benchmark", True), setattr(t.backends.cudnn, "deterministic", True), setattr(t.backends.cudnn, "enabled", False), setattr(t.backends.cudnn, "enabled", True)
    setattr(t.backends.cuda.matmul, "allow_tf32", True)
    t.get_num_interop_threads() > 0
    t.get_rng_state().dtype
"""))  # fmt: skip
def test_switches(code):
    agree_or_both_reject(code)
    torch.use_deterministic_algorithms(False)


@same_in_both
def test_forked_random_numbers(t):
    t.manual_seed(1)
    with t.random.fork_rng(devices=[]):
        t.rand(3)
    first = t.rand(3)
    t.manual_seed(1)
    state = t.get_rng_state()
    again = t.rand(3)
    t.set_rng_state(state)
    return t.equal(first, again), t.equal(again, t.rand(3))


@same_in_both
def test_mixed_precision_switched_off(t):
    model = t.nn.Linear(2, 1)
    with t.no_grad():
        model.weight.fill_(1), model.bias.fill_(0)
    optimizer, scaler = t.optim.SGD(model.parameters(), lr=0.1), t.amp.GradScaler("cuda", enabled=False)
    with t.autocast("cpu", enabled=False), t.amp.autocast("cpu", enabled=False):
        loss = model(t.ones(3, 2)).sum()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    return model.weight, loss, scaler.get_scale(), scaler.is_enabled()


@same_in_both
def test_data_parallel(t):
    model = t.nn.DataParallel(t.nn.Linear(2, 2))
    with t.no_grad():
        model.module.weight.fill_(1), model.module.bias.fill_(0)
    return list(model.state_dict()), model(t.ones(1, 2)), t.nn.parallel.DataParallel is t.nn.DataParallel


@pytest.mark.parametrize("options", [
    {"precision": 2}, {"sci_mode": True}, {"sci_mode": False}, {"edgeitems": 1, "threshold": 5}, {"linewidth": 40},
    {"profile": "short"}, {"profile": "full"}, {"precision": 8, "linewidth": 120},
], ids=str)  # fmt: skip
def test_printing(options):
    texts = []
    for t in (tg, torch):
        t.set_printoptions(**options)
        try:
            values = [t.from_numpy(x).float() for x in (normal(3, 4), normal(9) * 1e6, np.arange(12.0).reshape(3, 4))]
            texts.append([str(x) for x in values])
        finally:
            t.set_printoptions(profile="default")
    assert texts[0] == texts[1]


def test_random_numbers_have_their_distribution():
    tg.manual_seed(0)
    assert abs(tg.zeros(20000).exponential_(2.0).mean().item() - 0.5) < 0.02
    counts = tg.bincount(tg.multinomial(tg.tensor([1.0, 3.0]), 20000, replacement=True))
    assert abs(counts[1].item() / 20000 - 0.75) < 0.02
    first = tg.stack([tg.multinomial(tg.tensor([1.0, 3.0]), 2)[0] for _ in range(4000)])
    assert abs(first.float().mean().item() - 0.75) < 0.04
    assert abs(tg.zeros(20000).random_(10).mean().item() - 4.5) < 0.1


def test_absent_element_types_say_so():
    check_all([("t.zeros(1, dtype='float16')", {}), ("t.zeros(1, dtype='complex64')", {})])


@pytest.mark.parametrize("path", [
    "accelerator", "amp", "autograd", "backends.cuda", "backends.cudnn", "backends.mkldnn", "backends.mps", "cuda", "cuda.amp",
    "linalg", "nn.functional", "nn.init", "nn.parallel", "nn.utils", "optim", "optim.lr_scheduler", "random", "utils.data",
    "version",
])  # fmt: skip
def test_dotted_paths(path):
    for t in (tg, torch):
        assert importlib.import_module(f"{t.__name__}.{path}")


@same_in_both
def test_arrays_of_numpy_among_the_operands(t):
    x, n = t.ones(2, 3), np.full((2, 3), 2.0, np.float32)
    return x + n, x - n, x * n, x / n, np.exp(np.asarray(x)), n == x, np.float32(2) * x, x * np.float64(2)
