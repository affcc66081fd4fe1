"""What a trained network says of images."""

from __future__ import annotations

from gluon_classics._objective import objective_of
import mxnet as mx
from mxnet import autograd
import numpy as np

from .context import as_contexts
from .errors import DataError
from .evaluation import split_batch
from .hybrid import for_inference
from .images import read_image
from .loader import Preprocess
from .settings import Settings


def predict_probabilities(batches, net, ctx) -> np.ndarray:
    """(N, classes): softmax of the network's scores for all images of `batches`, pairs of images and labels."""
    contexts = as_contexts(ctx)
    forward, scores = for_inference(net), objective_of(net).scores
    rows = []
    with autograd.predict_mode():
        for images, labels in batches:
            rows += [scores(forward(x)).softmax().asnumpy() for x, _ in split_batch(images, labels, contexts)]
    return np.concatenate(rows)


def image_batch(paths, image_shape, settings: Settings):
    """Image files as one batch for a network trained with `settings` on images of `image_shape`, (H, W, C).

    Each image is first brought to the training images' own shape, so that it looks as they did.
    Raises DataError if a file is no image.
    """
    height, width, channels = image_shape
    if height != width:
        raise DataError(f"the run was trained on images of {height}x{width}: only square ones can be predicted")
    images = np.stack([read_image(path, height, channels) for path in paths])
    resize = None if settings.size == height else settings.size
    preprocess = Preprocess(resize, "uint8", settings.fit, settings.pixels)
    return preprocess(mx.nd.array(images, dtype=np.uint8), mx.nd.zeros(len(images)))


def accuracy_by_class(probabilities: np.ndarray, labels: np.ndarray, classes: int) -> list[tuple[int, int]]:
    """For each class how many of its images were classified correctly, and how many it has."""
    right = probabilities.argmax(axis=1) == labels
    return [(int(right[labels == c].sum()), int((labels == c).sum())) for c in range(classes)]
