"""Compiling a plain `nn.Sequential` as one graph."""

from __future__ import annotations

import warnings

from mxnet.gluon import nn


def hybridized(net: nn.Block) -> nn.HybridSequential:
    """A twin of `net` that compiles as one static graph and shares every parameter with it.

    As `sorted` beside `list.sort`: `net` itself stays eager, which `nn.Sequential.hybridize` would not leave it
    (it compiles the children one by one). The twin chains the same layers anew in `nn.HybridSequential`, so that
    outputs are equal and parameter files interchange. Forward hooks of `net` and its chains are left behind.
    Layers that `net` contains are set back to eager execution outside of the twin.

    Raises TypeError if a block in `net` is neither a `HybridBlock` nor a chain (`nn.Sequential` with its own
    `forward`): only the block itself knows what it computes.
    """
    twin = _chained_anew(net)
    if twin is net:
        twin = _chain_of([net], net)
    twin.hybridize(static_alloc=True, static_shape=True)
    for child in twin:
        child.hybridize(False)  # the layers are shared with `net`; within the twin's graph they do not matter
    return twin


def compiled(net: nn.Block) -> nn.Block:
    """`net` if it is hybridized already, its compiled twin if it can have one, else `net` with a warning."""
    if getattr(net, "_active", False):
        return net
    try:
        return hybridized(net)
    except TypeError as error:
        warnings.warn(f"running eagerly: {error}", RuntimeWarning, stacklevel=2)
        return net


def _chained_anew(block):
    if isinstance(block, nn.HybridBlock):
        return block
    if not isinstance(block, nn.Sequential) or type(block).forward is not nn.Sequential.forward:
        raise TypeError(
            f"{type(block).__name__} cannot be compiled: make it a HybridBlock, or a nn.Sequential without "
            "a forward() of its own"
        )
    return _chain_of([_chained_anew(child) for child in block], block)


def _chain_of(blocks, original):
    twin = nn.HybridSequential(prefix=original.prefix, params=original.params)
    twin.add(*blocks)
    return twin
