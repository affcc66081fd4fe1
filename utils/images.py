"""Show images in a grid."""

from __future__ import annotations

import numpy as np


def show_images(imgs, nrows: int, ncols: int, figsize=None):
    """Show the first images in a grid with matplotlib.

    Args:
        imgs: (N, H, W), (N, H, W, 1) or (N, H, W, 3), as an NDArray or a NumPy array.
        nrows: The number of rows.
        ncols: The number of columns.
        figsize: The width and height of the grid in inches (default: 1 inch per image).

    Returns:
        Matplotlib axes, (nrows, ncols).

    Raises:
        ImportError: matplotlib is not installed.
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
