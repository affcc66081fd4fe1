"""Batch normalization (Ioffe & Szegedy 2015, arXiv:1502.03167) written out by hand.

Source    The Gluon tutorials of early 2018, and D2L's `BatchNorm`.
Departs   The epsilon is 1e-5, as in `nn.BatchNorm`, in the tutorials and in D2L's first edition (D2L in English from
          0.8.0 on: 1e-12). By default the running variance starts from one (D2L up to 0.15.1: from zero; the difference
          vanishes within an epoch).
"""

import mxnet as mx
from mxnet import autograd
from mxnet.gluon import nn

EPSILON = 1e-5  # added to the variance
MOMENTUM_KEEP = 0.9  # share of a running statistic that a training step keeps


class ScratchBatchNorm(nn.Block):
    """Batch normalization written out: (N, features) or (N, features, H, W) to the same shape.

    In training mode it normalizes with the mean and the biased variance of the batch, over all axes but the features,
    and moves the running statistics a tenth of the way to them. This happens in the forward pass; MXNet's operator
    does it in the backward pass. In prediction mode it normalizes with the running statistics. Parameters have the
    names that `nn.BatchNorm` gives them, so parameter files interchange.

    A compiled graph cannot ask for the mode, so this is not a `HybridBlock`, and networks that contain it run eagerly.

    Args:
        features: Size of axis 1.
        dimensions: Number of axes of the input: 2 or 4.
        gamma: Initializer of the scale.
        beta: Initializer of the shift.
        running_var: Initializer of the running variance.

    Attributes:
        use_running: Whether training mode normalizes with the running statistics too, and does not change them, as with
            `use_global_stats` of `nn.BatchNorm`.
    """

    def __init__(self, features, dimensions, gamma="ones", beta="zeros", running_var="ones", **kwargs):
        super().__init__(**kwargs)
        self.use_running = False
        self._axes = (0,) if dimensions == 2 else (0, 2, 3)
        self._shape = (1, features) if dimensions == 2 else (1, features, 1, 1)
        constant = {"shape": (features,), "grad_req": "null", "differentiable": False}
        self.gamma = self.params.get("gamma", shape=(features,), init=gamma)
        self.beta = self.params.get("beta", shape=(features,), init=beta)
        self.running_mean = self.params.get("running_mean", init="zeros", **constant)
        self.running_var = self.params.get("running_var", init=running_var, **constant)

    def forward(self, x):
        if isinstance(x, mx.sym.Symbol):  # shape inference: as in prediction mode
            return self._with_running(mx.sym, x, *(p.var() for p in self._reg_params.values()))
        gamma, beta, *running = (p.data(x.context) for p in self._reg_params.values())
        if self.use_running or not autograd.is_training():
            return self._with_running(mx.nd, x, gamma, beta, *running)
        mean = x.mean(axis=self._axes, keepdims=True)
        centered = x - mean
        variance = centered.square().mean(axis=self._axes, keepdims=True)
        with autograd.pause():
            for old, batch in zip(running, (mean, variance)):
                old[:] = MOMENTUM_KEEP * old + (1 - MOMENTUM_KEEP) * batch.reshape(-1)
        return self._scaled(mx.nd, centered, gamma, beta, variance)

    def _with_running(self, F, x, gamma, beta, mean, variance):
        return self._scaled(F, F.broadcast_sub(x, F.reshape(mean, shape=self._shape)), gamma, beta, variance)

    def _scaled(self, F, centered, *parameters):
        gamma, beta, variance = (F.reshape(p, shape=self._shape) for p in parameters)
        return F.broadcast_add(F.broadcast_mul(centered, gamma / F.sqrt(variance + EPSILON)), beta)
