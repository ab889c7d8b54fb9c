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


def launches(model: tg.nn.Module, images: tg.Tensor) -> Counter[str]:
    """Return the kernels of one training step in the steady state."""
    driver = CountingDriver()
    backends.register("cuda", lambda: CudaBackend(driver))
    model = model.to("cuda")
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    x, t = images.to("cuda"), tg.zeros(images.shape[0], dtype=tg.int64).to("cuda")
    for _ in range(2):
        driver.launches.clear()
        optimizer.zero_grad()
        F.cross_entropy(model(x), t).backward()
        optimizer.step()
    return Counter(driver.launches)


def kernels() -> str:
    """Return the table of kernels."""
    known = json.loads((HERE / "baselines.json").read_text())
    lines = ["| kernel | threads | registers sm_80 / sm_90 | shared, bytes | occupancy | multiply-adds in the hottest loop |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for name, row in SPECS.items():
        a, b = known[f"{name} sm_80"], known[f"{name} sm_90"]
        share = f"{min(a['fma_share'], b['fma_share']):.0%}" if row.fma_share else ""
        lines.append(
            f"| `{name}` | {row.threads} | {a['registers']} / {b['registers']} | {row.shared or ''} "
            f"| {a['occupancy']:.0%} / {b['occupancy']:.0%} | {share} |"
        )
    return "\n".join(lines)


def steps() -> str:
    """Return the table of launches."""
    lines = ["| training step | launches | of which | recorded as a graph |", "|---|---|---|---|"]
    for name, model, images in (
        ("LeNet-5", models.lenet5(), tg.zeros(2, 1, 28, 28)), ("ResNet-20", models.resnet20(), tg.zeros(2, 3, 32, 32)),
    ):  # fmt: skip
        counted = launches(model, images)
        most = ", ".join(f"{count} `{kernel}`" for kernel, count in counted.most_common(6))
        lines.append(f"| {name} | {counted.total()} | {most} ... | 1 |")
    return "\n".join(lines)


if __name__ == "__main__":
    text = PAGE.read_text()
    for mark, table in (("kernels", kernels()), ("steps", steps())):
        text = re.sub(rf"(<!-- {mark} -->\n).*?(\n<!-- end -->)", lambda m, t=table: m[1] + t + m[2], text, flags=re.S)
    PAGE.write_text(text)
