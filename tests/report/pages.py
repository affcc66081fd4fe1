"""The elements and numbers of a page of `report`, and the records that they come from."""

import base64
from dataclasses import replace
from html.parser import HTMLParser
import shutil

import cv2
from gluon_classics._files import write_text
from gluon_classics.report.page import duration
from gluon_classics.runs.record import RunRecord
from gluon_classics.utils.history import METRICS
import numpy as np

VOID = {"meta", "img", "br", "col"}
NASTY = [
    '<script>alert("x")<',
    "a&b \"c\" 'd'",
    "{{ 7 * 7 }} $x^2$",
    "Donaudampfschifffahrtsgesellschaftskapitaensmuetze",
]


class Element:
    """An element of a page, with its text."""

    def __init__(self, tag, attributes, parent):
        self.tag, self.attributes, self.parent = tag, dict(attributes), parent
        self.text = ""

    def near(self, name):
        """Return an attribute of the element, or of the nearest enclosing element that has it."""
        element = self
        while element and name not in element.attributes:
            element = element.parent
        return element and element.attributes[name]


class Elements(HTMLParser):
    """All elements of a page, in order."""

    def __init__(self, page):
        super().__init__()
        self.all = []
        self._open = []
        self.feed(page)
        assert not self._open, "not closed"

    def handle_startendtag(self, tag, attrs):
        self.all.append(Element(tag, attrs, self._open[-1] if self._open else None))

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(self.all[-1])

    def handle_endtag(self, tag):
        assert self._open.pop().tag == tag

    def handle_data(self, data):
        for element in self._open:
            element.text += data

    def having(self, attribute):
        """Return the elements with an attribute."""
        return [element for element in self.all if attribute in element.attributes]


def changed(run, folder, **changes):
    """Copy a run folder, apply `changes` to its record, and return the copy."""
    shutil.copytree(run, folder)
    write_text(folder / "run.json", replace(record_of(run), **changes).to_json())
    return folder


def record_of(run):
    return RunRecord.from_json((run / "run.json").read_text())


def decoded(picture):
    """Return the pixels of a picture in the page."""
    content = base64.b64decode(picture.attributes["src"].partition("base64,")[2])
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def numbers_of(page):
    """Return run, epoch (None: the last), metric, value and displayed text of every labeled number."""
    return [
        (*map(element.near, ("data-run", "data-epoch", "data-metric")), element.attributes["value"], element.text)
        for element in page.having("data-metric")
    ]


def assert_numbers_are(numbers, runs):
    """Check that each epoch's metrics occur once, and the last ones again, as in run.json and correctly rounded."""
    of_epochs = []
    shown = set()
    for run, epoch, metric, value, text in numbers:
        record = record_of(runs[int(run)])
        if epoch is not None:
            of_epochs.append((int(run), int(epoch), metric))
            expected = getattr(record.epochs[int(epoch)], metric)
        elif metric in METRICS:
            expected = getattr(record.last, metric)
        elif metric == "seconds":
            expected = record.seconds
        elif metric == "epochs":
            expected = len(record.epochs)
        else:
            continue
        shown.add((int(run), metric))
        assert float(value) == expected
        if metric == "train_loss":
            assert text == f"{expected:.4f}"
        elif metric in (*METRICS, "test_top_5_accuracy"):
            assert text in (f"{100 * expected:.2f}%", f"{expected:.4f}")
        elif metric == "epochs":
            assert text == str(expected)
        else:
            assert text == duration(expected)
    assert sorted(of_epochs) == [
        (number, epoch.epoch, metric)
        for number, run in enumerate(runs)
        for epoch in record_of(run).epochs
        for metric in sorted((*_metrics_of(epoch), "seconds"))
    ]
    assert shown == {
        (number, metric)
        for number, run in enumerate(runs)
        for epoch in record_of(run).epochs
        for metric in (*_metrics_of(epoch), "seconds", "epochs")
    }


def _metrics_of(epoch):
    return (*METRICS, "test_top_5_accuracy") if epoch.test_top_5_accuracy is not None else METRICS
