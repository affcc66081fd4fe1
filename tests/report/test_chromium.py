"""Chromium shows the numbers of run.json, and the page fits on a phone."""

import re

import browser
from pages import assert_numbers_are
import pytest


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """Return a page in headless Chromium."""
    if browser.COMMAND is None:
        pytest.skip(f"Chromium is not installed; to run this test: {browser.INSTALL}")
    with browser.Page(tmp_path_factory.mktemp("profile")) as page:
        yield page


OPEN_ALL = "document.querySelectorAll('details').forEach(part => part.open = true)"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768, 360])
@pytest.mark.parametrize("which", ["page_file", "nasty_page"])
def test_chromium_renders_the_page_without_problems_and_within_its_width(request, chromium, which, width, dark):
    path = request.getfixturevalue(which)
    chromium.open(path.as_uri(), width, dark=dark)
    chromium.evaluate(OPEN_ALL)
    assert chromium.problems() == []
    assert chromium.requests()[0] == path.as_uri()
    assert all(address.startswith("data:image/png") for address in chromium.requests()[1:])
    assert chromium.evaluate("innerWidth") == width
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width
    outside = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    assert chromium.evaluate(f"{outside}.map(e => e.outerHTML.slice(0, 99))") == []
    assert chromium.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    background = chromium.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 200) == dark


def test_the_numbers_that_chromium_shows_are_those_of_the_records(chromium, page_file, trained_run, recipe_run):
    chromium.open(page_file.as_uri(), 360)
    chromium.evaluate(OPEN_ALL)
    numbers = chromium.evaluate(
        "[...document.querySelectorAll('data')].map(e => [e.closest('[data-run]').dataset.run,"
        " e.closest('[data-epoch]')?.dataset.epoch ?? null, e.dataset.metric, e.value, e.innerText])"
    )
    assert_numbers_are(numbers, [trained_run, recipe_run])


def test_charts_are_drawn_with_readable_text_on_a_phone(chromium, page_file):
    chromium.open(page_file.as_uri(), 360)
    sizes = chromium.evaluate(
        "[...document.querySelectorAll('.chart svg')].map(svg => [svg.getBoundingClientRect().width,"
        " Math.min(...[...svg.querySelectorAll('text')].map(text => text.getBoundingClientRect().height)),"
        " svg.querySelectorAll('path').length])"
    )
    assert len(sizes) == 3
    for width, height_of_text, paths in sizes:
        assert width > 260
        assert height_of_text >= 10
        assert paths > 5
