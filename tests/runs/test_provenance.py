"""Which code a record names: the commit and the state of the package's files when the process first asked."""

import subprocess

import gluon_classics
from gluon_classics.runs import provenance
import pytest


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository of its own, clean and with one commit, in the place of the package's; returns its folder."""
    for folder in ("gluon_classics", "utils", "results"):
        (tmp_path / folder).mkdir()
    (tmp_path / "gluon_classics" / "__init__.py").write_text("")
    (tmp_path / "gluon_classics" / "utils").symlink_to("../utils")
    (tmp_path / "utils" / "training.py").write_text("")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        git(tmp_path, *arguments)
    monkeypatch.setattr(gluon_classics, "__file__", str(tmp_path / "gluon_classics" / "__init__.py"))
    monkeypatch.setattr(provenance, "code", provenance.code.__wrapped__)
    return tmp_path


def git(folder, *arguments):
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    return subprocess.run(
        ["git", *identity, "-C", folder, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_clean_checkout_is_its_commit(checkout):
    assert provenance.code() == (git(checkout, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize("file", ["utils/training.py", "gluon_classics/__init__.py", "utils/new.py"])
def test_a_changed_or_new_file_of_the_package_is_told(checkout, file):
    (checkout / file).write_text("changed = True")
    assert provenance.code()[1] is True


@pytest.mark.parametrize("file", ["results/seed-0.json", "report.html"])
def test_files_beside_the_package_do_not_count(checkout, file):
    (checkout / file).write_text("")
    assert provenance.code()[1] is False


def test_outside_of_a_checkout_nothing_is_known(checkout):
    git(checkout, "rm", "-q", "--cached", "gluon_classics/__init__.py")
    assert provenance.code() == (None, None)


def test_what_happens_to_the_files_later_is_not_what_runs():
    """A commit made while a process trains does not become the code of its next run."""
    assert provenance.code() is provenance.code()
