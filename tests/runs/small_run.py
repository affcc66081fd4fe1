"""The command line with a small network instead of lenet. A run with it is hard to resume exactly.

The network has dropout and running statistics, and MXNet is seeded again before every third batch.
"""

import sys

from gluon_classics.cli import command
from gluon_classics.experiment import build
from gluon_classics.utils import seeding
from mxnet.gluon import nn


def small_network(_model, classes, **_arguments):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 5, strides=2), nn.BatchNorm(), nn.Activation("relu"), nn.MaxPool2D(), nn.Dropout(0.3))
    net.add(nn.Dense(16, activation="relu"), nn.Dropout(0.3), nn.Dense(classes))
    return net


def main(arguments):
    """Run `gluon-classics` with these arguments. This changes the package, so call it in a process for it alone."""
    seeding.WORK_BETWEEN_SEEDS = 1e18
    seeding.BATCHES_BETWEEN_SEEDS = 3
    build.get_model = small_network
    command.main(args=arguments, prog_name="gluon-classics")


if __name__ == "__main__":
    main(sys.argv[1:])
