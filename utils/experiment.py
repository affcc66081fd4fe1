"""The blog's experiment."""

from __future__ import annotations

from gluon_classics import ResNet
import mxnet as mx
from mxnet import gluon

from .context import try_gpu
from .history import EpochRecord
from .loader import load_data_fashion_mnist
from .training import train


def do_exp() -> list[EpochRecord]:
    """Run the blog's experiment: ResNet on Fashion-MNIST at 224x224, one epoch, batch size 64, SGD with rate 0.01.

    It trains as printed: last partial batches are left out, those of the test images too, and training images are
    resized in float32, test images in uint8. Print the lines of `train`, and return its metrics.
    """
    ctx = try_gpu()
    train_data, test_data = load_data_fashion_mnist(64, resize=224, resize_in="published", last_batch="discard")
    net = ResNet(10)
    net.initialize(mx.init.Xavier(), ctx=ctx)
    print("initialize weight on", ctx)
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.01})
    return train(train_data, test_data, net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer, ctx, num_epochs=1)
