"""Mistakes to plant in ports of LeNet, ResNet-18 and GoogLeNet, with the place and the words that must be reported."""

from forward_bugs import FORWARD, UNKNOWN_FORWARD
from training_bugs import GRADIENTS, LOSS, OPTIMIZER, STATISTICS, UNKNOWN_TRAINING
from weight_bugs import INPUT, UNKNOWN_COPIES, WEIGHTS

NAMED = [*WEIGHTS, *INPUT, *FORWARD, *LOSS, *GRADIENTS, *STATISTICS, *OPTIMIZER]
UNKNOWN = [*UNKNOWN_COPIES, *UNKNOWN_FORWARD, *UNKNOWN_TRAINING]
