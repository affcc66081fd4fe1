"""Fixtures of the data tests: small data sets on disk, folders to search, and local web servers."""

import contextlib
import http.server
import os
import socket
import socketserver
import threading
from types import SimpleNamespace

from gluon_classics.data import catalogue
from gluon_classics.data.idx import write_idx
import numpy as np
import pytest

INSTALL = "apt-get install dataset-fashion-mnist"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Bypass a proxy, which would answer instead of the local servers and closed ports of these tests."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
def write_set():
    """Return a function that writes the four IDX files of a small data set. Every pixel has the value `pixel`."""

    def write(folder, pixel=0, train=20, test=10, side=4, label=None):
        folder.mkdir(parents=True, exist_ok=True)
        for images_file, labels_file, count in (
            (catalogue.TRAIN_IMAGES, catalogue.TRAIN_LABELS, train),
            (catalogue.TEST_IMAGES, catalogue.TEST_LABELS, test),
        ):
            labels = np.arange(count) % 10 if label is None else np.full(count, label)
            write_idx(folder / f"{images_file}.gz", np.full((count, side, side), pixel))
            write_idx(folder / f"{labels_file}.gz", labels)
        return folder

    return write


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Return empty places of data sets: MXNET_HOME and two folders of XDG_DATA_DIRS. The mirror is unreachable."""
    found = SimpleNamespace(home=tmp_path / "home", first=tmp_path / "first", second=tmp_path / "second")
    monkeypatch.setenv("MXNET_HOME", str(found.home))
    monkeypatch.setenv("XDG_DATA_DIRS", f"{found.first}{os.pathsep}{found.second}")
    with _dead_address() as address:
        monkeypatch.setenv("MXNET_GLUON_REPO", address)
        yield found


@pytest.fixture
def dead_mirror():
    """Return the URL of a port on which nothing listens."""
    with _dead_address() as address:
        yield address


@contextlib.contextmanager
def _dead_address():
    # a socket that is bound but does not listen refuses connections, and no other process can take its port
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}/"


class Mirror(socketserver.ThreadingTCPServer):
    """A local web server. `respond(handler)` answers a GET request; `asked` lists the requested paths."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, respond):
        self.respond = respond
        self.asked = []
        self.closing = threading.Event()  # ends answers that stall, so that no test waits for them
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"http://{self.host}/"

    def handle_error(self, request, client_address):
        """Ignore clients that close the connection: some answers here make them do so."""


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.respond(self)

    def log_message(self, *args):
        pass

    def send(self, body, length=None, status=200):
        """Send an answer. `length` is its Content-Length (default: the true one); False leaves the header out."""
        self.send_response(status)
        if length is not False:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def mirror():
    """Return a function that starts a `Mirror` with the given `respond`. All mirrors are stopped after the test."""
    started = []

    def start(respond):
        server = Mirror(respond)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
