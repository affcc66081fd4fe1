"""Pictures of images."""

from __future__ import annotations

import numpy as np


def show_images(imgs, nrows: int, ncols: int, figsize=None):
    """Show the first nrows x ncols images of (N, H, W), (N, H, W, 1) or (N, H, W, 3) on a grid; returns the axes.

    `figsize` is the width and height of the grid in inches. Raises ImportError without matplotlib.
    """
    import matplotlib.pyplot as plt

    _, grid = plt.subplots(nrows, ncols, figsize=figsize or (ncols, nrows), squeeze=False)
    for image, axes in zip(imgs, grid.flat):
        pixels = image.asnumpy() if hasattr(image, "asnumpy") else np.asarray(image)
        axes.imshow(pixels.squeeze(), cmap="gray")
        axes.get_xaxis().set_visible(False)
        axes.get_yaxis().set_visible(False)
    plt.show()
    return grid
