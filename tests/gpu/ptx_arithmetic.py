"""What each arithmetic instruction of PTX computes, on arrays of lanes; no memory, no control flow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ptx_parser import Instruction, PtxError, numpy_type

Lanes = np.ndarray
ROUNDINGS = {"rzi": np.trunc, "rni": np.rint, "rmi": np.floor, "rpi": np.ceil}
COMPARISONS: dict[str, Callable[[Lanes, Lanes], Lanes]] = {
    "eq": np.equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
}  # fmt: skip
SIMPLE: dict[str, Callable[..., Lanes]] = {
    "add": np.add, "sub": np.subtract, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "abs": np.abs, "ex2": np.exp2, "lg2": np.log2, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos,
    "tanh": np.tanh, "rsqrt": lambda x: x.dtype.type(1) / np.sqrt(x), "rcp": lambda x: x.dtype.type(1) / x,
    "neg": lambda x: -x if x.dtype.kind == "f" else (0 - x).astype(x.dtype), "copysign": lambda a, b: np.copysign(b, a),
}  # fmt: skip


def wider(dtype: np.dtype) -> np.dtype:
    """Return the integer type of twice the width."""
    return np.dtype(f"{dtype.kind}{2 * dtype.itemsize}")


def high_product(x: Lanes, y: Lanes) -> Lanes:
    """Return the upper half of the whole product."""
    bits = 8 * x.dtype.itemsize
    if bits < 64:
        wide = wider(x.dtype)
        return (x.astype(wide) * y.astype(wide) >> wide.type(bits)).astype(x.dtype)
    whole = x.astype(object) * y.astype(object) >> 64
    return np.array([int(v) & (1 << 64) - 1 for v in whole], np.uint64).view(x.dtype)


def multiply(i: Instruction, x: Lanes, y: Lanes) -> Lanes:
    """mul: whole (wide), upper (hi) or lower half of the product, or a product of floats."""
    if "wide" in i.modifiers:
        return x.astype(wider(x.dtype)) * y.astype(wider(x.dtype))
    return high_product(x, y) if "hi" in i.modifiers else x * y


def multiply_add(i: Instruction, x: Lanes, y: Lanes, z: Lanes) -> Lanes:
    """mad and fma; of floats with one rounding: float32 through double precision."""
    if x.dtype.kind != "f":
        return multiply(i, x, y) + z
    if x.dtype.itemsize < 8:
        return (x.astype(np.float64) * y + z).astype(x.dtype)
    return (x.astype(np.longdouble) * y + z).astype(x.dtype)


def divide(i: Instruction, x: Lanes, y: Lanes) -> Lanes:
    """div and rem, which truncate towards zero for integers."""
    if x.dtype.kind == "f":
        return x / y
    if (y == 0).any():
        raise PtxError(f"integer division by zero: {i.text}")
    quotient = x // y
    if x.dtype.kind == "i":
        quotient = quotient + ((quotient * y != x) & ((x < 0) != (y < 0)))
    return (quotient if i.name == "div" else x - quotient * y).astype(x.dtype)


def shift(i: Instruction, x: Lanes, count: Lanes) -> Lanes:
    """shl and shr; counts beyond the width give 0, or the sign."""
    bits = 8 * x.dtype.itemsize
    inside = np.minimum(count, bits - 1).astype(x.dtype)
    moved = x << inside if i.name == "shl" else x >> inside
    keeps = i.name == "shr" and x.dtype.kind == "i"
    return moved if keeps else np.where(count >= bits, x.dtype.type(0), moved)


def funnel(i: Instruction, low: Lanes, high: Lanes, count: Lanes) -> Lanes:
    """shf: shift the pair (high, low) and keep one half."""
    count = (count & 31 if "wrap" in i.modifiers else np.minimum(count, 32)).astype(np.uint64)
    pair = high.astype(np.uint64) << np.uint64(32) | low.astype(np.uint64)
    return (pair << count >> np.uint64(32) if "l" in i.modifiers else pair >> count).astype(np.uint32)


def permute_bytes(i: Instruction, a: Lanes, b: Lanes, selector: Lanes) -> Lanes:
    """prmt in its default mode: pick four of eight bytes, or copies of their signs."""
    pair = b.astype(np.uint64) << np.uint64(32) | a.astype(np.uint64)
    result = np.zeros_like(a)
    for k in range(4):
        pick = selector >> np.uint32(4 * k) & np.uint32(15)
        byte = (pair >> (np.uint64(8) * (pick & np.uint32(7)).astype(np.uint64)) & np.uint64(255)).astype(np.uint32)
        byte = np.where(pick & np.uint32(8), np.where(byte & np.uint32(128), np.uint32(255), np.uint32(0)), byte)
        result |= byte << np.uint32(8 * k)
    return result


def extreme(i: Instruction, x: Lanes, y: Lanes) -> Lanes:
    """min and max; of floats a number wins over NaN, unless .NaN says otherwise."""
    lesser = i.name == "min"
    if x.dtype.kind != "f" or "NaN" in i.modifiers:
        return np.minimum(x, y) if lesser else np.maximum(x, y)
    return np.fmin(x, y) if lesser else np.fmax(x, y)


def compare(how: str, x: Lanes, y: Lanes) -> Lanes:
    """setp's comparisons; those ending in u are also true where a side is NaN, the others false."""
    if x.dtype.kind != "f":
        return np.not_equal(x, y) if how == "ne" else COMPARISONS[how](x, y)
    unordered = np.isnan(x) | np.isnan(y)
    if how in ("num", "nan"):
        return ~unordered if how == "num" else unordered
    if how in ("ne", "neu"):
        return (x != y) & ~unordered if how == "ne" else x != y
    return COMPARISONS[how[:-1]](x, y) | unordered if how[-1] == "u" else COMPARISONS[how](x, y)


def convert(i: Instruction, x: Lanes) -> Lanes:
    """cvt between all types; floats become integers by rounding as told, clamped, NaN as 0."""
    target = numpy_type(i.types[0])
    rounding = next((ROUNDINGS[m] for m in i.modifiers if m in ROUNDINGS), None)
    if x.dtype.kind == "f" and target.kind in "iu":
        if rounding is None:
            raise PtxError(f"no rounding to an integer: {i.text}")
        limits = np.iinfo(target)
        whole = rounding(x.astype(np.float64))
        inside = np.clip(
            whole, float(limits.min), np.nextafter(float(limits.max), 0) if target.itemsize == 8 else limits.max
        )
        result = np.nan_to_num(inside).astype(target)
        if target.itemsize == 8:
            result = np.where(whole >= float(limits.max), target.type(limits.max), result)
        return result
    y = (rounding(x) if rounding and x.dtype.kind == "f" else x).astype(target)
    return np.clip(y, 0, 1) if "sat" in i.modifiers else y


def bits_of(i: Instruction, x: Lanes) -> Lanes:
    """popc, clz, brev and not, on the bits of each lane."""
    if i.name == "not":
        return ~x
    width = 8 * x.dtype.itemsize
    if i.name == "popc":
        return np.bitwise_count(x).astype(np.uint32)
    if i.name == "clz":
        return np.array([width - int(v).bit_length() for v in x], np.uint32)
    return np.array([int(format(int(v), f"0{width}b")[::-1], 2) for v in x], x.dtype)


def extract(i: Instruction, x: Lanes, start: Lanes, length: Lanes) -> Lanes:
    """bfe: a field of bits, of unsigned numbers."""
    if x.dtype.kind == "i":
        raise PtxError(f"not known: {i.text}")
    one = x.dtype.type(1)
    return x >> start.astype(x.dtype) & (one << length.astype(x.dtype)) - one


def insert(i: Instruction, field: Lanes, x: Lanes, start: Lanes, length: Lanes) -> Lanes:
    """bfi: put a field of bits into x."""
    one = x.dtype.type(1)
    mask = (one << length.astype(x.dtype)) - one << start.astype(x.dtype)
    return x & ~mask | field << start.astype(x.dtype) & mask


def test_property(i: Instruction, x: Lanes) -> Lanes:
    """testp: the class of a float."""
    tests = {"finite": np.isfinite, "infinite": np.isinf, "notanumber": np.isnan, "number": lambda v: ~np.isnan(v)}
    return tests[i.modifiers[0]](x)


# opcode -> function of the instruction and its operands
SPECIAL: dict[str, Callable[..., Lanes]] = {
    "mul": multiply, "mad": multiply_add, "fma": multiply_add, "div": divide, "rem": divide, "shl": shift, "shr": shift,
    "shf": funnel, "prmt": permute_bytes, "min": extreme, "max": extreme, "cvt": convert, "not": bits_of,
    "popc": bits_of, "clz": bits_of, "brev": bits_of, "bfe": extract, "bfi": insert, "testp": test_property,
}  # fmt: skip
# operands that are not of the instruction's first type: opcode -> {place among the sources: type}
OTHER_TYPES = {
    "shl": {1: "u32"}, "shr": {1: "u32"}, "shf": {2: "u32"}, "bfe": {1: "u32", 2: "u32"}, "bfi": {2: "u32", 3: "u32"},
}  # fmt: skip


def source_types(i: Instruction) -> list[str]:
    """Return the type of each source of an arithmetic instruction."""
    if i.name == "cvt":
        return [i.types[1]]
    types = [OTHER_TYPES.get(i.name, {}).get(k, i.type) for k in range(len(i.operands) - 1)]
    if i.name == "mad" and "wide" in i.modifiers:
        types[2] = f"{i.type[0]}{2 * int(i.type[1:])}"
    return types


def compute(i: Instruction, sources: list[Lanes]) -> Lanes:
    """Return the result of an arithmetic instruction."""
    if i.name in SPECIAL:
        result = SPECIAL[i.name](i, *sources)
    elif i.name in SIMPLE:
        result = SIMPLE[i.name](*sources)
    else:
        raise PtxError(f"not known: {i.text}")
    if result.dtype.kind == "f":
        if "ftz" in i.modifiers and result.dtype == np.float32:
            result = np.where(np.abs(result) < np.finfo(np.float32).tiny, np.copysign(np.float32(0), result), result)
        if "sat" in i.modifiers:
            result = np.clip(result, 0, 1)
    return result
