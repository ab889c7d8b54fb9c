"""Who may import whom (design.md, section 3), and what importing the package must not do."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_cnn

ROOT = Path(tinygrad_cnn.__file__).parent
# Lowest first: a file imports only from its own layer's folder and from layers before it.
LAYERS = [
    ["geometry", "dtypes", "random", "version"],
    ["_ext"],
    ["backends"],
    ["autograd"],
    ["ops"],
    ["tensor", "_repr"],
    ["creation"],
    ["nn", "optim", "utils", "testing", "serialization", "torch_files", "config", "transforms"],
    ["accelerator", "amp", "compat", "cuda", "linalg"],
    ["datasets", "models"],
    ["viz"],
    ["training"],
    ["__init__"],
]
LAYER_OF = {name: i for i, names in enumerate(LAYERS) for name in names}
FILES = sorted(ROOT.rglob("*.py"))


def part_of(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_parts(path: Path) -> set[str]:
    """Return which parts of the package a file imports, anywhere in it."""
    package = path.relative_to(ROOT.parent).with_suffix("").parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: -node.level]) if node.level else []
            base += node.module.split(".") if node.module else []
            names = [[*base, alias.name] for alias in node.names] if base == ["tinygrad_cnn"] else [base]
        else:
            continue
        found |= {name[1] for name in names if name[0] == "tinygrad_cnn" and len(name) > 1}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_from_below(path: Path) -> None:
    own = part_of(path)
    for other in imported_parts(path) - {own}:
        assert other in LAYER_OF, f"{path.name} imports {other}, which has no layer"
        assert LAYER_OF[other] < LAYER_OF[own] or LAYERS[LAYER_OF[own]].count(other), (
            f"{own} must not import {other}, which lies above it"
        )


def test_few_files_see_compiled_code() -> None:
    users = {str(p.relative_to(ROOT)) for p in FILES if "_ext" in imported_parts(p)} - {"_ext/__init__.py"}
    assert users == {"autograd/modes.py", "backends/cpu.py", "config.py"}


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=120
    ).stdout


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, threading; import numpy; before = set(sys.modules); import tinygrad_cnn;"
        "new = {m.split('.')[0] for m in set(sys.modules) - before};"
        "print(sorted(new & {'torch', 'numba', 'matplotlib', 'pooch', 'requests', 'scipy', 'pandas', 'PIL', 'tqdm', 'Cython'}),"
        "threading.active_count())"
    )
    assert run_python(code).strip() == "[] 1"


def test_public_names_are_listed_and_exist() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text())
    listed = set(tinygrad_cnn.__all__)
    imported = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert len(tinygrad_cnn.__all__) == len(listed), "a name is listed twice"
    assert imported - {"*"} - listed == set()
    assert all(hasattr(tinygrad_cnn, name) for name in tinygrad_cnn.__all__)


def test_a_process_forked_from_one_that_used_pytorch_can_train() -> None:
    pytest.importorskip("torch")
    code = (
        "import os, torch; x = torch.randn(512, 512, requires_grad=True); (x @ x).sum().backward(); pid = os.fork()\n"
        "if pid == 0:\n"
        "    import tinygrad_cnn as tg; model = tg.models.lenet5(); x = tg.randn(32, 1, 28, 28)\n"
        "    model(x).sum().backward(); os._exit(0 if 'tinygrad_cnn' in str(tg) else 1)\n"
        "print(os.waitpid(pid, 0)[1])"
    )
    assert run_python(code).strip() == "0"
