"""Atomic writing of files."""

import os
import stat

from gluon_classics._files import remove_leftovers, write_text
import pytest


def test_writing_to_a_symbolic_link_replaces_its_target(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "page.html").write_text("old")
    (tmp_path / "link.html").symlink_to(tmp_path / "real" / "page.html")
    write_text(tmp_path / "link.html", "new")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real" / "page.html").read_text() == "new"
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["page.html"]


def test_a_pipe_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        write_text(tmp_path / "pipe", "new")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_after_an_error_the_file_is_unchanged_and_no_temporary_file_is_left(tmp_path):
    (tmp_path / "file.txt").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "file.txt", "\ud800")
    assert (tmp_path / "file.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_only_temporary_files_of_the_named_files_are_removed(tmp_path):
    names = [".run-a1b2c3d_.json", ".checkpoint-00001-00000003-a1b2c3d4.ckpt", ".run-short.json", ".notes-20240101.txt"]
    for name in (*names, "run.json"):
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path, ["run.json", "checkpoint-*.ckpt"])
    assert {path.name for path in tmp_path.iterdir()} == {*names[2:], "run.json"}
