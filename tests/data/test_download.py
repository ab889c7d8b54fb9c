"""Downloads, from mirrors on this machine: more than one mirror, checksums, all or nothing."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import logging
import sys
import threading
from pathlib import Path

import pytest

from tinygrad_cnn.datasets import MNIST

from . import idx

pooch = pytest.importorskip("pooch", reason="downloading needs the package pooch: pip install 'tinygrad_cnn[data]'")
pytest.importorskip("requests", reason="downloading needs the package requests: pip install 'tinygrad_cnn[data]'")


class Mirror:
    """A server of files from memory; remembers what it was asked for."""

    def __init__(self):
        self.files = {}
        self.asked = []
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.asked.append(self.path[1:])
                content = mirror.files.get(self.path[1:])
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *args):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


FILES = {
    name + ".gz": gzip.compress(data, mtime=0) for train in (True, False) for name, data in idx.contents(train).items()
}
NAMES = [name for name in FILES if name.startswith("train")]


@pytest.fixture
def mirrors(monkeypatch):
    """Two empty mirrors, which MNIST is told about with the checksums of FILES."""
    logging.getLogger("pooch").setLevel(logging.ERROR)
    both = [Mirror(), Mirror()]
    monkeypatch.setattr(MNIST, "mirrors", tuple(m.url for m in both))
    monkeypatch.setattr(MNIST, "sha256", {n: hashlib.sha256(c).hexdigest() for n, c in FILES.items()})
    yield both
    for mirror in both:
        mirror.close()


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_download_into_torchvisions_layout(mirrors, tmp_path):
    mirrors[0].files = FILES
    data = MNIST(tmp_path, download=True)
    assert len(data) == 12
    assert files_in(tmp_path) == [f"MNIST/raw/{name}" for name in NAMES]
    assert mirrors[0].asked == NAMES
    assert mirrors[1].asked == []
    assert not [p for p in (tmp_path / "MNIST/raw").iterdir() if p.is_dir()]


def test_files_that_are_there_are_not_asked_for(mirrors, tmp_path):
    idx.write(tmp_path)
    (tmp_path / NAMES[1]).unlink()
    mirrors[0].files = FILES
    assert len(MNIST(tmp_path, download=True)) == 12
    assert mirrors[0].asked == [NAMES[1]]
    assert len(MNIST(tmp_path, download=True)) == 12
    assert len(mirrors[0].asked) == 1


def test_without_root_it_goes_to_the_cache(mirrors, tmp_path):
    mirrors[0].files = FILES
    assert len(MNIST(download=True)) == 12
    assert files_in(tmp_path / "cache") == [f"mnist/{name}" for name in NAMES]


def test_the_second_mirror_helps_out(mirrors, tmp_path):
    mirrors[1].files = FILES
    assert len(MNIST(tmp_path, download=True)) == 12
    assert mirrors[0].asked == mirrors[1].asked == NAMES


def test_a_mirror_with_wrong_contents_is_passed_over(mirrors, tmp_path):
    mirrors[0].files = {name: content[:-1] + b"x" for name, content in FILES.items()}
    mirrors[1].files = FILES
    assert len(MNIST(tmp_path, download=True)) == 12
    assert files_in(tmp_path) == [f"MNIST/raw/{name}" for name in NAMES]


def test_a_wrong_checksum_everywhere_leaves_no_file(mirrors, tmp_path):
    for mirror in mirrors:
        mirror.files = dict.fromkeys(FILES, b"something else")
    with pytest.raises(RuntimeError) as caught:
        MNIST(tmp_path, download=True)
    text = str(caught.value)
    assert text.startswith(f"{NAMES[0]} was not found, and no mirror could be used (")
    assert all(mirror.url in text for mirror in mirrors)
    assert "SHA256" in text
    assert str(tmp_path / "MNIST/raw") in text
    assert files_in(tmp_path) == []


def test_when_no_mirror_answers_the_error_says_where_to_put_the_file(mirrors, tmp_path, monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", ("http://127.0.0.1:1/",))
    with pytest.raises(RuntimeError) as caught:
        MNIST(tmp_path, download=True)
    text = str(caught.value)
    assert "Put it into one of" in text
    assert "TINYGRAD_CNN_DATA" in text
    assert files_in(tmp_path) == []


def test_an_interrupted_download_leaves_no_file(mirrors, tmp_path, monkeypatch):
    def interrupted(*args, path, fname, **kwargs):
        (Path(path) / fname).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch, "retrieve", interrupted)
    with pytest.raises(KeyboardInterrupt):
        MNIST(tmp_path, download=True)
    assert files_in(tmp_path) == []


def test_nothing_is_asked_without_download(mirrors, tmp_path):
    with pytest.raises(RuntimeError, match=r"download=True was not given"):
        MNIST(tmp_path)
    assert mirrors[0].asked == mirrors[1].asked == []


def test_without_pooch_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(RuntimeError, match=r"pip install 'tinygrad_cnn\[data\]'"):
        MNIST(tmp_path, download=True)
