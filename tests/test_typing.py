"""What a user's type checker sees."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from typed import program


def test_the_program_runs(capsys: pytest.CaptureFixture[str]) -> None:
    program.main()
    assert float(capsys.readouterr().out) > 0


@pytest.mark.skipif(find_spec("mypy") is None, reason="needs mypy")
def test_a_users_program_passes_mypy_strict() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", program.__file__]
    result = subprocess.run(command, capture_output=True, text=True, cwd=Path(program.__file__).parents[2], check=False)
    assert result.returncode == 0, result.stdout
