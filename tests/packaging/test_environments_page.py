"""The page of environments has a row for each of them, also when one cannot be made."""

import era
import make_environments
from make_environments import SETUPS, UNSUPPORTED
import pytest


def test_the_page_has_a_row_for_each_environment():
    rows = make_environments.written_rows()
    assert {*SETUPS, *UNSUPPORTED} == set(rows)
    assert all(len(rows[setup]) == len(rows[SETUPS[0]]) for setup in UNSUPPORTED)


def test_an_environment_that_cannot_be_made_keeps_its_row_and_the_others_get_new_ones(tmp_path, monkeypatch, capsys):
    page = tmp_path / "environments.md"
    page.write_text(make_environments.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    before = make_environments.written_rows()
    broken = SETUPS[3]

    def row(setup, *_):
        if setup == broken:
            raise era.EraError("Python 3.10 is not installed")
        return [*setup, *["new"] * 6]

    monkeypatch.setattr(make_environments, "PAGE", page)
    for slow in ("make", "trace"):
        monkeypatch.setattr(make_environments, slow, lambda *_: tmp_path)
    for compared in ("row", "unsupported_row"):
        monkeypatch.setattr(make_environments, compared, row)
    with pytest.raises(SystemExit, match=r"Python 3\.10 is not installed"):
        make_environments.main()
    after = make_environments.written_rows()
    assert after[broken] == before[broken]
    assert {tuple(after[setup][3:]) for setup in (*SETUPS, *UNSUPPORTED) if setup != broken} == {("new",) * 6}
    assert capsys.readouterr().out.count("new") == 6 * (len(SETUPS) + len(UNSUPPORTED) - 1)


def test_an_unsupported_environment_has_the_reason_for_its_failure(tmp_path, monkeypatch):
    def call(*command, **_):
        if f"numpy=={UNSUPPORTED[0].numpy}" in command:
            raise era.EraError("pip failed. Its output says why\nERROR: No matching distribution found")

    monkeypatch.setattr(era, "call", call)
    monkeypatch.setattr(era, "interpreter", lambda _: "python")
    _, _, _, reason, *_ = make_environments.unsupported_row(UNSUPPORTED[0], tmp_path)
    assert reason == "not supported: No matching distribution found"


def test_an_unsupported_environment_that_cannot_be_tried_has_no_new_row(tmp_path):
    with pytest.raises(era.EraError, match=r"Python 3\.99 is not installed"):
        make_environments.unsupported_row(UNSUPPORTED[0]._replace(python="3.99"), tmp_path)
