"""Differences from our editions that torchvision and GluonCV share, as results of `layer_lists.differences`."""

# their AlexNet is the network with one tower from a later paper (arXiv:1404.5997)
ONE_TOWER = {
    ("convolution", "channels", 96, 64): 1,
    ("convolution", "inputs", 96, 64): 1,
    ("convolution", "channels", 256, 192): 1,
    ("convolution", "inputs", 256, 192): 1,
    ("convolution", "channels", 384, 256): 1,
    ("convolution", "inputs", 384, 256): 1,
    ("convolution", "padding", 0, 2): 1,
}
# their GoogLeNet has batch normalization instead of biases; its "5x5" convolutions are 3x3, its fourth pool is 2x2
NORMS = {("convolution", "bias", True, False): 57, "norm": (0, 57)}
SMALLER_KERNELS = {
    ("convolution", "kernel", 5, 3): 9,
    ("convolution", "padding", 2, 1): 9,
    ("max pool", "size", 3, 2): 1,
}
