"""Downloads from local servers that work, fail, send wrong data, stall or close the connection."""

import errno
import hashlib
import os
import re

from gluon_classics.data import catalogue
from gluon_classics.data.catalogue import KNOWN, Known
from gluon_classics.data.datasets import load_dataset
from gluon_classics.data.download import RemoteFile, download
import numpy as np
import pytest

CONTENT = bytes(np.random.RandomState(0).bytes(50_000))
TIMEOUT = (1, 0.5)


def remote(name="a.bin", content=CONTENT):
    return RemoteFile(name, len(content), hashlib.sha256(content).hexdigest())


def serves(handler):
    handler.send(CONTENT)


def is_missing(handler):
    handler.send(b"not here", status=404)


def is_broken(handler):
    handler.send(b"oops", status=500)


def sends_other_bytes(handler):
    handler.send(CONTENT[::-1])


def sends_a_page_instead(handler):
    handler.send(b"<html>please log in to this network</html>")


def sends_nothing(handler):
    handler.send(b"")


def breaks_off(handler):
    handler.send(CONTENT[:30_000], length=len(CONTENT))


def announces_less(handler):
    handler.send(CONTENT, length=30_000)


def sends_more_than_the_known_size(handler):
    handler.send(CONTENT + bytes(10_000))


def never_ends(handler):
    handler.send(CONTENT, length=False)
    # at most 64 MB, in case the client never closes the connection
    for _ in range(1000):
        handler.wfile.write(bytes(64_000))


def stalls_before_it_answers(handler):
    handler.server.closing.wait(10)


def stalls_in_the_middle(handler):
    handler.send(CONTENT[:30_000], length=len(CONTENT))
    handler.wfile.flush()
    handler.server.closing.wait(10)


def hangs_up(handler):
    handler.close_connection = True


def does_not_answer_in_http(handler):
    handler.wfile.write(b"220 this is a mail server\r\n")


def redirects_endlessly(handler):
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


# how a mirror fails, and the reason that the error must give
FAILURES = {
    is_missing: "status 404",
    is_broken: "status 500",
    sends_other_bytes: "wrong checksum",
    sends_a_page_instead: "wrong checksum",
    sends_nothing: "wrong checksum",
    breaks_off: "",  # "connection lost", or with urllib3 before version 2 "wrong checksum"
    announces_less: "wrong checksum",
    sends_more_than_the_known_size: "sent more than the file's 50,000 bytes",
    never_ends: "sent more than the file's 50,000 bytes",
    stalls_before_it_answers: "timeout",
    stalls_in_the_middle: "timeout",
    hangs_up: "not reachable",
    does_not_answer_in_http: "",
    redirects_endlessly: "redirects",
}
any_failure = pytest.mark.parametrize("fails", FAILURES, ids=lambda behaviour: behaviour.__name__)


@pytest.fixture
def folder(tmp_path):
    """Return the folder for downloads, which does not exist yet."""
    return tmp_path / "cache" / "a-set"


def held(folder):
    return sorted(path.name for path in folder.iterdir())


def test_only_the_downloaded_file_is_in_the_folder(mirror, folder):
    server = mirror(serves)
    download([remote()], [server.url], folder, TIMEOUT)
    assert (folder / "a.bin").read_bytes() == CONTENT
    assert held(folder) == ["a.bin"]
    assert server.asked == ["/a.bin"]


@any_failure
def test_if_a_mirror_fails_the_next_one_is_tried(mirror, folder, fails):
    bad, good = mirror(fails), mirror(serves)
    download([remote()], [bad.url, good.url], folder, TIMEOUT)
    assert (folder / "a.bin").read_bytes() == CONTENT
    assert held(folder) == ["a.bin"]
    assert bad.asked
    assert good.asked == ["/a.bin"]


@any_failure
def test_a_failed_download_leaves_no_file_and_its_error_names_the_mirror_and_the_reason(
    mirror, folder, data_error, fails
):
    server = mirror(fails)
    with data_error("a.bin", server.host, FAILURES[fails]):
        download([remote()], [server.url], folder, TIMEOUT)
    assert held(folder) == []


def test_an_unreachable_mirror_is_skipped(mirror, folder, dead_mirror):
    download([remote()], [dead_mirror, mirror(serves).url], folder, TIMEOUT)
    assert held(folder) == ["a.bin"]


@pytest.mark.parametrize("address", ["no-address/", "gopher://127.0.0.1/", "http://[1:2/", ""])
def test_an_invalid_url_is_skipped(mirror, folder, address):
    download([remote()], [address, mirror(serves).url], folder, TIMEOUT)
    assert held(folder) == ["a.bin"]


def test_if_all_mirrors_fail_the_error_names_each_one_and_its_reason(mirror, folder, data_error, dead_mirror):
    missing, broken, dead = mirror(is_missing), mirror(is_broken), dead_mirror.split("/")[2]
    with data_error(f"{missing.host}: status 404", f"{broken.host}: status 500", f"{dead}: not reachable"):
        download([remote()], [missing.url, dead_mirror, broken.url], folder, TIMEOUT)
    assert held(folder) == []


def test_a_password_in_a_url_is_never_printed(mirror, folder, data_error, capsys):
    server = mirror(is_missing)
    with data_error(server.host) as caught:
        download([remote()], [f"http://user:secret@{server.host}/"], folder, TIMEOUT)
    assert "secret" not in str(caught.value)
    assert "secret" not in capsys.readouterr().err


def test_a_mirror_that_failed_is_tried_last_for_the_next_file(mirror, folder):
    bad, good = mirror(is_missing), mirror(serves)
    download([remote("a.bin"), remote("b.bin"), remote("c.bin")], [bad.url, good.url], folder, TIMEOUT)
    assert bad.asked == ["/a.bin"]
    assert good.asked == ["/a.bin", "/b.bin", "/c.bin"]


def test_a_mirror_that_failed_for_one_file_is_tried_again_if_the_others_fail(mirror, folder):
    def only(name):
        return lambda handler: serves(handler) if handler.path == name else is_missing(handler)

    first, second = mirror(only("/b.bin")), mirror(only("/a.bin"))
    download([remote("a.bin"), remote("b.bin")], [first.url, second.url], folder, TIMEOUT)
    assert held(folder) == ["a.bin", "b.bin"]


def test_an_existing_file_is_kept_and_not_requested(mirror, folder):
    server = mirror(serves)
    folder.mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"the user's own")
    download([remote("a.bin"), remote("b.bin")], [server.url], folder, TIMEOUT)
    assert (folder / "a.bin").read_bytes() == b"the user's own"
    assert server.asked == ["/b.bin"]


def test_files_downloaded_before_a_failure_are_kept_and_not_requested_again(mirror, folder, data_error):
    broken = mirror(lambda handler: serves(handler) if handler.path == "/a.bin" else is_broken(handler))
    files = [remote("a.bin"), remote("b.bin")]
    with data_error("b.bin"):
        download(files, [broken.url], folder, TIMEOUT)
    assert held(folder) == ["a.bin"]
    whole = mirror(serves)
    download(files, [whole.url], folder, TIMEOUT)
    assert held(folder) == ["a.bin", "b.bin"]
    assert whole.asked == ["/b.bin"]


@pytest.mark.parametrize("piece", [100, 1500, 8000])
def test_chunks_of_any_size_are_accepted(mirror, folder, piece):
    # proxies change the sizes of chunks
    def chunked(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(CONTENT), piece):
            part = CONTENT[start : start + piece]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    download([remote()], [mirror(chunked).url], folder, TIMEOUT)
    assert (folder / "a.bin").read_bytes() == CONTENT


def test_an_answer_without_content_length_is_accepted(mirror, folder):
    server = mirror(lambda handler: handler.send(CONTENT, length=False))
    download([remote()], [server.url], folder, TIMEOUT)
    assert (folder / "a.bin").read_bytes() == CONTENT


def test_a_redirect_is_followed(mirror, folder):
    target = mirror(serves)

    def moved(handler):
        handler.send_response(301)
        handler.send_header("Location", f"{target.url}elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    download([remote()], [mirror(moved).url], folder, TIMEOUT)
    assert held(folder) == ["a.bin"]
    assert target.asked == ["/elsewhere"]


def test_a_downloaded_file_has_the_permissions_of_the_umask(mirror, folder):
    # several users may share a cache, such as MXNET_HOME=/srv/mxnet
    before = os.umask(0o022)
    try:
        download([remote()], [mirror(serves).url], folder, TIMEOUT)
    finally:
        os.umask(before)
    assert oct((folder / "a.bin").stat().st_mode & 0o777) == "0o644"


@pytest.fixture
def full_disk(monkeypatch):
    """Simulate a full disk: files can be opened for writing, but every write fails."""
    real_open = open

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Full:
        def __init__(self, file):
            self._file = file

        def __getattr__(self, name):
            return full if name in ("write", "flush") else getattr(self._file, name)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self._file.close()

    def open_on_full_disk(file, mode="r", *args, **kwargs):
        opened = real_open(file, mode, *args, **kwargs)
        return Full(opened) if set(mode) & set("wax+") else opened

    monkeypatch.setattr("builtins.open", open_on_full_disk)


def test_the_error_of_a_full_disk_says_so_and_no_file_is_left(mirror, folder, full_disk):
    with pytest.raises(OSError, match="No space left"):
        download([remote()], [mirror(serves).url], folder, TIMEOUT)
    assert held(folder) == []


def test_a_full_disk_does_not_cause_downloads_from_other_mirrors(mirror, folder, full_disk):
    first, second = mirror(serves), mirror(serves)
    with pytest.raises(OSError, match="No space left"):
        download([remote()], [first.url, second.url], folder, TIMEOUT)
    assert second.asked == []


# ---------------------------------------------------------------- a data set by name


@pytest.fixture
def small_mnist(monkeypatch, write_set, tmp_path, mirror, places):
    """Return a mirror of a small MNIST, set in MXNET_GLUON_REPO, whose checksums are in `KNOWN`."""
    source = write_set(tmp_path / "source", pixel=7)
    files = tuple(
        RemoteFile(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(source.iterdir())
    )
    monkeypatch.setitem(KNOWN, "mnist", Known(KNOWN["mnist"].classes, files, ("https://not-asked.invalid/",)))
    contents = {file.name: (source / file.name).read_bytes() for file in files}
    server = mirror(lambda handler: handler.send(contents[handler.path.split("/")[-1]]))
    monkeypatch.setenv("MXNET_GLUON_REPO", server.url)
    return server


def test_a_data_set_that_is_not_found_is_downloaded_to_the_cache(small_mnist, places):
    data = load_dataset("mnist")
    assert set(small_mnist.asked) == {f"/gluon/dataset/mnist/{name}.gz" for name in catalogue.IDX_FILES}
    assert (data.train.images == 7).all()
    assert (len(data.train), len(data.test)) == (20, 10)
    folder = places.home / "datasets" / "mnist"
    assert data.origin == str(folder)
    assert held(folder) == sorted(f"{name}.gz" for name in catalogue.IDX_FILES)


def test_loading_again_does_not_download_again(small_mnist):
    first = load_dataset("mnist")
    assert len(small_mnist.asked) == 4
    small_mnist.asked.clear()
    assert load_dataset("mnist").record() == first.record()
    assert small_mnist.asked == []


@pytest.mark.parametrize("end", ["", "/"])
def test_the_repository_url_may_end_with_or_without_a_slash(small_mnist, monkeypatch, end):
    monkeypatch.setenv("MXNET_GLUON_REPO", f"{small_mnist.url}some/place{end}")
    assert len(load_dataset("mnist").train) == 20
    assert {path.rsplit("/", 1)[0] for path in small_mnist.asked} == {"/some/place/gluon/dataset/mnist"}


def test_only_missing_files_are_downloaded(small_mnist, places):
    load_dataset("mnist")
    folder = places.home / "datasets" / "mnist"
    (folder / f"{catalogue.TEST_IMAGES}.gz").unlink()
    small_mnist.asked.clear()
    load_dataset("mnist")
    assert small_mnist.asked == [f"/gluon/dataset/mnist/{catalogue.TEST_IMAGES}.gz"]


def test_if_the_cache_cannot_be_written_the_data_is_loaded_with_one_warning(small_mnist, places, capsys):
    # a regular file instead of the folder is an error for every user, root included
    places.home.write_text("in the way")
    data = load_dataset("mnist")
    assert (data.train.images == 7).all()
    lines = [line for line in capsys.readouterr().err.splitlines() if "cannot write" in line]
    assert len(lines) == 1
    assert str(places.home) in lines[0]
    assert "MXNET_HOME" in lines[0]
    assert places.home.read_text() == "in the way"


def test_if_the_cache_cannot_be_written_no_temporary_files_are_left(small_mnist, places, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    places.home.write_text("in the way")
    load_dataset("mnist")
    assert held(scratch) == []


def test_the_data_error_of_a_full_disk_names_the_cache(small_mnist, places, full_disk, data_error):
    with data_error(places.home, "no space left"):
        load_dataset("mnist")


def test_without_mxnet_gluon_repo_the_known_mirrors_are_used(small_mnist, monkeypatch):
    monkeypatch.delenv("MXNET_GLUON_REPO")
    known = KNOWN["mnist"]
    mirrors = (f"{small_mnist.url}gluon/dataset/mnist/",)
    monkeypatch.setitem(KNOWN, "mnist", Known(known.classes, known.files, mirrors))
    assert len(load_dataset("mnist").train) == 20


# ---------------------------------------------------------------- the table of known files

FILES = [(name, file) for name, known in KNOWN.items() for file in known.files]


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "imagenet"])
def test_every_default_mirror_is_https_and_ends_in_a_slash(name):
    mirrors = KNOWN[name].mirrors
    assert mirrors
    for mirror in mirrors:
        assert re.fullmatch(r"https://[a-z0-9.-]+/\S*(?<=/)", mirror), mirror


@pytest.mark.parametrize(("name", "file"), FILES, ids=lambda value: getattr(value, "name", value))
def test_every_known_file_has_a_size_and_a_sha256(name, file):
    assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    # the smallest file, with the labels of MNIST's test set, has 4,542 bytes
    assert 4_000 < file.size < 600_000_000


def test_no_two_known_files_have_the_same_checksum():
    files = {file for _, file in FILES}  # EMNIST's splits are in the same archive
    assert len({file.sha256 for file in files}) == len(files)


@pytest.mark.parametrize("name", ["fashion-mnist", "mnist"])
def test_the_downloaded_files_are_the_files_that_are_read(name):
    assert {file.name for file in KNOWN[name].files} == {f"{file}.gz" for file in catalogue.IDX_FILES}
