"""Execute PTX with all lanes of a grid at once: registers are arrays, lanes diverge and meet again, barriers are real.

What a GPU would let pass, or only show by bad luck, is an error here: accesses outside of what was allocated, misaligned ones,
shared memory that is read before it is written, two threads at one word of shared memory without a barrier in between,
barriers that not all threads of a block reach, shuffles from lanes that are not there.  Memory traffic is counted: sectors of
32 bytes that a warp's global access touches, and the turns that its shared access takes because of bank conflicts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from ptx_arithmetic import Lanes, compare, compute, source_types
from ptx_parser import UNSIGNED, Address, Entry, Immediate, Instruction, PtxError, Symbol, numpy_type

GLOBAL = 0x7F0000000000  # where global memory begins; 0 stays invalid
SHARED, LOCAL = 1 << 56, 2 << 56  # generic addresses of the other spaces
NOBODY, SEVERAL = -1, -2
IGNORED = {"membar", "fence", "nanosleep", "griddepcontrol"}


class Memory:
    """Global memory: bytes, and which of them are allocated."""

    def __init__(self, size: int = 1 << 16) -> None:
        self.bytes = np.zeros(size, np.uint8)
        self.valid = np.zeros(size, bool)
        self.top = 256

    def allocate(self, size: int) -> int:
        """Return the address of new memory, with a gap behind it that nobody may touch."""
        start = self.top
        self.top += -(-size // 256) * 256 + 256
        if self.top > self.bytes.size:
            grown = max(self.top, 2 * self.bytes.size)
            self.bytes = np.concatenate([self.bytes, np.zeros(grown - self.bytes.size, np.uint8)])
            self.valid = np.concatenate([self.valid, np.zeros(grown - self.valid.size, bool)])
        self.valid[start : start + size] = True
        return GLOBAL + start

    def free(self, address: int, size: int) -> None:
        """Make memory invalid."""
        self.valid[address - GLOBAL : address - GLOBAL + size] = False

    def write(self, address: int, array: np.ndarray) -> None:
        """Copy an array to an address."""
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        self.bytes[address - GLOBAL : address - GLOBAL + raw.size] = raw

    def read(self, address: int, size: int) -> np.ndarray:
        """Return a copy of the bytes at an address."""
        return self.bytes[address - GLOBAL : address - GLOBAL + size].copy()


class Traffic:
    """Counts of one run."""

    def __init__(self) -> None:
        self.executed: Counter[str] = Counter()  # warp instructions by name
        self.requests: Counter[str] = Counter()  # warp accesses of global memory, "load" and "store"
        self.sectors: Counter[str] = Counter()
        self.least_sectors: Counter[str] = Counter()  # if the same bytes lay side by side
        self.turns: Counter[str] = Counter()  # of shared memory
        self.least_turns: Counter[str] = Counter()
        self.exited_at_barrier = 0

    def sectors_per_request(self) -> tuple[float, float]:
        """Return the mean of a warp's loads, and of its stores."""
        load, store = (self.sectors[kind] / max(1, self.requests[kind]) for kind in ("load", "store"))
        return load, store

    def conflicts(self) -> float:
        """Return turns of shared memory per turn needed."""
        return sum(self.turns.values()) / max(1, sum(self.least_turns.values()))


class Machine:
    """One launch of a kernel."""

    def __init__(
        self, memory: Memory, entry: Entry, grid: Sequence[int], block: Sequence[int], arguments: Sequence[Any],
        checks: bool = True, counts: bool = True,
    ) -> None:  # fmt: skip
        self.memory, self.entry, self.checks, self.counts = memory, entry, checks, counts
        self.grid, self.block = [tuple(v) + (1,) * (3 - len(v)) for v in (grid, block)]
        self.threads, self.blocks = int(np.prod(self.block)), int(np.prod(self.grid))
        lanes = self.threads * self.blocks
        self.thread = np.tile(np.arange(self.threads), self.blocks)
        self.block_of = np.repeat(np.arange(self.blocks), self.threads)
        self.lane = self.thread % 32
        self.warps_per_block = -(-self.threads // 32)
        self.warp = self.block_of * self.warps_per_block + self.thread // 32
        self.special = self._special_registers()
        self.registers: dict[str, np.ndarray] = {}
        self.parameters = self._pack(arguments)
        self.constants = {}
        for name, values in entry.constants.items():
            self.constants[name] = memory.allocate(values.nbytes)
            memory.write(self.constants[name], values)
        row = max(16, -(-entry.shared.size // 16) * 16)
        self.shared = np.zeros((self.blocks, row), np.uint8)
        self.written = np.zeros((self.blocks, row // 4), bool)
        self.writer, self.reader = [np.full((self.blocks, row // 4), NOBODY) for _ in range(2)]
        self.write_epoch, self.read_epoch = [np.full((self.blocks, row // 4), -1) for _ in range(2)]
        self.epoch = np.zeros(self.blocks, np.int64)  # barriers passed
        self.local = np.zeros((lanes, max(8, -(-entry.local.size // 8) * 8)), np.uint8)
        self.traffic = Traffic()
        self.counter = np.zeros(lanes, np.int64)  # the next instruction of each lane
        self.waiting = np.zeros(lanes, bool)
        self.done = np.zeros(lanes, bool)
        self.leaders = set(entry.labels.values())  # where diverged lanes may meet
        self.slots: dict[str, np.ndarray] = {}  # arguments and results of calls, 8 bytes for each lane

    def _special_registers(self) -> dict[str, np.ndarray]:
        special = {"%laneid": self.lane.astype(np.uint32)}
        for prefix, index, extent in (("tid", self.thread, self.block), ("ctaid", self.block_of, self.grid)):
            step = 1
            for axis, size in zip("xyz", extent):
                special[f"%{prefix}.{axis}"] = (index // step % size).astype(np.uint32)
                special[f"%n{prefix}.{axis}"] = np.full(len(index), size, np.uint32)
                step *= size
        return special

    def _pack(self, arguments: Sequence[Any]) -> np.ndarray:
        """Lay arguments out as the kernel reads them."""
        if len(arguments) != len(self.entry.sizes):
            raise PtxError(f"{self.entry.name} takes {len(self.entry.sizes)} parameters, got {len(arguments)}")
        raw = np.zeros(-(-self.entry.parameters.size // 8) * 8, np.uint8)
        for (offset, width), value in zip(self.entry.sizes, arguments):
            if isinstance(value, np.generic):
                bytes_ = value.tobytes()
            else:
                bytes_ = int(value & (1 << 8 * width) - 1).to_bytes(width, "little")
            if len(bytes_) != width:
                raise PtxError(f"{self.entry.name}: an argument of {len(bytes_)} bytes for a parameter of {width}")
            raw[offset : offset + width] = np.frombuffer(bytes_, np.uint8)
        return raw

    # ---- control flow ----

    def run(self, limit: int = 10**7) -> Traffic:
        """Execute all lanes to the end; those furthest behind go first, so that lanes meet again."""
        with np.errstate(all="ignore"):
            while not self.done.all():
                ready = ~(self.waiting | self.done)
                if not ready.any():
                    self._release()
                    continue
                place = int(self.counter[ready].min())
                limit -= self._straight(place, np.flatnonzero(ready & (self.counter == place)))
                if limit < 0:
                    raise PtxError(f"{self.entry.name} does not end")
        return self.traffic

    def _straight(self, place: int, lanes: np.ndarray) -> int:
        """Execute lanes that stand at one instruction until they branch, wait, or reach a leader."""
        steps = 0
        while True:
            if place >= len(self.entry.instructions):
                self.done[lanes] = True
                return steps
            steps += 1
            i = self.entry.instructions[place]
            active = lanes if i.guard is None else lanes[self._read(i.guard, "pred", lanes)]
            if self.counts and len(active):
                self.traffic.executed[i.name] += len(np.unique(self.warp[active]))
            if i.name == "bra":
                target = i.operands[0]
                self.counter[lanes] = place + 1
                self.counter[active] = self.entry.labels[target.name]  # type: ignore[union-attr]
                return steps
            if i.name in ("ret", "exit"):
                self.done[active] = True
                if len(active) == len(lanes):
                    return steps
                self.counter[lanes] = place + 1
                return steps
            if i.name in ("bar", "barrier"):
                self.counter[lanes] = place + 1
                self.waiting[lanes] = True
                return steps
            if len(active):
                self._execute(i, active)
            place += 1
            if place in self.leaders:
                self.counter[lanes] = place
                return steps

    def _release(self) -> None:
        """Let the blocks go on whose threads all wait at one barrier."""
        waiting, done, place = [a.reshape(self.blocks, self.threads) for a in (self.waiting, self.done, self.counter)]
        full = (waiting | done).all(1) & waiting.any(1)
        last = np.where(waiting, place, -1).max(1)
        first = np.where(waiting, place, len(self.entry.instructions) + 1).min(1)
        if (full & (first != last)).any():
            raise PtxError(f"divergent barrier in {self.entry.name}: threads of a block wait at different places")
        self.traffic.exited_at_barrier += int((full & done.any(1)).sum())
        waiting[full] = False
        self.epoch[full] += 1

    def _do_call(self, i: Instruction, lanes: np.ndarray) -> None:
        """Run a function, which has no barriers, to its end; it has registers, local memory and arguments of its own."""
        results, name, *arguments = i.operands if isinstance(i.operands[0], tuple) else ((), *i.operands)
        function = self.entry.functions[name.name]  # type: ignore[union-attr]
        function.functions = self.entry.functions
        passed = [self.slots[o.name] for o in (arguments[0] if arguments else ())]  # type: ignore[index, union-attr]
        names = ("entry", "registers", "local", "slots", "leaders", "counter", "waiting", "done")
        kept = {name: getattr(self, name) for name in names}
        self.entry, self.registers, self.leaders = function, {}, set(function.labels.values())
        self.local = np.zeros((len(self.lane), max(8, -(-function.local.size // 8) * 8)), np.uint8)
        self.slots = dict(zip(function.parameters.offsets, passed))
        self.counter, self.waiting = np.zeros_like(self.counter), np.zeros_like(self.waiting)
        self.done = np.ones_like(self.done)
        self.done[lanes] = False
        self.run()
        returned = self.slots.get(function.result)
        for name, value in kept.items():
            setattr(self, name, value)
        for o in results:
            self.slots[o.name] = returned  # type: ignore[assignment]

    # ---- operands ----

    def _array(self, name: str) -> np.ndarray:
        found = self.registers.get(name)
        if found is None:
            kind = self.entry.register_type(name)
            dtype = bool if kind == "pred" else UNSIGNED[int(kind[1:])]
            found = self.registers[name] = np.zeros(len(self.lane), dtype)
        return found

    def _read(self, operand: Any, kind: str, lanes: np.ndarray) -> Lanes:
        """Return an operand as numbers of a type, one for each lane."""
        dtype = numpy_type(kind)
        if isinstance(operand, Immediate):
            return np.broadcast_to(operand.as_type(dtype), len(lanes))
        if isinstance(operand, Symbol):
            return np.broadcast_to(np.array(self._symbol(operand.name), np.uint64).astype(dtype), len(lanes))
        if operand.name in self.special:
            return self.special[operand.name][lanes].astype(dtype)
        values = self._array(operand.name)[lanes]
        if dtype.kind == "b":
            return ~values if operand.negated else values
        if values.dtype.itemsize != dtype.itemsize:
            values = values.astype(UNSIGNED[8 * dtype.itemsize])
        return values.view(dtype)

    def _write(self, operand: Any, values: Lanes, lanes: np.ndarray) -> None:
        if operand.name == "_":
            return
        register = self._array(operand.name)
        if register.dtype == bool:
            register[lanes] = values
            return
        if values.dtype.itemsize != register.dtype.itemsize:  # wider registers take the sign along
            signed = values.dtype.kind == "i"
            raw = values if signed else values.view(UNSIGNED[8 * values.dtype.itemsize])
            values = raw.astype(np.dtype(f"{'i' if signed else 'u'}{register.dtype.itemsize}"))
        register[lanes] = values.view(register.dtype)

    def _symbol(self, name: str) -> int:
        for table in (self.entry.shared.offsets, self.entry.local.offsets, self.constants):
            if name in table:
                return table[name]
        raise PtxError(f"unknown symbol {name}")

    def _address(self, operand: Address, lanes: np.ndarray) -> np.ndarray:
        if isinstance(operand.base, Symbol):
            if operand.base.name in self.entry.parameters.offsets:
                base = self.entry.parameters.offsets[operand.base.name]
            else:
                base = self._symbol(operand.base.name)
            return np.full(len(lanes), base + operand.offset, np.int64)
        return self._array(operand.base.name)[lanes].astype(np.int64) + operand.offset

    # ---- instructions ----

    def _execute(self, i: Instruction, lanes: np.ndarray) -> None:
        method = getattr(self, f"_do_{i.name}", None)
        if method is not None:
            method(i, lanes)
        elif i.name not in IGNORED:
            sources = [self._read(o, t, lanes) for o, t in zip(i.operands[1:], source_types(i))]
            self._write(i.operands[0], compute(i, sources), lanes)

    def _do_mov(self, i: Instruction, lanes: np.ndarray) -> None:
        target, source = i.operands
        if isinstance(source, tuple):  # join the halves
            part = f"b{int(i.type[1:]) // 2}"
            low, high = (self._read(o, part, lanes).astype(numpy_type(i.type)) for o in source)
            self._write(target, high << low.dtype.type(int(part[1:])) | low, lanes)
        elif isinstance(target, tuple):  # part them
            half = int(i.type[1:]) // 2
            whole = self._read(source, i.type, lanes)
            for k, o in enumerate(target):
                self._write(o, (whole >> whole.dtype.type(half * k)).astype(UNSIGNED[half]), lanes)
        else:
            self._write(target, self._read(source, i.type, lanes), lanes)

    def _do_cvta(self, i: Instruction, lanes: np.ndarray) -> None:
        base = np.uint64({"shared": SHARED, "local": LOCAL}.get(i.space, 0))
        x = self._read(i.operands[1], "u64", lanes)
        self._write(i.operands[0], x - base if "to" in i.modifiers else x + base, lanes)

    def _do_setp(self, i: Instruction, lanes: np.ndarray) -> None:
        targets, x, y, *rest = i.operands
        result = compare(i.modifiers[0], self._read(x, i.type, lanes), self._read(y, i.type, lanes))
        if rest:
            other = self._read(rest[0], "pred", lanes)
            result = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}[i.modifiers[1]](result, other)
        both = targets if isinstance(targets, tuple) else (targets,)
        for target, value in zip(both, (result, ~result)):
            self._write(target, value, lanes)

    def _do_selp(self, i: Instruction, lanes: np.ndarray) -> None:
        target, x, y, chosen = i.operands
        pair = [self._read(o, i.type, lanes) for o in (x, y)]
        self._write(target, np.where(self._read(chosen, "pred", lanes), *pair), lanes)

    def _do_ld(self, i: Instruction, lanes: np.ndarray) -> None:
        target, address = i.operands
        targets = target if isinstance(target, tuple) else (target,)
        slot = self._slot(i, address)
        if slot is not None:
            self._write(
                target,
                slot[lanes].reshape(-1).view(numpy_type(i.type))[:: slot.shape[1] // numpy_type(i.type).itemsize],
                lanes,
            )
            return
        for o, values in zip(targets, self._access(i, self._address(address, lanes), lanes, None)):  # type: ignore[arg-type]
            self._write(o, values, lanes)

    _do_ldu = _do_ld

    def _do_st(self, i: Instruction, lanes: np.ndarray) -> None:
        address, source = i.operands
        sources = source if isinstance(source, tuple) else (source,)
        if i.space == "param":
            name = address.base.name  # type: ignore[union-attr]
            slot = self.slots.setdefault(name, np.zeros((len(self.lane), 8), np.uint8))
            raw = np.ascontiguousarray(self._read(source, i.type, lanes)).view(np.uint8).reshape(len(lanes), -1)
            slot[lanes, : raw.shape[1]] = raw
            return
        values = [self._read(o, i.type, lanes) for o in sources]
        self._access(i, self._address(address, lanes), lanes, values)  # type: ignore[arg-type]

    def _slot(self, i: Instruction, address: Any) -> np.ndarray | None:
        """Return what a call passes, if an access means that."""
        if i.space != "param" or not isinstance(address.base, Symbol):
            return None
        return self.slots.get(address.base.name)

    def _do_shfl(self, i: Instruction, lanes: np.ndarray) -> None:
        target, source, which, clamp, *_ = i.operands
        values = self._read(source, i.type, lanes)
        b, c = (self._read(o, "u32", lanes).astype(np.int64) for o in (which, clamp))
        lane, segment = self.lane[lanes], c >> 8 & 31
        first, last = lane & segment, lane & segment | c & 31 & ~segment
        mode = i.modifiers[1]
        place = {"up": lane - b, "down": lane + b, "bfly": lane ^ b, "idx": first | b & ~segment}[mode]
        inside = place >= last if mode == "up" else place <= last
        place = np.where(inside, place, lane)
        table = np.zeros((self.blocks * self.warps_per_block, 32), values.dtype)
        present = np.zeros(table.shape, bool)
        table[self.warp[lanes], lane], present[self.warp[lanes], lane] = values, True
        if not present[self.warp[lanes], place].all():
            raise PtxError(f"a shuffle reads a lane that is not there: {i.text}")
        targets = target if isinstance(target, tuple) else (target,)
        for o, result in zip(targets, (table[self.warp[lanes], place], inside)):
            self._write(o, result, lanes)

    def _do_vote(self, i: Instruction, lanes: np.ndarray) -> None:
        chosen = self._read(i.operands[1], "pred", lanes)
        bits = np.zeros(self.blocks * self.warps_per_block, np.uint32)
        present = np.zeros_like(bits)
        mine = np.uint32(1) << self.lane[lanes].astype(np.uint32)
        np.bitwise_or.at(bits, self.warp[lanes], np.where(chosen, mine, np.uint32(0)))
        np.bitwise_or.at(present, self.warp[lanes], mine)
        how = next(m for m in i.modifiers if m in ("all", "any", "ballot"))
        result = {"all": bits == present, "any": bits != 0, "ballot": bits}[how]
        self._write(i.operands[0], result[self.warp[lanes]], lanes)

    def _do_atom(self, i: Instruction, lanes: np.ndarray) -> None:
        """Atomics on integers, lane after lane: those on floats would depend on the order, and no kernel uses them."""
        if i.type[0] == "f":
            raise PtxError(f"an atomic operation on floats gives another result in another order: {i.text}")
        address, value, *rest = i.operands[1:] if i.name == "atom" else i.operands
        flat, places = self._cells(i, self._address(address, lanes), lanes)  # type: ignore[arg-type]
        flat = flat.view(numpy_type(i.type))
        x = self._read(value, i.type, lanes)
        swap = self._read(rest[0], i.type, lanes) if rest else x
        how = next(m for m in i.modifiers if m in ("add", "min", "max", "and", "or", "xor", "exch", "cas"))
        old = np.empty_like(x)
        for k, cell in enumerate(places):
            was = old[k] = flat[cell]
            flat[cell] = {
                "add": lambda a, b, c: a + b, "min": lambda a, b, c: min(a, b), "max": lambda a, b, c: max(a, b),
                "and": lambda a, b, c: a & b, "or": lambda a, b, c: a | b, "xor": lambda a, b, c: a ^ b,
                "exch": lambda a, b, c: b, "cas": lambda a, b, c: c if a == b else a,
            }[how](was, x[k], swap[k])  # fmt: skip
        if i.name == "atom":
            self._write(i.operands[0], old, lanes)

    _do_red = _do_atom

    # ---- memory ----

    def _access(
        self, i: Instruction, address: np.ndarray, lanes: np.ndarray, values: list[Lanes] | None
    ) -> list[np.ndarray]:
        """Load elements for each lane, or store them."""
        dtype = numpy_type(i.type)
        flat, first = self._cells(i, address, lanes, values is not None)
        if values is None:
            return [flat[first + k].view(dtype) for k in range(i.count)]
        for k, value in enumerate(values):
            flat[first + k] = np.ascontiguousarray(value).view(flat.dtype)
        return []

    def _cells(
        self, i: Instruction, address: np.ndarray, lanes: np.ndarray, store: bool | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return a memory as cells of the access's width, and the first cell of each lane; `store` is None for atomics."""
        width = numpy_type(i.type).itemsize
        size = width * i.count
        space = i.space
        if space == "generic":
            upper = int(address[0]) >> 56
            space = ("global", "shared", "local")[upper]
            address = address & (1 << 56) - 1
        self._require(address % size == 0, "misaligned access", i, lanes, address)
        cells = UNSIGNED[8 * width]
        if space in ("global", "const"):
            place = address - GLOBAL
            known = (place >= 0) & (place + size <= self.memory.bytes.size)
            self._require(known, "access outside of memory", i, lanes, address)
            inside = self.memory.valid[place] & self.memory.valid[place + size - 1]
            self._require(inside, f"out-of-bounds global {'store' if store else 'load'}", i, lanes, address)
            if self.counts:
                self._count_sectors("store" if store else "load", place, size, lanes)
            return self.memory.bytes.view(cells), place // width
        if space == "shared":
            known = (address >= 0) & (address + size <= self.entry.shared.size)
            self._require(known, "out-of-bounds shared access", i, lanes, address)
            if self.checks and store is not None:
                self._check_races(i, address, size, lanes, store)
            if self.counts:
                self._count_turns("store" if store else "load", address, size, lanes)
            return self.shared.reshape(-1).view(cells), (self.block_of[lanes] * self.shared.shape[1] + address) // width
        if space == "local":
            known = (address >= 0) & (address + size <= self.entry.local.size)
            self._require(known, "out-of-bounds local access", i, lanes, address)
            return self.local.reshape(-1).view(cells), (lanes * self.local.shape[1] + address) // width
        return self.parameters.view(cells), address // width

    def _require(self, good: np.ndarray, what: str, i: Instruction, lanes: np.ndarray, address: np.ndarray) -> None:
        if good.all():
            return
        bad = int(np.flatnonzero(~good)[0])
        thread, block = ([int(self.special[f"%{p}.{a}"][lanes[bad]]) for a in "xyz"] for p in ("tid", "ctaid"))
        raise PtxError(
            f"{self.entry.name}: {what} at {int(address[bad]):#x} by thread {thread} of block {block}: {i.text}"
        )

    def _check_races(self, i: Instruction, address: np.ndarray, size: int, lanes: np.ndarray, store: bool) -> None:
        """Two threads may not meet at a word between two barriers, unless both read."""
        block = self.block_of[lanes]
        epoch = self.epoch[block]
        for start in range(0, size, 4):
            at = block, address + start >> 2
            others_wrote = (self.write_epoch[at] == epoch) & (self.writer[at] != lanes)
            others_read = (self.read_epoch[at] == epoch) & (self.reader[at] != lanes)
            if store:
                self._require(~(others_wrote | others_read), "shared-memory race", i, lanes, address)
                self.writer[at], self.write_epoch[at], self.written[at] = lanes, epoch, True
                self._require(self.writer[at] == lanes, "two threads write one shared word", i, lanes, address)
            else:
                self._require(self.written[at], "shared memory read before it is written", i, lanes, address)
                self._require(~others_wrote, "shared-memory race", i, lanes, address)
                self.reader[at], self.read_epoch[at] = np.where(others_read, SEVERAL, lanes), epoch
                met = self.reader[at] != lanes  # several lanes of this instruction read one word
                self.reader[block[met], (address[met] + start) >> 2] = SEVERAL

    def _count_sectors(self, kind: str, place: np.ndarray, size: int, lanes: np.ndarray) -> None:
        warp = self.warp[lanes].astype(np.int64)
        sectors = len(np.unique(warp << 40 | place >> 5))
        distinct = len(np.unique(warp << 40 | place)) * size
        requests = len(np.unique(warp))
        self.traffic.requests[kind] += requests
        self.traffic.sectors[kind] += sectors
        self.traffic.least_sectors[kind] += max(requests, -(-distinct // 32))

    def _count_turns(self, kind: str, address: np.ndarray, size: int, lanes: np.ndarray) -> None:
        """A warp moves 32 banks of 4 bytes in a turn; accesses of 8 and 16 bytes go in 2 and 4 parts of the warp."""
        words = max(1, size // 4)
        part = self.warp[lanes] * 4 + (self.lane[lanes] * words // 32 if words > 1 else 0)
        touched = np.concatenate([np.stack([part, (address >> 2) + k], 1) for k in range(words)])
        touched = np.unique(touched, axis=0)  # lanes at one word share it
        bank = touched[:, 0] * 32 + touched[:, 1] % 32
        parts = np.unique(touched[:, 0])
        values, counts = np.unique(bank, return_counts=True)
        most = np.zeros(len(parts), np.int64)
        np.maximum.at(most, np.searchsorted(parts, values // 32), counts)
        self.traffic.turns[kind] += int(most.sum())
        self.traffic.least_turns[kind] += len(parts)


def launch(
    memory: Memory, entry: Entry, grid: Sequence[int], block: Sequence[int], arguments: Sequence[Any], **options: bool
) -> Traffic:
    """Run a kernel; arguments are NumPy scalars, and addresses as int."""
    return Machine(memory, entry, grid, block, arguments, **options).run()
