"""Write the tables of docs/gpu.md: python tests/gpu/report.py (with the extra `gpucheck`; figures of kernels from baselines.json)."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn import backends, models
from tinygrad_cnn.backends.cuda.driver import LaunchList
from tinygrad_cnn.backends.cuda.launch import SPECS, Kernel
from tinygrad_cnn.backends.cuda.layers import CudaBackend
from tinygrad_cnn.nn import functional as F

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "gpu.md"
# Data sheets: bytes and float32 operations in a second, without tensor cores.
DEVICES = {"A100": (1.56e12, 19.5e12), "H100": (3.35e12, 67e12)}
# What a result is, the bytes that it must move in float32, and the operations, of which exp and the like count as one.
COSTS: dict[str, tuple[str, float, float]] = {
    "flat": ("element of a sum", 12, 1), "flat4": ("element of a sum", 12, 1), "strided": ("element of a sum", 12, 1),
    "reduce_by_thread": ("number added", 4, 1), "reduce_by_block": ("number added", 4, 1),
    "arg_parts": ("number compared", 4, 1), "scan": ("element", 8, 1), "argsort": ("element of rows of 100", 12, 100),
    "matmul": ("element, 4096 x 4096", 12, 8192),
    "conv2d": ("output, 3x3, 64 to 64 channels", 8, 1152), "conv2d_input_grad": ("input, the same", 8, 1152),
    "conv2d_weight_grad": ("output, the same", 8, 1152), "grouped_conv2d": ("output, 3x3 depthwise", 8, 18),
    "grouped_conv2d_input_grad": ("input, the same", 8, 18), "grouped_conv2d_weight_grad": ("output, the same", 8, 18),
    "im2col": ("element of 3x3 patches", 4.4, 0), "col2im": ("pixel of 3x3 patches", 40, 9),
    "max_pool2d": ("output, 2x2", 21, 3), "max_pool2d_grad": ("input, 2x2", 5.25, 1),
    "max_pool2d_gather": ("output", 9, 0), "max_pool2d_indices": ("output", 9, 1), "avg_pool2d": ("output, 2x2", 20, 4),
    "avg_pool2d_grad": ("input, 2x2", 5, 1), "batch_norm": ("element, x read three times", 16, 8),
    "batch_norm_grad": ("element, dy and x read twice", 20, 12), "normalise": ("element", 8, 4),
    "local_response_norm": ("element, 5 channels", 8, 14), "local_response_norm_grad": ("element, 5 channels", 12, 80),
    "softmax": ("element, x read three times", 16, 5), "softmax_grad": ("element, in two passes", 20, 4),
    "cross_entropy": ("score, in three passes", 20, 4), "total_loss": ("loss", 12, 2), "count_targets": ("target", 8, 1),
    "cross_entropy_grad": ("score", 8, 2), "gather": ("element", 16, 0), "scatter": ("element, 10 places each", 92, 10),
    "take": ("element", 16, 0), "take_rows": ("element of long rows", 8, 0), "put": ("element", 24, 0),
    "put_sums": ("value", 12, 1), "sample": ("output, 4 terms, 64 channels", 20.5, 8),
    "sample_input_grad": ("input, 4 terms, 28x28 results", 8, 6272), "sample_weight_grad": ("weight, 64 channels", 324, 128),
    "resample": ("output, 2 taps", 12, 4), "gather_images": ("pixel", 5, 0), "random_bits": ("word", 4, 20),
    "random_uniform": ("number", 4, 22), "random_normal": ("number, in float64", 4, 50), "dropout": ("element", 8, 21),
    "sgd": ("parameter, with momentum", 20, 6), "adam": ("parameter", 28, 15),
}  # fmt: skip


class CountingDriver(LaunchList):
    """Counts launches and computes nothing."""

    def __init__(self) -> None:
        self.launches: list[str] = []
        self.top = 1 << 20

    def allocate(self, size: int) -> tuple[int, Any]:
        """Return a number that no other memory has."""
        self.top += size
        return self.top - size, None

    def free(self, address: int, size: int) -> None:
        """Forget nothing: there is no memory."""

    def upload(self, address: int, host: np.ndarray, wait: bool = True) -> None:
        """Copy nothing."""

    def download(self, address: int, host: np.ndarray) -> None:
        """Say that all is zero."""
        host[...] = 0

    def launch(self, kernel: Kernel, grid: tuple[int, int, int], arguments: list[Any]) -> None:
        """Count."""
        self.launches.append(kernel.name)

    def synchronize(self) -> None:
        """Wait for nothing."""


def launches(model: tg.nn.Module, images: tg.Tensor, joined: bool) -> Counter[str]:
    """Return the kernels of one training step in the steady state.

    Without `joined` each module runs by itself, as those do that have hooks, and each parameter has an optimiser of its own.
    """
    driver = CountingDriver()
    backends.register("cuda", lambda: CudaBackend(driver))
    model = model.to("cuda")
    for module in () if joined else model.modules():
        module.register_forward_hook(lambda *_: None)
    parameters = list(model.parameters())
    groups = [parameters] if joined else [[p] for p in parameters]
    optimizers = [tg.optim.SGD(group, lr=0.1, momentum=0.9, weight_decay=1e-4) for group in groups]
    x, t = images.to("cuda"), tg.zeros(images.shape[0], dtype=tg.int64).to("cuda")
    for _ in range(2):
        driver.launches.clear()
        for p in parameters:
            p.grad = None
        F.cross_entropy(model(x), t).backward()
        for optimizer in optimizers:
            optimizer.step()
    return Counter(driver.launches)


def bound(cost: tuple[str, float, float], device: str) -> str:
    """Return how many results a second memory or arithmetic allow, in 10 ** 9."""
    bandwidth, arithmetic = DEVICES[device]
    moved, computed = bandwidth / cost[1], arithmetic / max(cost[2], 1e-9)
    return f"{min(moved, computed) / 1e9:,.0f}{' (arithmetic)' if computed < moved else ''}"


def kernels() -> str:
    """Return the table of kernels."""
    known = json.loads((HERE / "baselines.json").read_text())
    columns = (
        "kernel",
        "threads",
        "registers",
        "shared",
        "occupancy",
        "sectors",
        "for each",
        "bytes",
        "operations",
        *DEVICES,
    )
    lines = [" | ".join(("", *columns, "")).strip(), "|" + "---|" * len(columns)]
    for name, row in SPECS.items():
        a, b = known[f"{name} sm_80"], known[f"{name} sm_90"]
        cells = [
            f"`{name}`", row.threads, f"{a['registers']} / {b['registers']}", row.shared or "",
            f"{a['occupancy']:.0%} / {b['occupancy']:.0%}", f"{row.sectors[0]:g} / {row.sectors[1]:g}",
            *(f"{c:g}" if isinstance(c, (float, int)) else c for c in COSTS[name]),
            *(bound(COSTS[name], device) for device in DEVICES),
        ]  # fmt: skip
        lines.append(" | ".join(map(str, ("", *cells, ""))).strip())
    return "\n".join(lines)


def steps() -> str:
    """Return the table of launches."""
    lines = [
        "| training step | each module and parameter by itself | fused | of which | recorded as a graph |",
        "|---|---|---|---|---|",
    ]
    for name, make, images in (
        ("LeNet-5", models.lenet5, tg.zeros(2, 1, 28, 28)), ("ResNet-20", models.resnet20, tg.zeros(2, 3, 32, 32)),
    ):  # fmt: skip
        alone, counted = (launches(make(), images, joined) for joined in (False, True))
        most = ", ".join(f"{count} `{kernel}`" for kernel, count in counted.most_common(6))
        lines.append(f"| {name} | {alone.total()} | {counted.total()} | {most} ... | 1 |")
    return "\n".join(lines)


if __name__ == "__main__":
    text = PAGE.read_text()
    for mark, table in (("kernels", kernels()), ("steps", steps())):
        text = re.sub(
            rf"(<!-- {mark} -->\n).*?(<!-- end -->)", lambda m, t=table: m[1] + t + "\n" + m[2], text, flags=re.S
        )
    PAGE.write_text(text)
