"""Recipes of other sources."""

from __future__ import annotations

from .recipes import PublishedRun, Recipe, Widening
from .settings import Settings

RECIPES = (
    Recipe(
        "straight-dope",
        "MXNet: the straight dope, August 2017",
        Settings("lenet_slides", data="mnist", epochs=10, learning_rate=0.1, init="xavier(2.24)"),
        (PublishedRun("github.com/zackchase/mxnet-the-straight-dope at f4df2cc", 10, test_accuracy=0.9911),),
        widening=Widening(0.0, 0.002, "one run; two standard deviations of 9,911 right in 10,000 by counting alone"),
        notes=(
            "a guess at its network: its maps are as many, but it has ReLU, max pooling and 512 hidden units, where "
            "this one has tanh, average pooling and 500",
            "not comparable: its train loss, .012427, is a moving average, its train accuracy, .998367, is measured "
            "after the epoch",
            "with batch normalisation it reaches a test accuracy of .9924; that network is not here",
        ),
    ),
    Recipe(
        "paper",
        "LeCun, Bottou, Bengio & Haffner 1998",
        Settings.of("lenet5", data="mnist"),
        (PublishedRun("the paper, section III, test error .95 % without distortions", 20, test_accuracy=0.9905),),
        widening=Widening(0.0, 0.001, "the paper gives about .1 % as the uncertainty of its error rates"),
        notes=("with distorted images the paper reaches a test error of .8 %; there are no distortions here",),
    ),
    Recipe(
        "exercise",
        "an exercise on CIFAR-10, authors unknown",
        Settings("lenet_cifar10", data="cifar10", epochs=10, batch_size=64, learning_rate=0.05),
        (PublishedRun("the exercise, its best accuracy", 10, test_accuracy=0.6605),),
        widening=Widening(0.0, 0.02, "the best of an unknown number of runs"),
        notes=("the exercise prints no settings: batch size, rate, epochs and initialisation are guesses",),
    ),
)
