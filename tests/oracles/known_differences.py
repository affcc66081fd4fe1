"""In what torchvision and GluonCV alike differ from our editions, as `layer_lists.differences` finds it."""

# torchvision's and GluonCV's AlexNet is the one-tower network of a later paper (arXiv:1404.5997)
ONE_TOWER = {
    ("convolution", "channels", 96, 64): 1,
    ("convolution", "inputs", 96, 64): 1,
    ("convolution", "channels", 256, 192): 1,
    ("convolution", "inputs", 256, 192): 1,
    ("convolution", "channels", 384, 256): 1,
    ("convolution", "inputs", 384, 256): 1,
    ("convolution", "padding", 0, 2): 1,
}
# batch normalization in place of biases; the "5x5" convolutions are 3x3, and the fourth pool 2x2
NORMS = {("convolution", "bias", True, False): 57, "norm": (0, 57)}
SMALLER_KERNELS = {
    ("convolution", "kernel", 5, 3): 9,
    ("convolution", "padding", 2, 1): 9,
    ("max pool", "size", 3, 2): 1,
}
