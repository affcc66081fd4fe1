"""The cases of `speed.py`: six networks, at sizes that two processor cores can train."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """One network to measure.

    Args:
        network: Name of the network.
        size: Side of the images in pixels.
        batch_size: Images in a training step.
        epoch_batches: Batches in an epoch, few enough to end within seconds.
        learning_rate: Large enough that a wrong update shows in the loss after three updates, and small enough that
            rounding does not. At .01, rounding changes ResNet's loss by some percent.
        images_file: NumPy file with real images and labels, for epochs.
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
        """Return the real images of an epoch, (N, 28, 28, 1) uint8, and their labels, (N,)."""
        with np.load(self.images_file) as arrays:
            count = self.batch_size * self.epoch_batches
            return arrays["images"][:count], arrays["labels"][:count]

    def batch(self):
        """Return images, (batch_size, 1, size, size) float32 in 0..1, and labels, the same for all frameworks.

        The images are noise. In flat regions of real images max pools have ties, which rounding decides.
        """
        random = np.random.RandomState(1)
        shape = (self.batch_size, 1, self.size, self.size)
        return random.rand(*shape).astype(np.float32), random.randint(0, 10, self.batch_size).astype(np.float32)


CASES = {
    case.network: case
    for case in (
        Case("lenet", 28, 256, 60, 0.1),
        Case("alexnet", 224, 32, 3, 0.01),
        Case("vgg", 96, 32, 3, 0.02),
        Case("nin", 224, 32, 3, 0.05),
        Case("googlenet", 96, 64, 10, 0.1),
        Case("resnet", 96, 64, 6, 0.0003),
    )
}
