"""Show that torch.compile loses the gradient of convolutions in front of a max pool and dense layers, for some sizes.

    pip install -e '.[bench]'
    python benchmarks/torch_gradient.py

Prints the largest gradient of the convolution's weights for each way of running the same layers.
"""

import torch
from torch import nn

CHANNELS, SIDE = 256, 12  # as in front of AlexNet's last pool
SIZES = ((16, 64), (64, 1024), (64, 4096))  # images in a batch, units of the dense layer; the last is AlexNet's
WAYS = {
    "eager": lambda f: f,
    "torch.compile": lambda f: torch.compile(f, dynamic=False),
    "torch.compile, layout_optimization=False": lambda f: torch.compile(
        f, dynamic=False, options={"layout_optimization": False}
    ),
    "torch.compile, max_fusion_size=1": lambda f: torch.compile(f, dynamic=False, options={"max_fusion_size": 1}),
}


def gradient(way, batch, units, memory_format):
    """Return the largest gradient of the convolution's weights."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    net = nn.Sequential(
        *(nn.Conv2d(16, CHANNELS, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten()),
        *(nn.LazyLinear(units), nn.ReLU(), nn.LazyLinear(10)),
    )
    images = torch.randn(batch, 16, SIDE, SIDE)
    net(images)  # sets the widths of the lazy layers
    net, images = net.to(memory_format=memory_format), images.contiguous(memory_format=memory_format)
    WAYS[way](lambda x: net(x).square().mean())(images).backward()
    return net[0].weight.grad.abs().max().item()


def main():
    print(f"PyTorch {torch.__version__}")
    for memory_format in (torch.contiguous_format, torch.channels_last):
        for batch, units in SIZES:
            for way in WAYS:
                largest = gradient(way, batch, units, memory_format)
                print(f"{memory_format}, {batch} images, {units} units, {way}: {largest:.3e}")


if __name__ == "__main__":
    main()
