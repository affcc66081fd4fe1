"""A mistake to plant in a port, and the networks in which mistakes are planted."""

from typing import Any, NamedTuple

LENET, RESNET, GOOGLENET = "lenet", "resnet18_v1", "googlenet_v1"
C1, C2, FC1, FC2 = "0", "2", "5", "6"
RC, RBN = "conv3_x.0.body.3", "conv3_x.0.body.4"


class Bug(NamedTuple):
    """A planted mistake.

    Attributes:
        network: Network of the port.
        place: Name that must be reported.
        words: Words that the cause must contain; empty for a mistake without a variant.
        port: Function from the trace to the tensors of the port.
        steps: Number of steps of the trace.
    """

    network: str
    place: str
    words: str
    port: Any
    steps: int = 3
