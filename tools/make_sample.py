"""Make the embedded sample from the full Fashion-MNIST: python tools/make_sample.py [FOLDER]

The first 600 training and the first 100 test images of each class, in their published order.
"""

import sys

from gluon_classics.data.catalogue import IDX_FILES
from gluon_classics.data.datasets import SAMPLE_FOLDER, load_dataset
from gluon_classics.data.idx import write_idx
from gluon_classics.data.images import Images
import numpy as np

PER_CLASS = {"train": 600, "test": 100}


def first_of_each_class(images: Images, count: int) -> Images:
    """Return the first `count` images of each class, in their original order."""
    chosen = [np.flatnonzero(images.labels == label)[:count] for label in np.unique(images.labels)]
    return Images(*images[np.sort(np.concatenate(chosen))])


def main():
    data = load_dataset(sys.argv[1] if len(sys.argv) > 1 else "fashion-mnist")
    if data.is_sample:
        sys.exit("the full Fashion-MNIST was not found: name its folder")
    train = first_of_each_class(data.train, PER_CLASS["train"])
    test = first_of_each_class(data.test, PER_CLASS["test"])
    arrays = (train.images[..., 0], train.labels, test.images[..., 0], test.labels)
    for name, array in zip(IDX_FILES, arrays):
        write_idx(SAMPLE_FOLDER / f"{name}.gz", array)


if __name__ == "__main__":
    main()
