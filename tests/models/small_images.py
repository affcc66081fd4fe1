"""Editions up to GoogLeNet that are ready for a small image."""

from gluon_classics import get_model
from layer_tables import PUBLISHED
import mxnet as mx
from mxnet import nd

# small allowed sides; test_numeric.py has VGG
SMALL = {
    "lenet_bn_scratch_tutorial": 16,
    "lenet_bn_tutorial": 16,
    "lenet_slides": 16,
    "lenet_straight_dope": 16,
    "lenet_bn_straight_dope": 16,
    "lenet_scratch_straight_dope": 14,
    "lenet_bn_scratch_straight_dope": 14,
    "lenet_d2l_first": 16,
    "lenet_d2l": 12,
    "lenet_bn_scratch_first": 16,
    "lenet_bn_first": 16,
    "lenet_bn_scratch": 16,
    "lenet_bn": 16,
    "lenet_conv3": 32,
    "lenet_cifar10": 16,
    "lenet_caffe": 16,
    "lenet_slim": 16,
    "lenet_pytorch_2017": 16,
    "lenet_pytorch_2018": 16,
    "lenet_pytorch": 16,
    "alexnet_2012": 67,
    "nin_cifar10": 16,
    "nin_cifar10_caffe": 16,
    "nin_imagenet": 67,
    "googlenet_tutorial": 93,
    "googlenet_d2l": 33,
    "googlenet_v1": 48,
}


def ready(name, side, batch=2):
    """An edition with Xavier's weights, and images and labels for it."""
    net = get_model(name, classes=10)
    net.initialize(mx.init.Xavier())
    x = nd.random.normal(shape=(batch, PUBLISHED[name][0][0], side, side))
    net(x)  # completes the deferred shapes
    return net, x, nd.arange(batch)
