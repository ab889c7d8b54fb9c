"""Read the PTX that Numba's compiler emits: entries, registers, memory and instructions with decoded operands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

UNSIGNED = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
SIGNED = {8: np.int8, 16: np.int16, 32: np.int32, 64: np.int64}
FLOATS = {16: np.float16, 32: np.float32, 64: np.float64}
KINDS = {"u": UNSIGNED, "b": UNSIGNED, "s": SIGNED, "f": FLOATS}
TYPE = re.compile(r"[usbf](?:8|16|32|64)$|pred$")
SPACES = ("param", "global", "shared", "local", "const")


class PtxError(RuntimeError):
    """What a GPU would do wrong, or what the interpreter does not know."""


def numpy_type(name: str) -> np.dtype:
    """Return NumPy's type for a PTX type such as s32; registers of predicates are bool."""
    return np.dtype(bool) if name == "pred" else np.dtype(KINDS[name[0]][int(name[1:])])


@dataclass(frozen=True)
class Register:
    """A register, or a predicate that is read negated."""

    name: str
    negated: bool = False


@dataclass(frozen=True)
class Immediate:
    """A constant: the bits of a float, or an integer."""

    value: int
    width: int = 0  # 32 or 64 for the bits of a float, 0 for an integer

    def as_type(self, dtype: np.dtype) -> np.generic:
        """Return the constant as a number of a type."""
        if self.width:
            real = np.array(self.value, UNSIGNED[self.width]).view(FLOATS[self.width])
            return real.astype(dtype)[()] if dtype.kind == "f" else np.array(self.value, dtype)[()]
        if dtype.kind == "b":
            return np.bool_(self.value)
        bits = 8 * dtype.itemsize
        return np.array(self.value & (1 << bits) - 1, UNSIGNED[bits]).view(dtype)[()]


@dataclass(frozen=True)
class Symbol:
    """The address of a variable, or a label."""

    name: str


@dataclass(frozen=True)
class Address:
    """A register or symbol plus a constant number of bytes."""

    base: Register | Symbol
    offset: int


Operand = Register | Immediate | Symbol | Address | tuple  # a tuple of operands for {a, b} and p|q


@dataclass
class Instruction:
    """One instruction: its predicate, dotted name and operands."""

    text: str
    guard: Register | None
    name: str
    modifiers: tuple[str, ...]
    operands: tuple[Operand, ...]
    types: tuple[str, ...] = ()
    space: str = "generic"
    count: int = 1  # elements of a vector access

    @property
    def type(self) -> str:
        """Return the first type of the instruction."""
        return self.types[0]


@dataclass
class Variables:
    """Named pieces of one memory, laid out one after another."""

    offsets: dict[str, int] = field(default_factory=dict)
    size: int = 0

    def add(self, name: str, align: int, size: int) -> None:
        """Place a variable behind the others."""
        start = -(-self.size // align) * align
        self.offsets[name] = start
        self.size = start + size


@dataclass
class Entry:
    """A kernel."""

    name: str
    parameters: Variables
    sizes: list[tuple[int, int]]  # offset and size of each parameter
    types: dict[str, str]  # of registers, by name or by the prefix of numbered ones
    shared: Variables
    local: Variables
    instructions: list[Instruction]
    labels: dict[str, int]
    constants: dict[str, np.ndarray]
    functions: dict[str, Entry] = field(default_factory=dict)  # that are not inlined
    result: str = ""  # what a function calls its result

    def register_type(self, name: str) -> str:
        """Return the declared type of a register."""
        found = self.types.get(name) or self.types.get(re.sub(r"\d+$", "", name))
        if found is None:
            raise PtxError(f"unknown register {name} in {self.name}")
        return found


_VARIABLE = re.compile(
    r"\.(shared|global|const|local)\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+([\w$]+)\s*(?:\[(\d*)\])?\s*(?:=\s*\{([^}]*)\})?"
)
_ENTRY = re.compile(r"\.entry\s+[\w$]+\s*\(")
_FUNCTION = re.compile(r"\.func\s*(\([^)]*\))?\s*([\w$]+)\s*\(([^)]*)\)[^;{]*\{", re.S)
_STATEMENT = re.compile(r"(?:@(!?)(%[\w.]+)\s+)?([\w.:]+)\s*(.*)$", re.S)


def parse(ptx: str, name: str = "kernel") -> Entry:
    """Read a module with one kernel; `name` is what errors call it."""
    text = re.sub(r"//[^\n]*", "", re.sub(r"/\*.*?\*/", "", ptx, flags=re.S))
    functions = {}
    for function in list(_FUNCTION.finditer(text)):
        body = text[function.end() : _closing(text, function.end() - 1)]
        functions[function.group(2)] = _entry(function.group(2), function.group(3), body, "")
        functions[function.group(2)].result = (re.findall(r"[\w$]+(?=\s*\))", function.group(1) or "") or [""])[0]
        text = text.replace(body, "")
    found = _ENTRY.search(text)
    if found is None:
        raise PtxError("no .entry in this PTX")
    start = text.index("{", found.end())
    whole = _entry(name, text[found.end() : start], text[start + 1 : _closing(text, start)], text[: found.start()])
    whole.functions = functions
    return whole


def _entry(name: str, header: str, body: str, module: str) -> Entry:
    """Read a kernel or function; `module` holds the variables that are declared before it."""
    shared, local, constants = Variables(), Variables(), {}
    for space, align, kind, variable, count, values in _VARIABLE.findall(module + body):
        width = int(kind[1:]) // 8
        size = width * int(count or 1)
        if space in ("shared", "local"):
            (shared if space == "shared" else local).add(variable, int(align or width), size)
        else:
            numbers = [int(v, 0) for v in values.split(",")] if values else [0] * int(count or 1)
            constants[variable] = np.array(numbers, UNSIGNED[8 * width])
    parameters, sizes = _parameters(header)
    instructions, labels = _instructions(body)
    return Entry(name, parameters, sizes, _registers(body), shared, local, instructions, labels, constants)


def _closing(text: str, start: int) -> int:
    """Return where the brace that opens at `start` closes."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return place
    raise PtxError("a brace is not closed")


def _parameters(header: str) -> tuple[Variables, list[tuple[int, int]]]:
    parameters, sizes = Variables(), []
    for kind, name in re.findall(r"\.param\s+(?:\.align\s+\d+\s+)?\.(\w+)\s+([\w$]+)", header):
        width = int(kind[1:]) // 8
        parameters.add(name, width, width)
        sizes.append((parameters.offsets[name], width))
    return parameters, sizes


def _registers(body: str) -> dict[str, str]:
    types = {}
    for kind, names in re.findall(r"\.reg\s+\.(\w+)\s+([^;]+);", body):
        for name in names.split(","):
            types[re.sub(r"<\d+>$", "", name.strip())] = kind
    return types


def _instructions(body: str) -> tuple[list[Instruction], dict[str, int]]:
    body = re.sub(r"^\s*\.(?:loc|file)\b[^\n]*", " ", body, flags=re.M)
    body = re.sub(r"([\w$]+):", r"\1:;", body)
    instructions: list[Instruction] = []
    labels: dict[str, int] = {}
    for statement in body.split(";"):
        text = " ".join(statement.split()).lstrip("{} ")  # scopes only hold names of their own
        if text.endswith(":"):
            labels[text[:-1]] = len(instructions)
        elif text and text[0] != ".":  # declarations were read already
            instructions.append(_instruction(text))
    return instructions, labels


def _instruction(text: str) -> Instruction:
    found = _STATEMENT.match(text)
    if found is None:
        raise PtxError(f"cannot read {text!r}")
    negated, guard, dotted, rest = found.groups()
    name, *modifiers = dotted.split(".")
    operands = tuple(_operand(part.strip()) for part in re.findall(r"\{[^}]*\}|\([^)]*\)|\[[^\]]*\]|[^,\s][^,]*", rest))
    vector = next((int(m[1:]) for m in modifiers if re.fullmatch(r"v[248]", m)), 1)
    return Instruction(
        text,
        Register(guard, negated == "!") if guard else None,
        name,
        tuple(modifiers),
        operands,
        tuple(m for m in modifiers if TYPE.match(m)),
        next((m for m in modifiers if m in SPACES), "generic"),
        vector,
    )


def _operand(text: str) -> Operand:
    if text[0] in "{(":
        return tuple(_operand(part.strip()) for part in text[1:-1].split(","))
    if "|" in text:
        return tuple(_operand(part.strip()) for part in text.split("|"))
    if text[0] == "[":
        base, _, offset = text[1:-1].replace(" ", "").partition("+")
        inner = _operand(base)
        if not isinstance(inner, (Register, Symbol)):
            raise PtxError(f"cannot read the address {text!r}")
        return Address(inner, int(offset or "0", 0))
    if text[0] in "%!" or text == "_":
        return Register(text.lstrip("!"), text[0] == "!")
    if re.match(r"0[fF][0-9a-fA-F]{8}$", text):
        return Immediate(int(text[2:], 16), 32)
    if re.match(r"0[dD][0-9a-fA-F]{16}$", text):
        return Immediate(int(text[2:], 16), 64)
    if re.match(r"-?(?:0x[0-9a-fA-F]+|\d+)U?$", text):
        return Immediate(int(text.rstrip("U"), 0))
    return Symbol(text)
