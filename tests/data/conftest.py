"""Tests of data sets see no data but their own, and no network."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tinygrad_cnn.datasets import files


@pytest.fixture(autouse=True)
def _no_data_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide $TINYGRAD_CNN_DATA and the user's cache."""
    monkeypatch.delenv(files.VARIABLE, raising=False)
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "cache")


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail at any connection."""

    def refuse(*args: object) -> None:
        raise AssertionError(f"the network was used: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
