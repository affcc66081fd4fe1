"""The tables of docs/distributed.md are those of the tool, and the calculation is right."""

from pathlib import Path

import make_distributed
from markers import with_content
import pytest

ROOT = Path(__file__).parents[2]

PAGE = make_distributed.PAGE.read_text(encoding="utf-8")


def test_the_tables_are_current():
    assert make_distributed.with_tables(PAGE) == PAGE, "run python tools/make_distributed.py"


@pytest.mark.parametrize("hosts", [2, 5])
def test_the_traffic_is_the_sum_over_all_messages(hosts):
    """Each worker sends a part of its gradients to each server, and each server sends its part to each worker."""
    parameters, sent = 1000, [0.0] * hosts
    for worker in range(hosts):
        for server in range(hosts):
            if worker != server:
                part = 4 * parameters / hosts
                sent[worker] += part
                sent[server] += part
    assert sent == pytest.approx([make_distributed.traffic(parameters, hosts)] * hosts)


def test_alexnet_communicates_and_resnet_computes():
    """AlexNet has as many parameters as ResNet-152, and a sixteenth of its work."""
    for model, is_slow in (("alexnet_2012", True), ("resnet152_v1", False)):
        computation, communication = make_distributed.seconds(model, 8)
        assert (communication > computation) == is_slow


@pytest.mark.parametrize("text", ["a <!-- x -->", "a <!-- /x -->", ""])
def test_a_page_without_a_marker_is_an_error_that_changes_nothing(text):
    with pytest.raises(ValueError, match="the markers <!-- x --> and <!-- /x --> are missing"):
        with_content(text, "<!-- x -->", "<!-- /x -->", "new")
