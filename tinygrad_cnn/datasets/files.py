"""Where data files are: given folders, $TINYGRAD_CNN_DATA, the user's cache, and at last the network."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "TINYGRAD_CNN_DATA"


def cache_folder() -> Path:
    """Return the user's folder for downloaded data."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "tinygrad_cnn"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/tinygrad_cnn").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tinygrad_cnn"


def search_path(root: str | os.PathLike[str] | None, layout: str, folder: str) -> list[Path]:
    """Return the folders to look in: `root` in torchvision's `layout` or as it is, $TINYGRAD_CNN_DATA, the cache."""
    places = [Path(root).expanduser() / layout, Path(root).expanduser()] if root is not None else []
    shared = os.environ.get(VARIABLE)
    if shared:
        places += [Path(shared).expanduser() / folder, Path(shared).expanduser() / layout]
    return [*places, cache_folder() / folder]


def find(names: Sequence[str], places: Sequence[Path]) -> Path | None:
    """Return the first file that exists, by place and then by name."""
    for place in places:
        for name in names:
            if (place / name).is_file():
                return place / name
    return None


def missing(name: str, places: Sequence[Path], why: str) -> RuntimeError:
    """Return the error that says which file is missing and where to put it."""
    looked = "\n  ".join(str(place) for place in places)
    return RuntimeError(
        f"{name} was not found, and {why}. Put it into one of\n  {looked}\n"
        f"or set {VARIABLE} to a folder that has it (sub-folders mnist, fashion-mnist, kmnist, cifar10, cifar100)."
    )


def download(name: str, sha256: str, mirrors: Sequence[str], target: Path, places: Sequence[Path]) -> Path:
    """Fetch a file from the first mirror that has it with the right SHA-256; `target` holds all of it or does not exist."""
    try:
        import pooch
    except ImportError:
        raise missing(name, places, "downloading needs the package pooch (pip install 'tinygrad_cnn[data]')") from None
    failures = []
    target.mkdir(parents=True, exist_ok=True)
    for mirror in mirrors:
        try:
            # Into a folder beside the target: a file that arrives whole and right is moved there in one step.
            with tempfile.TemporaryDirectory(dir=target) as folder:
                fetched = pooch.retrieve(
                    f"{mirror}{name}", f"sha256:{sha256}", fname=name, path=folder,
                    downloader=pooch.HTTPDownloader(timeout=30),
                )  # fmt: skip
                Path(fetched).replace(target / name)
            return target / name
        except Exception as error:  # whatever a mirror fails with, the next one may work
            failures.append(f"{mirror}: {type(error).__name__}: {str(error)[:120]}")
    raise missing(name, places, "no mirror could be used (" + "; ".join(failures) + ")")
