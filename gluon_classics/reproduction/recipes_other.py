"""Recipes of other sources."""

from __future__ import annotations

from gluon_classics.experiment.settings import Settings

from .recipes import PublishedRun, Recipe


def _straight_dope(model, loss, train_accuracy, test_accuracy):
    return Recipe(
        "straight-dope",
        "MXNet: the straight dope, September 2017",
        Settings(model, data="mnist", epochs=10, learning_rate=0.1, init="xavier(2.24)"),
        (
            PublishedRun(
                "github.com/zackchase/mxnet-the-straight-dope at f4df2cc", 10, test_accuracy=test_accuracy, decimals=4
            ),
        ),
        notes=(
            f"its train loss, {loss}, is a moving average and its train accuracy, {train_accuracy}, is measured after "
            "the epoch: neither is comparable with ours",
        ),
    )


RECIPES = (
    _straight_dope("lenet_straight_dope", 0.012427, 0.998367, 0.9911),
    _straight_dope("lenet_bn_straight_dope", 0.003298, 0.999433, 0.9924),
    Recipe(
        "paper",
        "LeCun, Bottou, Bengio & Haffner 1998",
        Settings.of("lenet5", data="mnist"),
        (
            PublishedRun(
                "the paper, section III, test error .95 % without distortions", 20, test_accuracy=0.9905, decimals=4
            ),
        ),
        notes=("the paper reaches a test error of .8 % with distorted images; this recipe has no distortions",),
    ),
    Recipe(
        "exercise",
        "an exercise on CIFAR-10, authors unknown",
        Settings("lenet_cifar10", data="cifar10", epochs=10, batch_size=64, learning_rate=0.05),
        (PublishedRun("the exercise, its best accuracy", 10, test_accuracy=0.6605),),
        notes=("the exercise prints no settings: batch size, learning rate, epochs and initialization are guesses",),
    ),
)
