"""Batch normalisation (Ioffe & Szegedy 2015, arXiv:1502.03167) written out by hand.

Source    D2L's `BatchNorm`.
Departs   1e-5 is added to the variance, as by `nn.BatchNorm` and D2L's first edition (D2L in English from 0.8.0 on:
          1e-12). The running variance starts from one (D2L up to 0.15.1: from zero; after an epoch it is the same).
"""

import mxnet as mx
from mxnet import autograd
from mxnet.gluon import nn


class ScratchBatchNorm(nn.Block):
    """Batch normalisation written out, for (N, features) and, with `dimensions` 4, for (N, features, H, W).

    In training mode it normalises with the mean and the biased variance of the batch, over all axes but the features,
    and moves the running statistics by a tenth of the way to them: in the forward pass, where MXNet's operator does
    it in the backward pass. In prediction mode it normalises with the running statistics. Parameters are named as
    those of `nn.BatchNorm`, so that files interchange.

    A compiled graph cannot ask for the mode, so this is no `HybridBlock`: a network that contains it runs eagerly.
    """

    def __init__(self, features, dimensions, **kwargs):
        super().__init__(**kwargs)
        self._axes = (0,) if dimensions == 2 else (0, 2, 3)
        self._shape = (1, features) if dimensions == 2 else (1, features, 1, 1)
        constant = {"shape": (features,), "grad_req": "null", "differentiable": False}
        self.gamma = self.params.get("gamma", shape=(features,), init="ones")
        self.beta = self.params.get("beta", shape=(features,), init="zeros")
        self.running_mean = self.params.get("running_mean", init="zeros", **constant)
        self.running_var = self.params.get("running_var", init="ones", **constant)

    def forward(self, x):
        if isinstance(x, mx.sym.Symbol):  # only asked for shapes: as in prediction
            return self._with_running(mx.sym, x, *(p.var() for p in self._reg_params.values()))
        gamma, beta, *running = (p.data(x.context) for p in self._reg_params.values())
        if not autograd.is_training():
            return self._with_running(mx.nd, x, gamma, beta, *running)
        mean = x.mean(axis=self._axes, keepdims=True)
        centred = x - mean
        variance = centred.square().mean(axis=self._axes, keepdims=True)
        with autograd.pause():
            for old, batch in zip(running, (mean, variance)):
                old[:] = 0.9 * old + 0.1 * batch.reshape(-1)
        return self._scaled(mx.nd, centred, gamma, beta, variance)

    def _with_running(self, F, x, gamma, beta, mean, variance):
        return self._scaled(F, F.broadcast_sub(x, F.reshape(mean, shape=self._shape)), gamma, beta, variance)

    def _scaled(self, F, centred, *parameters):
        gamma, beta, variance = (F.reshape(p, shape=self._shape) for p in parameters)
        return F.broadcast_add(F.broadcast_mul(centred, gamma / F.sqrt(variance + 1e-5)), beta)
