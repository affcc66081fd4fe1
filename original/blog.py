"""The loader, the step and the evaluation of the blog and of D2L, for MXNet 1.1 to 1.9 and Python 3.6 or newer.

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
import networks
import networks_d2l
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
    """The blog's loader: it shuffles in memory, transforms batch by batch, and leaves out a last partial batch.

    Shuffling converts the images to float32, so that they are resized in this type.

    D2L's loader keeps the last batch, and resizes all images in uint8: `of_d2l`.
    """

    def __init__(self, dataset, batch_size, shuffle, transform, of_d2l):
        self.dataset, self.batch_size, self.shuffle, self.transform = dataset, batch_size, shuffle, transform
        self.of_d2l = of_d2l
        self.order = np.arange(len(dataset[1]))

    def __iter__(self):
        return self.batches(0)

    def batches(self, skip):
        """Yield the batches after the first `skip`. The blog always starts with the first."""
        images, labels = self.dataset[0], nd.array(self.dataset[1])
        if self.shuffle:
            self.order = np.arange(len(images))
            np.random.shuffle(self.order)
            dtype = "uint8" if self.of_d2l else "float32"
            images = nd.array(images.asnumpy()[self.order], dtype=dtype)
            labels = nd.array(labels.asnumpy()[self.order])
        for start in range(skip * self.batch_size, len(self) * self.batch_size, self.batch_size):
            yield self.transform(images[start : start + self.batch_size], labels[start : start + self.batch_size])

    def __len__(self):
        whole, rest = divmod(len(self.dataset[1]), self.batch_size)
        return whole + (self.of_d2l and rest > 0)


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


def loaders(args):
    """Return the loaders of the training and the test images."""
    folder, of_d2l = args.data or data_folder(), args.last_batch != "discard"
    return [
        DataLoader(read_images(folder, train), args.batch_size, train, transform(args.resize), of_d2l)
        for train in (True, False)
    ]


# --- network and training


class GivenDropout(nn.Block):
    """Dropout of half of the values, with masks that NumPy draws.

    MXNet's generators do not move, so that the weights are the same whether they are drawn before or between the masks.

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


def make(args, dropout="drawn"):
    """Return the network with Xavier's initial weights.

    MXNet draws them at the first forward pass. Without a seed, a network of D2L has those of its notebook.
    """
    net = {**networks.NETWORKS, **networks_d2l.NETWORKS}[args.network](dropout_layer(dropout, args.seed))
    if args.network in networks_d2l.NETWORKS and args.seed is None:
        values = networks_d2l.notebook_weights(args.network, args.numpy_mode)
        net.initialize(ctx=mx.cpu())
        net(nd.zeros((1, 1, args.resize or 28, args.resize or 28)))
        for parameter, value in zip(net.collect_params().values(), values):
            parameter.set_data(nd.array(value))
    else:
        net.initialize(init.Xavier(), ctx=mx.cpu())
    return net


def forward_and_backward(net, loss, images, labels):
    """Compute the gradients of a batch; return the outputs and the loss of each image."""
    with autograd.record():
        outputs = net(images)
        losses = loss(outputs, labels)
    losses.backward()
    return outputs, losses


def correct(outputs, labels):
    """Return how many rows of the outputs have their largest entry at the label."""
    return int((outputs.asnumpy().argmax(axis=1) == labels.asnumpy()).sum())


def evaluate(test_data, net):
    """Return the accuracy on the test images of the loader."""
    pairs = [(correct(net(images), labels), labels.shape[0]) for images, labels in test_data]
    return sum(right for right, _ in pairs) / sum(count for _, count in pairs)


# --- command line


def add_options(parser):
    """Add the options that `first_steps.py` and `run.py` share."""
    parser.add_argument("network", choices=[*networks.NETWORKS, *networks_d2l.NETWORKS])
    parser.add_argument("--data", help="folder with Fashion-MNIST's four files (.gz)")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--resize", type=int, default=224, help="height and width of the images; 0: 28")
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate")
    parser.add_argument(
        "--last-batch",
        choices=("discard", "scale", "keep"),
        default="discard",
        help="leave out a last partial batch and resize training images in float32 (the blog), divide its gradients by "
        "the full batch size (D2L's first edition), or by its own (later)",
    )
    parser.add_argument("--numpy-mode", action="store_true", help="use MXNet's NumPy arrays, as D2L since 0.7")
    parser.add_argument("--seed", type=int, help="seed of MXNet and NumPy (default: none, as in the blog)")


def settings(args):
    """Return the options that decide the result, without the order of the images, which a record has for itself."""
    return {name: value for name, value in vars(args).items() if name not in ("out", "data", "start", "order_seed")}


def package():
    """Return the name of the installed package that has MXNet, such as mxnet-mkl."""
    folder = os.path.dirname(os.path.dirname(mx.__file__))
    installed = [name for name in os.listdir(folder) if name.startswith("mxnet") and name.endswith(".dist-info")]
    return installed[0].partition("-")[0].replace("_", "-") if installed else "mxnet"


def environment():
    """Return the versions that a result may depend on, and the processor."""
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return {
        "mxnet": mx.__version__,
        "package": package(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "processor": names[0] if names else platform.machine(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "openblas": os.environ.get("OPENBLAS_CORETYPE"),
        "mkl": os.environ.get("MKL_DEBUG_CPU_TYPE"),
    }
