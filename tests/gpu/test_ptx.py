"""The interpreter itself: each instruction by hand-written PTX, and faults that it must see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ptx_machine import Machine, Memory, Traffic, launch
from ptx_parser import PtxError, parse

F32, F64, S32, U32, S64, U64 = np.float32, np.float64, np.int32, np.uint32, np.int64, np.uint64
NAN, INF = np.nan, np.inf
REGISTERS = """
    .reg .pred %p<9>; .reg .b16 %rs<9>; .reg .b32 %r<9>; .reg .f32 %f<9>; .reg .f64 %fd<9>; .reg .b64 %rd<19>;
"""
PREFIX = {F32: "%f", F64: "%fd", S32: "%r", U32: "%r", S64: "%rd", U64: "%rd"}
LOAD = {F32: "f32", F64: "f64", S32: "b32", U32: "b32", S64: "b64", U64: "b64"}


def module(body: str, parameters: int = 4, variables: str = "") -> str:
    """Return a kernel with 64-bit parameters in %rd11, %rd12 ..., and the number of its thread in %r8."""
    head = ", ".join(f".param .u64 p{k}" for k in range(parameters))
    loads = "\n".join(f"ld.param.u64 %rd{11 + k}, [p{k}];" for k in range(parameters))
    return f"""
.version 8.0
.target sm_80
.address_size 64
{variables}
.visible .entry kernel({head})
{{
{REGISTERS}
{loads}
    mov.u32 %r8, %tid.x;
{body}
    ret;
}}
"""


def execute(
    body: str, arrays: list[np.ndarray], threads: int = 4, grid: int = 1, variables: str = ""
) -> tuple[list[np.ndarray], Traffic]:
    """Run a kernel on arrays; return them as it left them."""
    memory = Memory()
    addresses = []
    for a in arrays:
        addresses.append(memory.allocate(a.nbytes))
        memory.write(addresses[-1], a)
    traffic = launch(memory, parse(module(body, len(arrays), variables)), (grid,), (threads,), addresses)
    return [memory.read(p, a.nbytes).view(a.dtype) for p, a in zip(addresses, arrays)], traffic


def compute(instruction: str, result: Any, *operands: Any) -> np.ndarray:
    """Run one instruction on lanes: operands are $0, $1 ..., the result is $y."""
    arrays = [np.asarray(o) for o in operands]
    lines = []
    for k, a in enumerate(arrays):
        kind = a.dtype.type
        lines += [f"mul.wide.u32 %rd9, %r8, {a.itemsize};", f"add.s64 %rd10, %rd{12 + k}, %rd9;"]
        lines.append(f"ld.global.{LOAD[kind]} {PREFIX[kind]}{k + 1}, [%rd10];")
        instruction = instruction.replace(f"${k}", f"{PREFIX[kind]}{k + 1}")
    instruction = instruction.replace("$y", PREFIX[result] + "7")
    size = np.dtype(result).itemsize
    lines += [instruction, f"mul.wide.u32 %rd9, %r8, {size};", "add.s64 %rd10, %rd11, %rd9;"]
    lines.append(f"st.global.{LOAD[result]} [%rd10], {PREFIX[result]}7;")
    (y, *_), _ = execute("\n".join(lines), [np.zeros(len(arrays[0]), result), *arrays], len(arrays[0]))
    return y


# instruction, type of the result, operands, what it gives
INSTRUCTIONS: list[tuple[str, Any, list[Any], Any]] = [
    ("add.f32 $y, $0, $1;", F32, [F32([1, 2]), F32([3, -4])], [4, -2]),
    ("add.s32 $y, $0, $1;", S32, [S32([2**31 - 1, -5]), S32([1, 3])], [-(2**31), -2]),
    ("sub.s64 $y, $0, 3;", S64, [S64([1, 9])], [-2, 6]),
    ("mul.lo.s32 $y, $0, $1;", S32, [S32([65536, -3]), S32([65536, 5])], [0, -15]),
    ("mul.hi.u32 $y, $0, $1;", U32, [U32([2**31, 3]), U32([4, 5])], [2, 0]),
    ("mul.hi.u64 $y, $0, $1;", U64, [U64([2**63, 3]), U64([6, 5])], [3, 0]),
    ("mul.hi.s32 $y, $0, $1;", S32, [S32([-1, 2**30]), S32([5, 8])], [-1, 2]),
    ("mul.wide.s32 $y, $0, $1;", S64, [S32([-(2**31), 7]), S32([2, -3])], [-(2**32), -21]),
    ("mul.f64 $y, $0, $1;", F64, [F64([1.5, NAN]), F64([2, 2])], [3, NAN]),
    ("mad.lo.s32 $y, $0, $1, $2;", S32, [S32([2, 3]), S32([5, -5]), S32([1, 2])], [11, -13]),
    ("mad.wide.u32 $y, $0, $1, $2;", U64, [U32([2**31, 1]), U32([4, 2]), U64([5, 2**40])], [2**33 + 5, 2**40 + 2]),
    ("fma.rn.f32 $y, $0, $1, $2;", F32, [F32([1 + 2**-12, 2]), F32([1 - 2**-12, 3]), F32([-1, 1])], [-(2.0**-24), 7]),
    ("fma.rn.f64 $y, $0, $1, $2;", F64, [F64([2, 3]), F64([4, 5]), F64([1, -1])], [9, 14]),
    ("div.rn.f32 $y, $0, $1;", F32, [F32([1, 0]), F32([0, 0])], [INF, NAN]),
    ("div.s32 $y, $0, $1;", S32, [S32([-7, 7]), S32([2, -2])], [-3, -3]),
    ("rem.s32 $y, $0, $1;", S32, [S32([-7, 7]), S32([2, -2])], [-1, 1]),
    ("div.u32 $y, $0, $1;", U32, [U32([2**32 - 1, 7]), U32([2, 2])], [2**31 - 1, 3]),
    ("rem.u64 $y, $0, $1;", U64, [U64([2**63 + 5, 7]), U64([10, 2])], [3, 1]),
    ("shl.b32 $y, $0, $1;", U32, [U32([3, 3]), U32([1, 33])], [6, 0]),
    ("shr.s32 $y, $0, $1;", S32, [S32([-8, -8]), U32([1, 40])], [-4, -1]),
    ("shr.u32 $y, $0, $1;", U32, [U32([2**31, 8]), U32([31, 32])], [1, 0]),
    ("shf.l.wrap.b32 $y, $0, $1, $2;", U32, [U32([2**31, 1]), U32([1, 0]), U32([1, 33])], [3, 0]),
    ("shf.r.wrap.b32 $y, $0, $1, $2;", U32, [U32([2, 1]), U32([1, 1]), U32([1, 1])], [2**31 + 1, 2**31]),
    ("prmt.b32 $y, $0, $1, 17185;", U32, [U32([0x44332211, 0]), U32([0x88776655, 0])], [0x55443322, 0]),
    ("and.b32 $y, $0, $1;", U32, [U32([12, 5]), U32([10, 2])], [8, 0]),
    ("or.b64 $y, $0, $1;", U64, [U64([12, 5]), U64([10, 2])], [14, 7]),
    ("xor.b32 $y, $0, $1;", U32, [U32([12, 5]), U32([10, 2])], [6, 7]),
    ("not.b32 $y, $0;", U32, [U32([0, 1])], [2**32 - 1, 2**32 - 2]),
    ("neg.f32 $y, $0;", F32, [F32([1, -0.0])], [-1, 0]),
    ("neg.s32 $y, $0;", S32, [S32([1, -5])], [-1, 5]),
    ("abs.f32 $y, $0;", F32, [F32([-1, NAN])], [1, NAN]),
    ("abs.s32 $y, $0;", S32, [S32([-1, 3])], [1, 3]),
    ("min.f32 $y, $0, $1;", F32, [F32([NAN, 2]), F32([1, 1])], [1, 1]),
    ("max.f32 $y, $0, $1;", F32, [F32([NAN, 2]), F32([1, 1])], [1, 2]),
    ("max.NaN.f32 $y, $0, $1;", F32, [F32([NAN, 2]), F32([1, 1])], [NAN, 2]),
    ("min.s32 $y, $0, $1;", S32, [S32([-1, 2]), S32([1, 1])], [-1, 1]),
    ("max.u32 $y, $0, $1;", U32, [U32([2**32 - 1, 2]), U32([1, 1])], [2**32 - 1, 2]),
    ("sqrt.rn.f32 $y, $0;", F32, [F32([4, -1])], [2, NAN]),
    ("rsqrt.approx.f32 $y, $0;", F32, [F32([4, 0])], [0.5, INF]),
    ("rcp.rn.f32 $y, $0;", F32, [F32([4, 0])], [0.25, INF]),
    ("ex2.approx.ftz.f32 $y, $0;", F32, [F32([3, -140])], [8, 0]),
    ("lg2.approx.f32 $y, $0;", F32, [F32([8, 0])], [3, -INF]),
    ("sin.approx.f32 $y, $0;", F32, [F32([0, 1])], [0, np.sin(1)]),
    ("cos.approx.f32 $y, $0;", F32, [F32([0, 1])], [1, np.cos(1)]),
    ("tanh.approx.f32 $y, $0;", F32, [F32([0, 1])], [0, np.tanh(1)]),
    ("add.ftz.f32 $y, $0, $1;", F32, [F32([1e-39, -1e-39]), F32([0, 0])], [0, 0]),
    ("add.sat.f32 $y, $0, $1;", F32, [F32([1, -2]), F32([1, 1])], [1, 0]),
    ("copysign.f32 $y, $0, $1;", F32, [F32([-1, 1]), F32([5, -5])], [-5, 5]),
    ("popc.b32 $y, $0;", U32, [U32([255, 0])], [8, 0]),
    ("clz.b32 $y, $0;", U32, [U32([1, 0])], [31, 32]),
    ("brev.b32 $y, $0;", U32, [U32([1, 2])], [2**31, 2**30]),
    ("bfe.u32 $y, $0, 4, 8;", U32, [U32([0xABCD, 0xF0])], [0xBC, 0xF]),
    ("bfi.b32 $y, $0, $1, 4, 8;", U32, [U32([0xFF, 0]), U32([0, 0xFFFF])], [0xFF0, 0xF00F]),
    ("cvt.rn.f32.s32 $y, $0;", F32, [S32([-3, 2**24 + 1])], [-3, 2**24]),
    ("cvt.rzi.s32.f32 $y, $0;", S32, [F32([-2.7, 1e20])], [-2, 2**31 - 1]),
    ("cvt.rni.s32.f32 $y, $0;", S32, [F32([2.5, NAN])], [2, 0]),
    ("cvt.rzi.s64.f64 $y, $0;", S64, [F64([-2.7, 1e30])], [-2, 2**63 - 1]),
    ("cvt.rmi.f32.f32 $y, $0;", F32, [F32([-2.5, INF])], [-3, INF]),
    ("cvt.rpi.f32.f32 $y, $0;", F32, [F32([-2.5, 2.1])], [-2, 3]),
    ("cvt.rn.f32.f64 $y, $0;", F32, [F64([0.1, 1e300])], [F32(0.1), INF]),
    ("cvt.f64.f32 $y, $0;", F64, [F32([0.5, NAN])], [0.5, NAN]),
    ("cvt.s64.s32 $y, $0;", S64, [S32([-1, 5])], [-1, 5]),
    ("cvt.u64.u32 $y, $0;", U64, [U32([2**32 - 1, 5])], [2**32 - 1, 5]),
    ("cvt.u32.u64 $y, $0;", U32, [U64([2**33 + 7, 5])], [7, 5]),
    ("setp.lt.f32 %p1, $0, $1; selp.f32 $y, 0f3F800000, 0f00000000, %p1;", F32, [F32([1, NAN]), F32([2, 2])], [1, 0]),
    ("setp.ltu.f32 %p1, $0, $1; selp.f32 $y, 0f3F800000, 0f00000000, %p1;", F32, [F32([3, NAN]), F32([2, 2])], [0, 1]),
    ("setp.neu.f32 %p1, $0, $0; selp.b32 $y, 1, 0, %p1;", S32, [F32([3, NAN])], [0, 1]),
    ("setp.ne.f32 %p1, $0, $1; selp.b32 $y, 1, 0, %p1;", S32, [F32([3, NAN]), F32([2, 2])], [1, 0]),
    ("setp.nan.f32 %p1, $0, $0; selp.b32 $y, 1, 0, %p1;", S32, [F32([3, NAN])], [0, 1]),
    ("setp.ge.s32 %p1, $0, 0; @%p1 mov.u32 $y, 5; @!%p1 mov.u32 $y, 6;", S32, [S32([1, -1])], [5, 6]),
    ("setp.hi.u32 %p1, $0, 7; selp.b32 $y, 1, 0, %p1;", S32, [U32([2**32 - 1, 7])], [1, 0]),
    ("setp.eq.s32 %p1, $0, 1; setp.lt.and.s32 %p2|%p3, $1, 5, %p1; selp.b32 $y, 1, 0, %p2;", S32, [S32([1, 2]), S32([3, 3])], [1, 0]),
    ("testp.finite.f32 %p1, $0; selp.b32 $y, 1, 0, %p1;", S32, [F32([3, INF])], [1, 0]),
    ("mov.b64 {%r5, %r6}, $0; mov.u32 $y, %r6;", U32, [U64([2**32 * 7 + 1, 3])], [7, 0]),
    ("mov.b64 $y, {%r8, %r8};", U64, [U32([0, 0])], [0, 2**32 + 1]),
    ("vote.sync.ballot.b32 $y, %p4, -1;", U32, [U32([0, 0])], [0, 0]),
    ("shfl.sync.bfly.b32 $y|%p1, $0, 1, 31, -1;", U32, [U32([10, 20, 30, 40])], [20, 10, 40, 30]),
    ("shfl.sync.down.b32 $y|%p1, $0, 1, 31, -1;", U32, [U32(range(32))], [*range(1, 32), 31]),
    ("shfl.sync.up.b32 $y|%p1, $0, 1, 0, -1;", U32, [U32(range(32))], [0, *range(31)]),
    ("shfl.sync.idx.b32 $y|%p1, $0, 3, 31, -1;", U32, [U32([10, 20, 30, 40])], [40] * 4),
    ("membar.gl; mov.u32 $y, %ntid.x;", U32, [U32([0, 0])], [2, 2]),
]  # fmt: skip


@pytest.mark.parametrize(("instruction", "result", "operands", "expected"), INSTRUCTIONS, ids=lambda v: str(v)[:40])
def test_an_instruction(instruction: str, result: Any, operands: list[Any], expected: Any) -> None:
    np.testing.assert_allclose(compute(instruction, result, *operands), expected, rtol=1e-6)


def test_an_unknown_instruction_stops() -> None:
    with pytest.raises(PtxError, match=r"not known: bmsk"):
        compute("bmsk.clamp.b32 $y, $0, 3;", U32, U32([1, 2]))


def test_integer_division_by_zero_stops() -> None:
    with pytest.raises(PtxError, match="division by zero"):
        compute("div.s32 $y, $0, $1;", S32, S32([1]), S32([0]))


LOOP = """
    mov.u32 %r1, 0;
$again:
    add.u32 %r1, %r1, 1;
    setp.le.u32 %p1, %r1, %r8;
    @%p1 bra $again;
    mul.wide.u32 %rd1, %r8, 4;
    add.s64 %rd2, %rd11, %rd1;
    st.global.u32 [%rd2], %r1;
"""


def test_lanes_part_and_meet_again() -> None:
    (y,), traffic = execute(LOOP, [np.zeros(8, U32)], threads=8)
    assert y.tolist() == list(range(1, 9))
    assert traffic.requests["store"] == 1  # one store by the whole warp: the lanes had met


def test_a_kernel_that_does_not_end_stops() -> None:
    memory = Memory()
    entry = parse(module("$again:\nbra $again;", 0))
    machine = Machine(memory, entry, (1,), (4,), [])
    with pytest.raises(PtxError, match="does not end"):
        machine.run(limit=100)


SHARED = ".shared .align 16 .b8 scratch[{size}];"
NEIGHBOUR = """
    shl.b32 %r1, %r8, 2;
    mov.u32 %r2, scratch;
    add.u32 %r3, %r2, %r1;
    st.shared.u32 [%r3], %r8;
    {barrier}
    xor.b32 %r4, %r1, 4;
    add.u32 %r5, %r2, %r4;
    ld.shared.u32 %r6, [%r5];
    mul.wide.u32 %rd1, %r8, 4;
    add.s64 %rd2, %rd11, %rd1;
    st.global.u32 [%rd2], %r6;
"""


def test_shared_memory_and_barriers() -> None:
    (y,), _ = execute(NEIGHBOUR.format(barrier="bar.sync 0;"), [np.zeros(8, U32)], 8, variables=SHARED.format(size=32))
    assert y.tolist() == [1, 0, 3, 2, 5, 4, 7, 6]


FAULTS = [
    ("shared-memory race", NEIGHBOUR.format(barrier=""), 32),
    ("out-of-bounds shared", NEIGHBOUR.format(barrier="bar.sync 0;"), 16),
    ("read before it is written", "mov.u32 %r2, scratch; ld.shared.u32 %r1, [%r2];", 32),
    ("two threads write one shared word", "mov.u32 %r2, scratch; st.shared.u32 [%r2], %r8;", 32),
    ("out-of-bounds global load", "mul.wide.u32 %rd1, %r8, 8; add.s64 %rd2, %rd11, %rd1; ld.global.u32 %r1, [%rd2];", 32),
    ("out-of-bounds global store", "mul.wide.u32 %rd1, %r8, 8; add.s64 %rd2, %rd11, %rd1; st.global.u32 [%rd2], %r8;", 32),
    ("access outside of memory", "mov.u64 %rd1, 16; ld.global.u32 %r1, [%rd1];", 32),
    ("misaligned access", "ld.global.u32 %r1, [%rd11+2];", 32),
    ("misaligned access", "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd11+4];", 32),
    (
        "divergent barrier",
        "setp.eq.u32 %p1, %r8, 0; @%p1 bra $one; bar.sync 0; bra $end;\n$one:\nbar.sync 0;\n$end:\n",
        32,
    ),
    ("lane that is not there", "setp.gt.u32 %p1, %r8, 3; @%p1 bra $end; shfl.sync.bfly.b32 %r1|%p2, %r8, 4, 31, -1;\n$end:\n", 32),
    ("atomic operation on floats", "atom.global.add.f32 %f1, [%rd11], 0f3F800000;", 32),
    ("unknown symbol", "mov.u32 %r1, nowhere;", 32),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "body", "size"), FAULTS, ids=[f[0] for f in FAULTS])
def test_a_fault_is_seen(fault: str, body: str, size: int) -> None:
    with pytest.raises(PtxError, match=fault):
        execute(body, [np.zeros(8, U32)], 8, variables=SHARED.format(size=size))


def test_atomics_of_integers() -> None:
    body = "atom.global.add.u32 %r1, [%rd11], 2; red.global.max.u32 [%rd11+4], %r8; atom.global.cas.b32 %r2, [%rd11+8], 7, 9;"
    (y,), _ = execute(body, [np.array([5, 0, 7], U32)], 8)
    assert y.tolist() == [21, 7, 9]


def test_a_call_has_registers_of_its_own() -> None:
    function = """
.func (.param .b32 result) twice(.param .b32 twice_param_0)
{
    .reg .b32 %r<3>;
    ld.param.u32 %r1, [twice_param_0];
    add.u32 %r2, %r1, %r1;
    st.param.b32 [result+0], %r2;
    ret;
}
"""
    body = """
    mov.u32 %r1, 40;
    add.u32 %r2, %r8, 3;
    {
    .param .b32 param0;
    st.param.b32 [param0+0], %r2;
    .param .b32 retval0;
    call.uni (retval0), twice, (param0);
    ld.param.b32 %r3, [retval0+0];
    }
    add.u32 %r4, %r3, %r1;
    mul.wide.u32 %rd1, %r8, 4;
    add.s64 %rd2, %rd11, %rd1;
    st.global.u32 [%rd2], %r4;
"""
    (y,), _ = execute(body, [np.zeros(4, U32)], 4, variables=function)
    assert y.tolist() == [46, 48, 50, 52]


def copy_with_step(step: int) -> Traffic:
    body = f"mul.wide.u32 %rd1, %r8, {4 * step}; add.s64 %rd2, %rd11, %rd1; ld.global.u32 %r1, [%rd2];"
    return execute(body, [np.zeros(32 * step, U32)], 32)[1]


def test_sectors_are_counted() -> None:
    assert copy_with_step(1).sectors["load"] == 4
    assert copy_with_step(1).sectors_per_request()[0] == 4
    assert copy_with_step(8).sectors["load"] == 32
    assert copy_with_step(8).sectors_per_request()[0] == 32


@pytest.mark.parametrize(("step", "turns"), [(4, 1), (8, 2), (128, 32), (132, 1)])
def test_bank_conflicts_are_counted(step: int, turns: int) -> None:
    body = f"mul.lo.u32 %r1, %r8, {step}; mov.u32 %r2, scratch; add.u32 %r3, %r2, %r1; st.shared.u32 [%r3], %r8;"
    _, traffic = execute(body, [np.zeros(1, U32)], 32, variables=SHARED.format(size=32 * step))
    assert traffic.turns["store"] == turns
    assert traffic.least_turns["store"] == 1


def test_local_memory_and_generic_addresses() -> None:
    body = """
    .local .align 8 .b8 depot[16];
    mov.u64 %rd1, depot;
    cvta.local.u64 %rd2, %rd1;
    st.u32 [%rd2+4], %r8;
    ld.local.u32 %r1, [%rd1+4];
    mul.wide.u32 %rd3, %r8, 4;
    add.s64 %rd4, %rd11, %rd3;
    st.global.u32 [%rd4], %r1;
"""
    (y,), _ = execute(body, [np.zeros(4, U32)], 4)
    assert y.tolist() == [0, 1, 2, 3]
