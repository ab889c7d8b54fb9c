"""show_config, and the number of threads."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import _ext


def config(capsys) -> dict[str, str]:
    tg.show_config()
    lines = capsys.readouterr().out.splitlines()
    return dict(line.split("  ", 1) for line in lines)


def test_show_config(capsys):
    shown = {name.strip(): value.strip() for name, value in config(capsys).items()}
    assert shown["tinygrad_cnn"] == tg.__version__
    assert shown["NumPy"] == np.__version__
    assert shown["Python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert shown["kernel level"].split()[0] == _ext.LEVEL
    assert _ext.LEVEL in shown["levels built"].split(", ")
    assert shown["levels of the processor"]
    assert shown["threads"].startswith(f"{tg.get_num_threads()} (")
    assert "OpenMP" in shown["threads"]
    assert shown["devices"].startswith("cpu")
    assert shown["CUDA"]


def test_show_config_lines_up(capsys):
    tg.show_config()
    lines = capsys.readouterr().out.splitlines()
    starts = {len(line) - len(line[line.index("  ") :].lstrip()) for line in lines}
    assert len(starts) == 1


def test_set_num_threads(capsys):
    before = tg.get_num_threads()
    tg.set_num_threads(3)
    assert tg.get_num_threads() == 3
    tg.show_config()
    assert "\nthreads                  3 (" in capsys.readouterr().out
    tg.set_num_threads(before)


@pytest.mark.parametrize("value", [0, -1, 1.0, "2", None, True], ids=repr)
def test_set_num_threads_errors(value):
    before = tg.get_num_threads()
    with pytest.raises(RuntimeError, match=f"expected a positive int, got {value!r}"):
        tg.set_num_threads(value)
    assert tg.get_num_threads() == before


@pytest.mark.parametrize(("value", "threads"), [("1", 1), ("5", 5), ("3,2", 3)])
def test_omp_num_threads_is_honoured(value, threads):
    environment = {**os.environ, "OMP_NUM_THREADS": value}
    code = "import tinygrad_cnn as tg; print(tg.get_num_threads())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == threads


def test_scripts_may_ask_for_a_gpu():
    device = tg.device("cuda" if tg.cuda.is_available() else "cpu")
    assert device.type == "cpu"
    assert tg.cuda.device_count() == 0
    tg.cuda.manual_seed_all(3)
    assert tg.initial_seed() == 3
    with pytest.raises(RuntimeError, match="device 'cuda'"):
        tg.zeros(2, device="cuda")


@pytest.mark.parametrize("value", ["0", "many", "", "-2"])
def test_omp_num_threads_that_makes_no_sense_is_ignored(value, monkeypatch):
    from tinygrad_cnn.config import available_threads

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    without = available_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert available_threads() == without >= 1


# ---- the algorithm of convolutions ----


def test_set_conv_algorithm(capsys):
    assert tg.get_conv_algorithm() == "auto"
    for name in ("direct", "winograd2", "winograd4", "exact"):
        tg.set_conv_algorithm(name)
        assert tg.get_conv_algorithm() == name
        shown = {key.strip(): value.strip() for key, value in config(capsys).items()}
        assert shown["convolution"].startswith(f"{name} (of auto, direct, ")
    tg.set_conv_algorithm("auto")


def test_set_conv_algorithm_in_a_with_block():
    with tg.set_conv_algorithm("direct"):
        assert tg.get_conv_algorithm() == "direct"
        with pytest.raises(KeyError), tg.set_conv_algorithm("winograd4"):
            raise KeyError
        assert tg.get_conv_algorithm() == "direct"
    assert tg.get_conv_algorithm() == "auto"


def test_a_set_conv_algorithm_can_be_used_again():
    direct = tg.set_conv_algorithm("direct")
    for _ in range(2):
        with direct:
            assert tg.get_conv_algorithm() == "direct"
        assert tg.get_conv_algorithm() == "auto"


@pytest.mark.parametrize("name", ["fast", "", None, 2])
def test_unknown_conv_algorithms_are_refused(name):
    with pytest.raises(ValueError, match="'auto', 'direct', 'winograd2', 'winograd4', 'exact', got"):
        tg.set_conv_algorithm(name)
    assert tg.get_conv_algorithm() == "auto"
