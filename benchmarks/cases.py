"""What `speed.py` measures: the six networks at the sizes that two processor cores can train."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """`size` is the side of the images in pixels; an epoch has `epoch_batches` batches, to end within seconds.

    At `learning_rate` three updates change the loss by so much that a wrong one shows, and not by so much that rounding
    does: at .01 it moves ResNet's loss by percents.
    """

    network: str
    size: int
    batch_size: int
    epoch_batches: int
    learning_rate: float
    images_file: str = ""

    @property
    def resize(self):
        return None if self.size == 28 else self.size

    def data(self):
        """Real images (N, 28, 28, 1) uint8 of an epoch, and labels (N,)."""
        with np.load(self.images_file) as arrays:
            count = self.batch_size * self.epoch_batches
            return arrays["images"][:count], arrays["labels"][:count]

    def batch(self):
        """Images (batch_size, 1, size, size) float32 in 0..1, and labels: the same bytes for all frameworks.

        Noise: in the flat regions of real images pools have ties, which rounding decides.
        """
        random = np.random.RandomState(1)
        shape = (self.batch_size, 1, self.size, self.size)
        return random.rand(*shape).astype(np.float32), random.randint(0, 10, self.batch_size).astype(np.float32)


CASES = {
    case.network: case
    for case in (
        Case("lenet", 28, 256, 234, 0.1),
        Case("alexnet", 224, 64, 4, 0.01),
        Case("vgg", 96, 64, 4, 0.02),
        Case("nin", 224, 64, 5, 0.05),
        Case("googlenet", 96, 64, 20, 0.1),
        Case("resnet", 96, 64, 12, 0.0003),
    )
}
