"""python -m benchmarks.layouts: what a layout of images that is kept between operations could save at most.

The kernels of convolution are built once more without what they only do because images are NCHW: copies into strips and phases,
transposition of sums and of output gradients, shuffles of pixels and points.  They give wrong results in less time, and the
difference is an upper bound, since in another layout something else would have to read the images.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn import _ext
from tinygrad_cnn.backends import get_backend
from tinygrad_cnn.backends.cpu import CpuBackend

from .frameworks import Ours
from .timing import alternate
from .workloads import WORKLOADS, Workload

EXT = Path(__file__).parents[1] / "ext"
DIRECTIVES = ["-X", "boundscheck=False,cdivision=True,initializedcheck=False,wraparound=False"]
FAMILIES = ("conv", "conv_weights", "pooled", "winograd")
KERNELS = [
    *(f"conv2d{part}" for part in ("", "_input_grad", "_weight_grad")),
    *(f"pooled_conv2d{part}" for part in ("", "_input_grad", "_weight_grad")),
]
SHUFFLES = {"evens": "a", "odds": "b", "zip_low": "a", "zip_high": "b"}
IN_PLACE = "".join(
    f"#define {near}{name}(a, b) ({same})\n" for name, same in SHUFFLES.items() for near in ("", "near_")
)
MAPS = """    for b in range(conv.across):
        size = rows * parts[b].ow
        copy_row(sums + b * apart + image * size * span, size * outputs, y + b * size * outputs)
    return
    if conv.across == 1 and"""
REPLACED = [  # (file, text, what stands there instead)
    (
        "convolution.pxd",
        "    for n in range(count):\n        load_phases",
        "    for n in range(0):\n        load_phases",
    ),
    ("conv.pyx", "    if conv.across == 1 and", MAPS),
    (
        "conv_weights.pyx",
        "        for n in range(images):\n            transpose(",
        "        for n in range(0):\n            transpose(",
    ),
    (
        "conv_weights.pyx",
        "    for o in range(g.s.o):\n        copy_lines(",
        "    for o in range(0):\n        copy_lines(",
    ),
    ("pooled.pyx", "    to += p.window.pt * p.pitch", "    return\n    to += p.window.pt * p.pitch"),
    ("pooled.pyx", "    source += p.window.pt * p.pitch", "    return\n    source += p.window.pt * p.pitch"),
    ("winograd.h", "enum { MOST_OUTPUTS", IN_PLACE + "enum { MOST_OUTPUTS"),
    ("winograd.h", "    for (ptrdiff_t c = 0; c < width; c += LANES)", "    for (ptrdiff_t c = 0; c < 0; c += LANES)"),
]


def edit(ext: Path) -> None:
    """Copy the sources, without copies of images."""
    shutil.copytree(EXT, ext)
    for name, text, instead in REPLACED:
        source = (ext / name).read_text()
        if source.count(text) != 1:
            raise RuntimeError(f"layouts: {name} should contain once, and not {source.count(text)} times: {text!r}")
        (ext / name).write_text(source.replace(text, instead))


def build(folder: Path) -> dict[str, Any]:
    """Return the modules without copies, by family."""
    ext = folder / "ext"
    edit(ext)
    flags = re.findall(r'"(-(?:O3|std|fno)[^"]*)"', (EXT.parent / "setup.py").read_text())
    march = [f"-march=x86-64-{_ext.LEVEL}"] if _ext.LEVEL.startswith("v") else []
    modules = {}
    for family in FAMILIES:
        subprocess.run(["cython", "-3", "-w", str(ext), *DIRECTIVES, f"{family}.pyx"], check=True)
        library = folder / f"{family}.so"
        include = f"-I{sysconfig.get_path('include')}"
        command = ["cc", *flags, *march, "-DREAL=float", "-w", "-shared", "-fPIC", f"-I{ext}", include]
        subprocess.run([*command, str(ext / f"{family}.c"), "-o", str(library)], check=True)
        spec: Any = importlib.util.spec_from_file_location(family, library)
        modules[family] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(modules[family])
    return modules


class Kept(CpuBackend):
    """Kernels without copies."""

    def __init__(self, modules: dict[str, Any]) -> None:
        super().__init__()
        self._without = modules

    def _kernels(self, family: str, dtype: np.dtype) -> Any:
        return self._without.get(family) or super()._kernels(family, dtype)


def calls_of(step: Callable[[], Any]) -> dict[str, tuple[Any, int]]:
    """Return the convolutions of a step by name and shapes: the arguments of one, and how many there are."""
    cpu, seen = get_backend("cpu"), {}

    def noting(name: str) -> Callable[..., Any]:
        kernel = getattr(cpu, name)

        def run(*args: Any) -> Any:
            shapes = [a.shape for a in args if isinstance(a, np.ndarray) and a.ndim == 4]
            key = f"{name} {shapes[0]} {shapes[-1]}"
            seen[key] = ((name, args), seen.get(key, (None, 0))[1] + 1)
            return kernel(*args)

        return run

    for name in KERNELS:
        setattr(cpu, name, noting(name))
    try:
        step()
    finally:
        for name in KERNELS:
            delattr(cpu, name)
    return seen


def report(work: Workload, kept: Kept, seconds: float) -> None:
    """Print a line for each convolution of a training step, and one for all."""
    step = work.build(Ours(), np.random.default_rng(0))
    clock = time.process_time
    whole = alternate({"step": step}, seconds, clock=clock)["step"].median
    saved = total = 0.0
    print(f"\n{work.name}: {whole * 1e3:.1f} ms")
    for key, ((name, args), count) in calls_of(step).items():
        sides = {side: partial(getattr(b, name), *args) for side, b in (("now", get_backend("cpu")), ("kept", kept))}
        times = {side: timing.median for side, timing in alternate(sides, seconds, clock=clock).items()}
        saved += count * max(0.0, times["now"] - times["kept"])
        total += count * times["now"]
        print(
            f"{count:>3} x {key:<72}{times['now'] * 1e3:>9.3f} ms{1 - times['kept'] / times['now']:>7.0%}", flush=True
        )
    print(f"all convolutions: {total / whole:.0%} of the step; copies at most {saved / whole:.1%} of it")


def main() -> None:
    """Print what each training step could save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layouts", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="training steps whose name contains TEXT")
    parser.add_argument("--seconds", type=float, default=0.5, metavar="PER_CONVOLUTION")
    args = parser.parse_args()
    tg.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept(build(Path(folder)))
        for work in WORKLOADS:
            if work.network and "SGD" in work.name and args.only.lower() in work.name.lower():
                report(work, kept, args.seconds)


if __name__ == "__main__":
    main()
