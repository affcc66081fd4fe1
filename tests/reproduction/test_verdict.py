"""Each kind of verdict, from the records of runs."""

from dataclasses import replace
import sys

from gluon_classics.errors import ClassicsError
from gluon_classics.reproduction.equivalence import (
    NO_PUBLISHED_VALUE,
    NOT_COMPARABLE,
    NOT_REPRODUCED,
    REPRODUCED,
    UNDECIDED,
)
from gluon_classics.reproduction.recipes import get_recipe
from gluon_classics.reproduction.verdict import judge, require_statistics
import pytest

LENET = "lenet_d2l-fashion-mnist-d2l-0.17"  # train loss .472 +- .002 over 87 builds
SCRATCH = "lenet-fashion-mnist-scratch"  # train loss .461873 to .520524 over three runs
ALEXNET_ONE = "alexnet-fashion-mnist-d2l-1.0"  # test accuracy .8874 +- .0033 over 11 builds
RESNET = "resnet-fashion-mnist-blog"  # nothing published
NIN = "nin-fashion-mnist-d2l-0.17"  # median train loss .408; 5 of 62 builds failed
GOOGLENET = "googlenet_d2l-fashion-mnist-d2l-0.17"  # train loss .255 +- .054; 2 of 61 failed
CIFAR = "lenet_cifar10-cifar10-pytorch-cifar10"  # best test accuracy .6605 and .6752


@pytest.fixture
def verdict_on(make_record):
    """A function: the verdict on a recipe whose runs ended with these losses and, if given, accuracies."""

    def verdict(name, *losses, **others):
        return judge(get_recipe(name), [make_record(name, seed, loss, **others) for seed, loss in enumerate(losses)])

    return verdict


def test_losses_like_the_builds_reproduce_a_distribution(verdict_on):
    verdict = verdict_on(LENET, 0.470, 0.471, 0.472, 0.473, 0.474)
    assert verdict.verdict == REPRODUCED
    assert verdict.statement.startswith("train loss: the 90% interval")
    assert verdict.n == 5


def test_other_losses_do_not_reproduce_it_whatever_the_accuracy(verdict_on):
    assert verdict_on(LENET, 0.50, 0.501, 0.502, train=0.822, test=0.812).verdict == NOT_REPRODUCED


def test_the_accuracies_do_not_decide_where_a_loss_is_published(verdict_on):
    verdict = verdict_on(LENET, 0.470, 0.471, 0.472, 0.473, 0.474, test=0.3)
    assert verdict.verdict == REPRODUCED
    assert verdict.comparisons["test_accuracy"].verdict == NOT_REPRODUCED


def test_the_test_accuracy_decides_where_no_loss_is_published(verdict_on):
    assert verdict_on(ALEXNET_ONE, 9.9, 9.9, 9.9, 9.9, test=0.8874).verdict == REPRODUCED
    assert verdict_on(ALEXNET_ONE, 0.1, 0.1, 0.1, 0.1, test=0.86).verdict == NOT_REPRODUCED


def test_one_run_does_not_decide_about_a_distribution(verdict_on):
    assert verdict_on(LENET, 0.472).verdict == UNDECIDED


def test_one_run_within_the_range_of_single_runs_reproduces_them(verdict_on):
    assert verdict_on(SCRATCH, 0.45).verdict == REPRODUCED
    assert verdict_on(SCRATCH, 0.60).verdict == NOT_REPRODUCED


def test_without_a_published_value_no_metric_is_compared(verdict_on):
    verdict = verdict_on(RESNET, 0.45)
    assert verdict.verdict == NO_PUBLISHED_VALUE
    assert verdict.comparisons == {}
    assert verdict.values("train_loss") == [0.45]


@pytest.mark.parametrize(
    ("part", "changes", "reason"),
    [
        ("settings", {"subset": 1000}, "1,000 training images only"),
        ("settings", {"epochs": 3}, "epochs is 3, not 5"),
        ("settings", {"learning_rate": 0.3}, "learning_rate is 0.3, not 0.2"),
        ("settings", {"init_from": "net.params"}, "init_from is net.params, not None"),
        ("data", {"is_sample": True}, "the embedded sample"),
        ("data", {"is_published": False}, "not the published fashion-mnist"),
        ("data", {"name": "mnist"}, "not the published fashion-mnist"),
    ],
)
def test_runs_with_other_settings_or_data_are_not_comparable(make_record, part, changes, reason):
    record = make_record(SCRATCH, loss=0.45)
    other = replace(record, **{part: replace(getattr(record, part), **changes)})
    verdict = judge(get_recipe(SCRATCH), [record, other])
    assert verdict.verdict == NOT_COMPARABLE
    assert reason in verdict.statement
    assert verdict.comparisons == {}


def test_an_unfinished_run_is_not_comparable(make_record):
    record = replace(make_record(SCRATCH, loss=0.45), status="diverged")
    verdict = judge(get_recipe(SCRATCH), [record])
    assert (verdict.verdict, verdict.statement) == (NOT_COMPARABLE, "the run is diverged")


def test_data_of_the_right_name_whose_published_checksum_is_unknown_is_comparable(make_record):
    record = make_record(SCRATCH, loss=0.45)
    unknown = replace(record, data=replace(record.data, is_published=None))
    assert judge(get_recipe(SCRATCH), [unknown]).verdict == REPRODUCED


def test_a_copy_of_the_published_data_in_another_folder_is_comparable(make_record):
    record = make_record(SCRATCH, loss=0.45)
    elsewhere = replace(record, settings=replace(record.settings, data="/home/somebody/fashion"))
    assert judge(get_recipe(SCRATCH), [elsewhere]).verdict == REPRODUCED


def test_runs_at_chance_are_not_compared_if_published_ones_stayed_there_too(verdict_on):
    verdict = verdict_on(NIN, 0.41, 2.303, 0.40)
    assert verdict.verdict == REPRODUCED
    assert (verdict.n, len(verdict.stuck)) == (2, 1)
    assert "1 of 3 runs stayed at chance" in verdict.statement
    assert verdict.values("train_loss") == [0.41, 0.40]


def test_a_run_that_has_just_left_chance_is_compared(verdict_on):
    """At ln 10 = 2.303 a network has learned nothing."""
    verdict = verdict_on(NIN, 0.41, 2.25)
    assert verdict.values("train_loss") == [0.41, 2.25]
    assert not verdict.stuck


def test_runs_at_chance_are_compared_if_no_published_one_stayed_there(verdict_on):
    verdict = verdict_on(SCRATCH, 0.46, 2.303)
    assert verdict.verdict == NOT_REPRODUCED
    assert not verdict.stuck


def test_nothing_but_runs_at_chance_is_not_reproduced(verdict_on):
    verdict = verdict_on(GOOGLENET, 2.303, 2.302)
    assert verdict.verdict == NOT_REPRODUCED
    assert verdict.statement == "all 2 runs stayed at chance"


def test_too_many_runs_at_chance_are_not_reproduced_whatever_the_others_say(verdict_on):
    """Where 5 of 62 builds failed, three of five runs at chance have a probability of .010."""
    few, many = (verdict_on(NIN, *[0.41] * (5 - stuck), *[2.303] * stuck) for stuck in (2, 3))
    assert {verdict.comparisons["train_loss"].verdict for verdict in (few, many)} == {REPRODUCED}
    assert (few.verdict, many.verdict) == (REPRODUCED, NOT_REPRODUCED)
    assert "so that ours are too many (Fisher's exact test, p = 0.01" in many.statement


def test_too_few_runs_at_chance_do_not_turn_other_losses_into_a_reproduction(verdict_on):
    assert verdict_on(NIN, 0.6, 0.6, 2.303).verdict == NOT_REPRODUCED


def test_values_are_those_after_the_given_epoch(make_record):
    record = make_record(SCRATCH)
    first, *others = record.epochs
    record = replace(record, epochs=(replace(first, train_loss=2.3), *others))
    verdict = judge(get_recipe(SCRATCH), [record])
    assert verdict.values("train_loss", 1) == [2.3]
    assert verdict.values("train_loss", 5) == verdict.values("train_loss") == [0.5]
    assert verdict.values("train_loss", 6) == []


def test_the_best_epoch_is_compared_where_the_source_reports_it(make_record):
    record = make_record(CIFAR)
    first, *others = (replace(epoch, test_accuracy=0.5) for epoch in record.epochs)
    assert judge(get_recipe(CIFAR), [replace(record, epochs=(first, *others))]).verdict == NOT_REPRODUCED
    best = judge(get_recipe(CIFAR), [replace(record, epochs=(replace(first, test_accuracy=0.67), *others))])
    assert best.verdict == REPRODUCED
    assert best.values("test_accuracy") == [0.67]
    assert best.values("test_accuracy", 2) == [0.5]


@pytest.mark.parametrize("name", [LENET, NIN])
def test_a_recipe_that_needs_scipy_is_refused_without_it(monkeypatch, name):
    """Of NIN only the share of runs at chance needs it."""
    monkeypatch.setitem(sys.modules, "scipy", None)
    require_statistics(get_recipe(SCRATCH))
    with pytest.raises(ClassicsError, match=r"pip install 'gluon-classics\[reproduce\]'"):
        require_statistics(get_recipe(name))
