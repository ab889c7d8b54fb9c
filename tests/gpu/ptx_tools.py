"""What the assembler made of a kernel: registers, spills, shared memory, occupancy, and the machine code of its hottest loop."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

WARPS_PER_SM, BLOCKS_PER_SM, REGISTERS_PER_SM = 64, 32, 65536
SHARED_PER_SM = {(8, 0): 167936, (9, 0): 233472}  # bytes; each block has 1 KB of it for the system
_OPCODE = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)", re.M)


@dataclass(frozen=True)
class Report:
    """Figures of one kernel on one architecture."""

    registers: int
    stack: int
    spills: int
    shared: int
    blocks: int  # at once on a multiprocessor
    occupancy: float
    wide_loads: int  # of 16 bytes, from global memory
    wide_shared: int
    doubles: int  # instructions in double precision
    fma_share: float  # of the instructions of the loop with most of them

    def figures(self) -> dict[str, float]:
        """Return the figures as a dictionary."""
        return asdict(self)


def tool(name: str) -> str:
    """Return the path of a tool of the CUDA toolkit's wheels."""
    found = importlib.util.find_spec("nvidia")
    for place in found.submodule_search_locations if found else ():  # type: ignore[union-attr]
        for path in sorted(Path(place).glob(f"*/bin/{name}")):
            return str(path)
    raise FileNotFoundError(f"{name} is missing: pip install '.[gpucheck]'")


def occupancy(registers: int, shared: int, threads: int, capability: tuple[int, int]) -> tuple[int, float]:
    """Return how many blocks a multiprocessor holds at once, and the share of its warps that they are."""
    warps = -(-threads // 32)
    per_warp = -(-registers * 32 // 256) * 256  # registers are granted in units of 256 a warp
    blocks = min(
        BLOCKS_PER_SM, WARPS_PER_SM // warps, REGISTERS_PER_SM // (per_warp * warps),
        SHARED_PER_SM[capability] // (shared + 1024),
    )  # fmt: skip
    return blocks, blocks * warps / WARPS_PER_SM


def inspect(ptx: str, threads: int, capability: tuple[int, int]) -> Report:
    """Assemble PTX and read what came out."""
    arch = "sm_" + "".join(map(str, capability))
    with tempfile.TemporaryDirectory() as folder:
        source, cubin = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        source.write_text(ptx)
        command = [tool("ptxas"), "-v", f"-arch={arch}", str(source), "-o", str(cubin)]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        if said.returncode:
            raise RuntimeError(said.stderr)
        code = subprocess.run([tool("nvdisasm"), "-c", str(cubin)], capture_output=True, text=True, check=True).stdout
    registers = int(re.search(r"Used (\d+) reg", said.stderr).group(1))  # type: ignore[union-attr]
    shared = re.search(r"(\d+) bytes smem", said.stderr)
    stack, stores, loads = map(int, re.search(  # type: ignore[union-attr]
        r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", said.stderr
    ).groups())  # fmt: skip
    smem = int(shared.group(1)) if shared else 0
    opcodes = _OPCODE.findall(code)
    return Report(
        registers, stack, stores + loads, smem, *occupancy(registers, smem, threads, capability),
        sum(o.startswith("LDG.E.128") for o in opcodes), sum(o.startswith("LDS.128") for o in opcodes),
        sum(o[:4] in ("DADD", "DMUL", "DFMA", "DSET") or ".F64" in o for o in opcodes), hottest_share(code),
    )  # fmt: skip


def hottest_share(code: str) -> float:
    """Return the share of FFMA in the stretch between labels and branches that has most of them."""
    best = (0, 0.0)
    for block in re.split(r"^\.L_x_\d+:", code, flags=re.M):
        opcodes = [o for o in _OPCODE.findall(block) if o != "NOP"]
        count = sum(o.startswith("FFMA") for o in opcodes)
        if count > best[0]:
            best = count, count / len(opcodes)
    return best[1]
