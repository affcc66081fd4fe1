"""The blog's loader, its step and its evaluation, for MXNet 1.1 to 1.9 and Python 3.6 or newer.

`first_steps.py` and `run.py` use them. Only MXNet and NumPy are imported.
"""

import gzip
import os
import platform
import struct
import sys

import mxnet as mx
from mxnet import autograd, image, init, nd
from mxnet.gluon import nn
from networks import NETWORKS
import numpy as np

FILES = {
    True: ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    False: ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


# --- data


def data_folder():
    """Return the first folder with Fashion-MNIST's files: MXNet's cache, then the system's data folders."""
    cache = os.environ.get("MXNET_HOME") or os.path.expanduser("~/.mxnet")
    system = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    for folder in [os.path.join(parent, "datasets", "fashion-mnist") for parent in [cache, *system.split(":")]]:
        if all(os.path.exists(os.path.join(folder, name)) for pair in FILES.values() for name in pair):
            return folder
    sys.exit("Fashion-MNIST was not found. Name its folder with --data.")


def read_images(folder, train):
    """Return the images (N, 28, 28, 1) as an NDArray of uint8 and the labels (N,) as an int32 array, as MXNet does."""
    images, labels = (_unpacked(os.path.join(folder, name)) for name in FILES[train])
    count, height, width = struct.unpack(">III", images[4:16])
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(count, height, width, 1)
    return nd.array(pixels, dtype=np.uint8), np.frombuffer(labels, np.uint8, offset=8).astype(np.int32)


def _unpacked(path):
    with gzip.open(path) as file:
        return file.read()


class DataLoader:
    """The blog's loader: it shuffles in memory, transforms batch by batch, and leaves out a last partial batch."""

    def __init__(self, dataset, batch_size, shuffle, transform):
        self.dataset, self.batch_size, self.shuffle, self.transform = dataset, batch_size, shuffle, transform
        self.order = np.arange(len(dataset[1]))

    def __iter__(self):
        return self.batches(0)

    def batches(self, skip):
        """Yield the batches after the first `skip`. The blog always starts with the first."""
        images, labels = self.dataset[0], nd.array(self.dataset[1])
        if self.shuffle:
            self.order = np.arange(len(images))
            np.random.shuffle(self.order)
            # this converts the images to float32
            images, labels = nd.array(images.asnumpy()[self.order]), nd.array(labels.asnumpy()[self.order])
        for start in range(skip * self.batch_size, len(self) * self.batch_size, self.batch_size):
            yield self.transform(images[start : start + self.batch_size], labels[start : start + self.batch_size])

    def __len__(self):
        return len(self.dataset[1]) // self.batch_size


def transform(resize):
    """Return the blog's transform of a batch: resize image by image, channels first, 0..1."""

    def apply(images, labels):
        if resize:
            resized = nd.zeros((images.shape[0], resize, resize, images.shape[3]))
            for i in range(images.shape[0]):
                resized[i] = image.imresize(images[i], resize, resize)
            images = resized
        return nd.transpose(images.astype("float32"), (0, 3, 1, 2)) / 255, labels.astype("float32")

    return apply


def loaders(folder, batch_size, resize):
    """Return the loaders of the training and the test images."""
    return [
        DataLoader(read_images(folder, train), batch_size, shuffle=train, transform=transform(resize))
        for train in (True, False)
    ]


# --- network and training


class GivenDropout(nn.Block):
    """Dropout of half of the values, with masks that NumPy draws.

    The masks that MXNet draws differ between its versions.

    Args:
        rng: NumPy's generator of the masks, shared by the layers of a network.
    """

    def __init__(self, rng, **kwargs):
        super().__init__(**kwargs)
        self._rng = rng

    def forward(self, x):
        if not autograd.is_training():
            return x
        return x * nd.array(self._rng.rand(*x.shape) < 0.5, dtype=x.dtype) * 2


def dropout_layer(kind, seed):
    """Return a function that makes dropout layers: "drawn" by MXNet, "given" by NumPy, or "off"."""
    if kind == "drawn":
        return lambda: nn.Dropout(0.5)
    if kind == "off":
        return lambda: nn.Dropout(0.0)
    rng = np.random.RandomState(seed)
    return lambda: GivenDropout(rng)


def named(net):
    """Return a network's parameters by names that do not depend on the version, such as "000.weight"."""
    parameters = enumerate(net.collect_params().values())
    return {"{:03d}.{}".format(i, parameter.name.rsplit("_", 1)[-1]): parameter for i, parameter in parameters}


def seed_both(seed):
    """Seed MXNet (weights, dropout) and NumPy (order of the images). Without a seed do nothing, as the blog."""
    if seed is not None:
        mx.random.seed(seed)
        np.random.seed(seed)


def make(network, dropout, seed):
    """Return the network with Xavier's initial weights, which MXNet draws at the first forward pass."""
    net = NETWORKS[network](dropout_layer(dropout, seed))
    net.initialize(init.Xavier(), ctx=mx.cpu())
    return net


def forward_and_backward(net, loss, images, labels):
    """Compute the gradients of a batch; return the outputs and the loss of each image."""
    with autograd.record():
        outputs = net(images)
        losses = loss(outputs, labels)
    losses.backward()
    return outputs, losses


def evaluate(test_data, net):
    """Return the accuracy on the test images, without the last partial batch."""
    correct, count = 0.0, 0
    for images, labels in test_data:
        correct += (net(images).argmax(axis=1) == labels).sum().asscalar()
        count += labels.size
    return correct / count


# --- command line


def add_options(parser):
    """Add the options that `first_steps.py` and `run.py` share."""
    parser.add_argument("network", choices=sorted(NETWORKS))
    parser.add_argument("--data", help="folder with Fashion-MNIST's four files (.gz)")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--resize", type=int, default=224, help="height and width of the images; 0: 28")
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate")
    parser.add_argument("--seed", type=int, help="seed of MXNet and NumPy (default: none, as in the blog)")


def settings(args):
    """Return the options that decide the result."""
    return {name: value for name, value in vars(args).items() if name not in ("out", "data", "start")}


def environment():
    """Return the versions that a result may depend on, and the processor."""
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return {
        "mxnet": mx.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "processor": names[0] if names else platform.machine(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
    }
