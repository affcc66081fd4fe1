"""Each kind of verdict, from the records of runs."""

from dataclasses import replace
import json
import sys

from gluon_classics.errors import ClassicsError
from gluon_classics.reproduction.equivalence import (
    NO_PUBLISHED_VALUE,
    NOT_COMPARABLE,
    NOT_REPRODUCED,
    REPRODUCED,
    UNDECIDED,
)
from gluon_classics.reproduction.formatting import verdict_words
from gluon_classics.reproduction.recipes import get_recipe
from gluon_classics.reproduction.verdict import judge, require_statistics
from gluon_classics.utils.history import METRICS
import pytest

LENET = "lenet_d2l-fashion-mnist-d2l-0.17"  # train loss .472 +- .002 over 87 builds
SCRATCH = "lenet-fashion-mnist-scratch"  # train loss .461873 to .520524 over three runs
ALEXNET_ONE = "alexnet-fashion-mnist-d2l-1.0"  # test accuracy .8874 +- .0033 over 11 builds
SE_RESNET = "se_resnet18-fashion-mnist-blog"  # nothing published
NIN = "nin-fashion-mnist-d2l-0.17"  # median train loss .408; 5 of 62 builds failed
VGG = "vgg11_tutorial-fashion-mnist-tutorial"  # one run: .866, .68, .85
EQUAL_LOSSES = (0.470, 0.471, 0.472, 0.473, 0.474)
CHANCE = 2.303
CIFAR = "lenet_cifar10-cifar10-pytorch-cifar10"  # best test accuracy .6605 and .6752


@pytest.fixture
def verdict_on(make_record):
    """A function: the verdict on a recipe whose runs ended with these losses and accuracies, .1 at chance."""

    def verdict(name, *losses, train=0.8, test=0.8):
        records = []
        for seed, loss in enumerate(losses):
            accuracies = {"train": 0.1, "test": 0.1} if loss == CHANCE else {"train": train, "test": test}
            records.append(make_record(name, seed, loss, **accuracies))
        return judge(get_recipe(name), records)

    return verdict


def by_metric(verdict):
    return {metric: comparison.verdict for metric, comparison in verdict.comparisons.items()}


def test_a_recipe_is_reproduced_if_all_metrics_are(verdict_on):
    verdict = verdict_on(LENET, *EQUAL_LOSSES, train=0.822, test=0.812)
    assert verdict.verdict == REPRODUCED
    assert set(by_metric(verdict).values()) == {REPRODUCED}
    assert verdict.n == 5
    assert [reason.partition(":")[0] for reason in verdict.reasons] == ["train loss", "train accuracy", "test accuracy"]
    assert verdict.statement == "; ".join(verdict.reasons)


def test_one_metric_that_differs_is_not_hidden_by_the_others(verdict_on):
    verdict = verdict_on(LENET, *EQUAL_LOSSES, train=0.822, test=0.3)
    assert verdict.verdict == NOT_REPRODUCED
    assert list(by_metric(verdict).values()) == [REPRODUCED, REPRODUCED, NOT_REPRODUCED]
    assert verdict_words(verdict) == (
        "not reproduced (train loss and train accuracy reproduced; test accuracy not reproduced)"
    )


def test_a_metric_that_is_undecided_makes_the_recipe_undecided(verdict_on):
    verdict = verdict_on(LENET, 0.44, 0.46, 0.47, 0.48, 0.50, train=0.822, test=0.812)
    assert list(by_metric(verdict).values()) == [UNDECIDED, REPRODUCED, REPRODUCED]
    assert verdict.verdict == UNDECIDED


def test_only_published_metrics_are_compared(verdict_on):
    verdict = verdict_on(ALEXNET_ONE, 9.9, 9.9, 9.9, 9.9, 9.9, test=0.8874)
    assert by_metric(verdict) == {"test_accuracy": REPRODUCED}
    assert verdict_words(verdict) == verdict.verdict == REPRODUCED
    assert verdict_on(ALEXNET_ONE, 0.1, 0.1, 0.1, 0.1, 0.1, test=0.86).verdict == NOT_REPRODUCED


@pytest.mark.parametrize("name", [LENET, SCRATCH, VGG])
def test_one_run_decides_nothing_whatever_is_published(verdict_on, name):
    recipe = get_recipe(name)
    loss, train, test = (recipe.target(metric).mean for metric in METRICS)
    for factor in (1, 0.5):
        verdict = verdict_on(name, factor * loss, train=factor * train, test=factor * test)
        assert set(by_metric(verdict).values()) == {verdict.verdict} == {UNDECIDED}


def test_without_a_published_value_no_metric_is_compared(verdict_on):
    verdict = verdict_on(SE_RESNET, 0.45)
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


def test_data_of_the_right_name_without_a_published_checksum_is_not_comparable(make_record):
    record = make_record(SCRATCH, loss=0.45)
    unknown = replace(record, data=replace(record.data, is_published=None))
    verdict = judge(get_recipe(SCRATCH), [unknown])
    assert not verdict.comparisons
    assert "unknown" in verdict.statement


def test_a_copy_of_the_published_data_in_another_folder_is_comparable(make_record):
    record = make_record(SCRATCH, loss=0.45)
    elsewhere = replace(record, settings=replace(record.settings, data="/home/somebody/fashion"))
    assert judge(get_recipe(SCRATCH), [elsewhere]).comparisons


@pytest.mark.parametrize("name", [NIN, SCRATCH, VGG])
def test_runs_at_chance_are_counted_and_the_others_compared(verdict_on, name):
    recipe = get_recipe(name)
    loss, train, test = (recipe.target(metric).mean for metric in METRICS)
    verdict = verdict_on(name, loss + 0.001, CHANCE, loss - 0.001, train=train, test=test)
    alone = verdict_on(name, loss + 0.001, loss - 0.001, train=train, test=test)
    assert (verdict.verdict, verdict.comparisons) == (alone.verdict, alone.comparisons)
    assert (verdict.n, len(verdict.stuck)) == (2, 1)
    assert verdict.reasons[-1].startswith("1 of 3 runs stayed at chance and are not compared: of the published runs, ")
    assert verdict.values("train_loss") == [loss + 0.001, loss - 0.001]


def test_a_run_that_has_just_left_chance_is_compared(verdict_on):
    """At ln 10 = 2.303 a network has learned nothing."""
    verdict = verdict_on(NIN, 0.41, 2.29, train=0.17, test=0.18)
    assert verdict.values("train_loss") == [0.41, 2.29]
    assert not verdict.stuck


def test_nothing_but_runs_at_chance_is_not_reproduced_if_that_is_no_chance(verdict_on):
    """If none of three published runs failed, two of two have a probability of .1, three of three have .05."""
    few, many = (verdict_on(SCRATCH, *[CHANCE] * runs) for runs in (2, 4))
    assert (few.verdict, many.verdict) == (UNDECIDED, NOT_REPRODUCED)
    assert (few.comparisons, few.n) == ({}, 0)
    assert few.statement.startswith("2 of 2 runs stayed at chance and are not compared: of the published runs, 0 of 3")


def test_too_many_runs_at_chance_are_not_reproduced_whatever_the_others_say(verdict_on):
    """Where 5 of 62 builds failed, three of five runs at chance have a probability of .010."""
    few, many = (verdict_on(NIN, *[0.408] * (5 - stuck), *[CHANCE] * stuck, train=0.848, test=0.84) for stuck in (2, 3))
    assert set(by_metric(few).values()) == set(by_metric(many).values()) == {REPRODUCED}
    assert (few.verdict, many.verdict) == (REPRODUCED, NOT_REPRODUCED)
    assert "so that ours are too many (Fisher's exact test, p = 0.01" in many.statement
    assert verdict_words(many) == (
        "not reproduced (train loss, train accuracy and test accuracy reproduced; too many runs at chance)"
    )


def test_too_few_runs_at_chance_do_not_turn_other_losses_into_a_reproduction(verdict_on):
    assert verdict_on(NIN, 0.6, 0.6, CHANCE).verdict == NOT_REPRODUCED


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
    same = judge(get_recipe(CIFAR), [replace(record, epochs=(first, *others))])
    best = judge(get_recipe(CIFAR), [replace(record, epochs=(replace(first, test_accuracy=0.67), *others))])
    published = (0.6605 + 0.6752) / 2
    assert same.comparisons["test_accuracy"].difference == pytest.approx(0.5 - published)
    assert best.comparisons["test_accuracy"].difference == pytest.approx(0.67 - published)
    assert best.values("test_accuracy") == [0.67]
    assert best.values("test_accuracy", 2) == [0.5]


@pytest.mark.parametrize("name", [LENET, SCRATCH])
def test_a_recipe_with_a_published_value_needs_scipy(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "scipy", None)
    require_statistics(get_recipe(SE_RESNET))
    with pytest.raises(ClassicsError, match=r"pip install 'gluon-classics\[reproduce\]'"):
        require_statistics(get_recipe(name))


def test_a_verdict_can_be_written_as_json(verdict_on):
    said = json.loads(json.dumps(verdict_on(LENET, *EQUAL_LOSSES, train=0.822, test=0.3).as_dict()))
    assert said["verdict"] == NOT_REPRODUCED
    assert said["statement"].count("; ") >= 2
    assert said["metrics"]["train_loss"]["verdict"] == REPRODUCED
    assert said["metrics"]["train_loss"]["margin"] == 0.01
    assert said["metrics"]["test_accuracy"]["difference"] == pytest.approx(0.3 - 0.812)
