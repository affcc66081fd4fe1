"""What shapes and counts do not show: activations, kinds of pools, order, rates of dropout."""

from gluon_classics import get_model
from layer_tables import D2L_BN, TUTORIAL_BN, layers, summary_of
from mxnet.gluon import nn
import pytest

LRN = "LocalResponseNorm size 5 alpha 0.0005/5 beta 0.75 k 2"  # MXNet divides alpha by the size
KINDS = {
    "lenet_bn_tutorial": "Conv2D 20 @5x5, BatchNorm, MaxPool2D 2x2 /2, Conv2D 50 @3x3, BatchNorm, MaxPool2D 2x2 /2, "
    "Flatten, Dense 128 relu, Dense 10",
    "lenet_slides": "Conv2D 20 @5x5 tanh, AvgPool2D 2x2 /2, Conv2D 50 @5x5 tanh, AvgPool2D 2x2 /2, Flatten, "
    "Dense 500 tanh, Dense 10",
    "lenet_d2l": "Conv2D 6 @5x5 pad 2 sigmoid, AvgPool2D 2x2 /2, Conv2D 16 @5x5 sigmoid, AvgPool2D 2x2 /2, Flatten, "
    "Dense 120 sigmoid, Dense 84 sigmoid, Dense 10",
    "lenet_bn": "Conv2D 6 @5x5, BatchNorm, AvgPool2D 2x2 /2, Conv2D 16 @5x5, BatchNorm, AvgPool2D 2x2 /2, Flatten, "
    "Dense 120, BatchNorm, Dense 84, BatchNorm, Dense 10",
    "lenet_bn_scratch": "Conv2D 6 @5x5, ScratchBatchNorm, AvgPool2D 2x2 /2, Conv2D 16 @5x5, ScratchBatchNorm, "
    "AvgPool2D 2x2 /2, Flatten, Dense 120, ScratchBatchNorm, Dense 84, ScratchBatchNorm, Dense 10",
    "lenet_straight_dope": "Conv2D 20 @5x5 relu, MaxPool2D 2x2 /2, Conv2D 50 @5x5 relu, MaxPool2D 2x2 /2, Flatten, "
    "Dense 512 relu, Dense 10",
    "lenet_bn_straight_dope": "Conv2D 20 @5x5, BatchNorm, MaxPool2D 2x2 /2, Conv2D 50 @5x5, BatchNorm, "
    "MaxPool2D 2x2 /2, Flatten, Dense 512, BatchNorm, Dense 10",
    "lenet_scratch_straight_dope": "Conv2D 20 @3x3 relu, AvgPool2D 2x2 /2, Conv2D 50 @5x5 relu, AvgPool2D 2x2 /2, "
    "Flatten, Dense 128 relu, Dense 10",
    "lenet_bn_scratch_straight_dope": "Conv2D 20 @3x3, ScratchBatchNorm, AvgPool2D 2x2 /2, Conv2D 50 @5x5, "
    "ScratchBatchNorm, AvgPool2D 2x2 /2, Flatten, Dense 128, ScratchBatchNorm, Dense 10",
    "lenet_d2l_first": "Conv2D 6 @5x5 sigmoid, MaxPool2D 2x2 /2, Conv2D 16 @5x5 sigmoid, MaxPool2D 2x2 /2, Flatten, "
    "Dense 120 sigmoid, Dense 84 sigmoid, Dense 10",
    "lenet_conv3": "Conv2D 6 @5x5 relu, MaxPool2D 2x2 /2, Conv2D 16 @5x5 relu, MaxPool2D 2x2 /2, Conv2D 120 @5x5 relu, "
    "Flatten, Dense 84 relu, Dense 10",
    "lenet_cifar10": "Conv2D 6 @5x5 relu, MaxPool2D 2x2 /2, Conv2D 16 @5x5 relu, MaxPool2D 2x2 /2, Flatten, "
    "Dense 120 relu, Dense 84 relu, Dense 10",
    "lenet_caffe": "Conv2D 20 @5x5, MaxPool2D 2x2 /2 ceil, Conv2D 50 @5x5, MaxPool2D 2x2 /2 ceil, Flatten, "
    "Dense 500 relu, Dense 10",
    "lenet_slim": "Conv2D 32 @5x5 pad 2 relu, MaxPool2D 2x2 /2, Conv2D 64 @5x5 pad 2 relu, MaxPool2D 2x2 /2, Flatten, "
    "Dense 1024 relu, Dropout 0.5, Dense 10",
    "lenet_pytorch_2017": "Conv2D 10 @5x5, MaxPool2D 2x2 /2, Conv2D 20 @5x5, Dropout 0.5 per channel, "
    "MaxPool2D 2x2 /2, Flatten, Dense 50 relu, Dropout 0.5, Dense 10",
    "lenet_pytorch_2018": "Conv2D 20 @5x5 relu, MaxPool2D 2x2 /2, Conv2D 50 @5x5 relu, MaxPool2D 2x2 /2, Flatten, "
    "Dense 500 relu, Dense 10",
    "lenet_pytorch": "Conv2D 32 @3x3 relu, Conv2D 64 @3x3 relu, MaxPool2D 2x2 /2, Dropout 0.25, Flatten, "
    "Dense 128 relu, Dropout 0.5, Dense 10",
    "alexnet_2012": f"Conv2D 96 @11x11 /4 relu, {LRN}, MaxPool2D 3x3 /2, "
    f"Conv2D 256 @5x5 pad 2 groups 2 relu, {LRN}, MaxPool2D 3x3 /2, Conv2D 384 @3x3 pad 1 relu, "
    "Conv2D 384 @3x3 pad 1 groups 2 relu, Conv2D 256 @3x3 pad 1 groups 2 relu, MaxPool2D 3x3 /2, Flatten, "
    "Dense 4096 relu, Dropout 0.5, Dense 4096 relu, Dropout 0.5, Dense 1000",
    "nin_cifar10": "Conv2D 192 @5x5 pad 2 relu, Conv2D 160 @1x1 relu, Conv2D 96 @1x1 relu, MaxPool2D 3x3 /2 ceil, "
    "Dropout 0.5, Conv2D 192 @5x5 pad 2 relu, Conv2D 192 @1x1 relu, Conv2D 192 @1x1 relu, "
    "MaxPool2D 3x3 /2 ceil, "
    "Dropout 0.5, Conv2D 192 @3x3 pad 1 relu, Conv2D 192 @1x1 relu, Conv2D 10 @1x1 relu, GlobalAvgPool2D, Flatten",
    "nin_cifar10_caffe": "Conv2D 192 @5x5 pad 2 relu, Conv2D 160 @1x1 relu, Conv2D 96 @1x1 relu, "
    "MaxPool2D 3x3 /2 ceil, Dropout 0.5, Conv2D 192 @5x5 pad 2 relu, Conv2D 192 @1x1 relu, Conv2D 192 @1x1 relu, "
    "AvgPool2D 3x3 /2 ceil padding not counted, "
    "Dropout 0.5, Conv2D 192 @3x3 pad 1 relu, Conv2D 192 @1x1 relu, Conv2D 10 @1x1 relu, GlobalAvgPool2D, Flatten",
    "nin_imagenet": "Conv2D 96 @11x11 /4 relu, Conv2D 96 @1x1 relu, Conv2D 96 @1x1 relu, MaxPool2D 3x3 /2 ceil, "
    "Conv2D 256 @5x5 pad 2 relu, Conv2D 256 @1x1 relu, Conv2D 256 @1x1 relu, MaxPool2D 3x3 /2 ceil, "
    "Conv2D 384 @3x3 pad 1 relu, Conv2D 384 @1x1 relu, Conv2D 384 @1x1 relu, MaxPool2D 3x3 /2 ceil, Dropout 0.5, "
    "Conv2D 1024 @3x3 pad 1 relu, Conv2D 1024 @1x1 relu, Conv2D 1000 @1x1 relu, GlobalAvgPool2D, Flatten",
    "googlenet_tutorial": "Conv2D 64 @7x7 /2 pad 3 relu, MaxPool2D 3x3 /2, Conv2D 64 @1x1, Conv2D 192 @3x3 pad 1, "
    "MaxPool2D 3x3 /2, MaxPool2D 3x3 /2, MaxPool2D 3x3 /2, AvgPool2D 2x2 /2, Flatten, Dense 10",
    "googlenet_d2l": "Conv2D 64 @7x7 /2 pad 3 relu, MaxPool2D 3x3 /2 pad 1, Conv2D 64 @1x1 relu, "
    "Conv2D 192 @3x3 pad 1 relu, MaxPool2D 3x3 /2 pad 1, MaxPool2D 3x3 /2 pad 1, MaxPool2D 3x3 /2 pad 1, "
    "GlobalAvgPool2D, Flatten, Dense 10",
    "googlenet_v1": f"Conv2D 64 @7x7 /2 pad 3 relu, MaxPool2D 3x3 /2 ceil, {LRN}, Conv2D 64 @1x1 relu, "
    f"Conv2D 192 @3x3 pad 1 relu, {LRN}, MaxPool2D 3x3 /2 ceil, MaxPool2D 3x3 /2 ceil, MaxPool2D 3x3 /2 ceil, "
    "GlobalAvgPool2D, Flatten, Dropout 0.4, Dense 1000",
}

KINDS["lenet_bn_scratch_tutorial"] = KINDS["lenet_bn_tutorial"].replace("BatchNorm", "ScratchBatchNorm")
KINDS.update({f"{name}_first": KINDS[name].replace("Avg", "Max") for name in ("lenet_bn", "lenet_bn_scratch")})


@pytest.mark.parametrize("name", KINDS)
def test_layers_are_of_the_kind_of_the_source(name):
    kinds = [row.layer for row in layers(summary_of(name)) if row.layer != "Inception"]
    assert ", ".join(kinds) == KINDS[name]


@pytest.mark.parametrize(
    ("name", "activations"),
    [
        *((name, ["sigmoid"] * 4) for name in D2L_BN),
        *((name, ["relu"] * 2) for name in TUTORIAL_BN),
        ("lenet_bn_straight_dope", ["relu"] * 3),
        ("lenet_bn_scratch_straight_dope", ["relu"] * 3),
    ],
)
def test_an_activation_stands_behind_each_batch_normalisation(name, activations):
    kinds = [layer._act_type if isinstance(layer, nn.Activation) else type(layer).__name__ for layer in get_model(name)]
    behind = [after for before, after in zip(kinds, kinds[1:]) if before.endswith("BatchNorm")]
    assert behind == activations
