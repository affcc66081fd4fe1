"""docs/editions.md matches the registry and the docstrings."""

from pathlib import Path
import re

import gluon_classics
from gluon_classics.models.registry import FAMILIES
import make_editions
import make_tables
import pytest

CHECKOUT = Path(__file__).parents[2]

PAGE = make_editions.PAGE.read_text(encoding="utf-8")


def test_the_page_is_up_to_date():
    assert make_editions.page() == PAGE, "run python tools/make_editions.py"


def test_every_edition_has_one_row_with_its_facts():
    for name in gluon_classics.list_models():
        info = gluon_classics.model_info(name)
        (row,) = re.findall(rf"^\| `{name}` \|.*$", PAGE, re.MULTILINE)
        assert f" {info.params:,} | {info.macs:,} |" in row
        assert info.source in row


def test_every_departure_is_on_the_page():
    for name in gluon_classics.list_models():
        for departure in gluon_classics.model_info(name).departures:
            assert departure in PAGE


def test_what_is_not_done_as_published_is_on_the_page():
    for name in gluon_classics.list_models():
        for part in gluon_classics.model_info(name).not_done:
            assert part in PAGE


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_names_its_sources_and_its_departures(family):
    about = make_editions.docstring(family)
    assert about["paper"].endswith(".")
    for heading in ("Source", "Departs"):
        assert len(about[heading]) > 40
    assert set(about) <= {"paper", "Source", "Departs", "Open"}
    assert about["Source"] in PAGE


@pytest.mark.parametrize("family", FAMILIES)
def test_open_questions_are_a_list_about_networks_of_the_family(family):
    questions = make_editions.docstring(family).get("Open", "")
    assert questions in PAGE
    assert all(line.startswith(("- ", "  ")) for line in questions.splitlines())
    names = [info.name for info in make_editions.editions(family)]
    for pattern in re.findall(r"`([^`]+)`", questions):
        assert any(re.fullmatch(pattern.replace("*", ".*"), name) for name in names), pattern


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        *((f"vgg{depth}", depth) for depth in (11, 13, 16, 19)),
        *((f"resnet{depth}_v1", depth) for depth in (18, 34, 50, 101, 152)),
        *((f"densenet{depth}", depth) for depth in (121, 161, 169, 201)),
        *(("googlenet_v1", 22), ("alexnet_2012", 8)),
    ],
)
def test_networks_have_the_depth_that_their_papers_state(name, depth):
    assert make_editions.layers_and_depth(gluon_classics.model_info(name))[1] == depth


@pytest.mark.parametrize("readme", make_tables.READMES)
def test_the_readmes_link_every_family_to_its_section(readme):
    links = re.findall(r"\(docs/editions\.md#([\w-]+)\)", (CHECKOUT / readme).read_text(encoding="utf-8"))
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert len(headings) == len(FAMILIES)
    assert sorted(links) == sorted(heading.lower().replace(" ", "-") for heading in headings)


def test_the_table_of_the_readmes_counts_every_network_once():
    table = make_tables.networks_table()
    names = re.findall(r"`(\w+)`", table)
    more = re.findall(r" and (\d+) more", table)
    assert len(names) + sum(map(int, more)) == len(gluon_classics.list_models())
    assert set(names) <= set(gluon_classics.list_models())
    assert sorted(family for group in make_tables.GROUPS for family in group) == sorted(FAMILIES)


def test_the_readmes_say_how_many_networks_there_are():
    for readme in make_tables.READMES:
        text = (CHECKOUT / readme).read_text(encoding="utf-8")
        assert re.search(r"\d+(?= editions| 个版本)", text).group() == str(len(gluon_classics.list_models()))
