"""Run a generated PyTorch or Flax file in a Python that has the framework; it need not have MXNet or this package.

    python run_port.py PORT.py DATA.npz RESULT.npz

DATA.npz holds `input`, (N, C, H, W), whose type is that of the computation. With `output_gradient/0` and so on, the
gradients of the loss with respect to the outputs in training mode, there is a training pass too; `mask/0` and so on are
the keep masks of its dropouts, in order. RESULT.npz gets `eval`; after a training pass also `train/0` and so on, and
under the framework's names `grad/NAME`, and `running/NAME` for what the pass changed by itself.
"""

import functools
import importlib.util
import sys

import numpy as np


def run_pytorch(module, data):
    """Return the results of a PyTorch file, by key."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(1)
    images = torch.tensor(data["input"])
    network = module.load().to(images.dtype)
    with torch.no_grad():
        results = {"eval": network(images).numpy()}
    if "output_gradient/0" not in data:
        return results
    masks = [torch.tensor(mask) for mask in numbered(data, "mask")]

    def dropout(x, p=0.5, training=True, inplace=False, of_maps=False):
        mask = masks.pop(0)
        shape = (*x.shape[:2], *[1] * (x.dim() - 2)) if of_maps else x.shape
        if mask.shape != shape:
            raise ValueError(f"a mask has the shape {tuple(mask.shape)}, and the dropout has {tuple(shape)}")
        return x * mask / (1 - p)

    F.dropout = dropout
    F.dropout1d = F.dropout2d = F.dropout3d = functools.partial(dropout, of_maps=True)
    if hasattr(module, "DropBlock"):
        module.DropBlock.keep = lambda _layer, x: masks.pop(0).to(x.dtype)
    outputs = network.train()(images)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    gradients = [torch.tensor(value, dtype=images.dtype) for value in numbered(data, "output_gradient")]
    torch.autograd.backward(outputs, gradients)
    results.update({f"train/{number}": value.detach().numpy() for number, value in enumerate(outputs)})
    results.update({f"grad/{name}": row.grad.numpy() for name, row in network.named_parameters() if row.requires_grad})
    running = {name: row for name, row in network.named_buffers() if name.split(".")[-1].startswith("running_")}
    return {**results, **{f"running/{name}": row.numpy() for name, row in running.items()}}


def run_flax(module, data):
    """Return the results of a Flax file, by key."""
    from flax import nnx
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", data["input"].dtype == np.float64)
    images = jnp.asarray(last(data["input"]))
    network = module.load()
    state = nnx.state(network, nnx.Not(nnx.RngState))
    nnx.update(network, jax.tree.map(lambda value: value.astype(images.dtype), state))
    results = {"eval": np.asarray(nnx.jit(lambda network, images: network(images))(network, images))}
    if "output_gradient/0" not in data:
        return results
    masks = [jnp.asarray(last(mask), bool) for mask in numbered(data, "mask")]

    def bernoulli(key, p=0.5, shape=None, **settings):
        mask = masks.pop(0)
        if mask.shape != tuple(shape):
            raise ValueError(f"a mask has the shape {mask.shape}, and the dropout has {tuple(shape)}")
        return mask

    jax.random.bernoulli = bernoulli
    gradients = [jnp.asarray(value, images.dtype) for value in numbered(data, "output_gradient")]

    def product(network, images):
        outputs = network(images)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return sum(jnp.sum(output * gradient) for output, gradient in zip(outputs, gradients)), outputs

    network.train()
    (_, outputs), found = nnx.jit(nnx.value_and_grad(product, has_aux=True))(network, images)
    results.update({f"train/{number}": np.asarray(value) for number, value in enumerate(outputs)})
    results.update({f"grad/{name}": value for name, value in flat(nnx, found)})
    return {**results, **{f"running/{name}": value for name, value in flat(nnx, nnx.state(network, nnx.BatchStat))}}


def numbered(data, key):
    """Return the arrays `key`/0, `key`/1 and so on."""
    return [data[f"{key}/{number}"] for number in range(sum(name.startswith(f"{key}/") for name in data))]


def last(array):
    """Return (N, C, H, W) as (N, H, W, C), and other arrays as they are."""
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def flat(nnx, state):
    """Return names and values of a state."""
    return [(".".join(map(str, name)), np.asarray(row[...])) for name, row in nnx.to_flat_state(state)]


def main(port, data, result):
    """Run a generated file."""
    specification = importlib.util.spec_from_file_location("port", port)
    if specification is None or specification.loader is None:
        sys.exit(f"{port} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    with np.load(data) as archive:
        arrays = dict(archive)
    run = run_flax if hasattr(module, "nnx") else run_pytorch
    np.savez(result, **run(module, arrays))


if __name__ == "__main__":
    main(*sys.argv[1:])
