"""Record a port in Flax, linen or NNX, with channels last. See `recorder`."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

from ..flattening import channels_last_order, flat_operations, flat_vectors, moved_shape

_ROLES = {
    **{"weight": "kernel", "gamma": "scale", "beta": "bias", "slope": "negative_slope"},
    **{"running_mean": "mean", "running_var": "var"},
}


class Linen:
    """A `flax.linen.Module` with its variables and the arguments of its call."""

    def __init__(self, model, variables, arguments):
        self.model, self.variables, self.arguments = model, variables, arguments

    @property
    def parameters(self):
        return self.variables["params"]

    def collections(self):
        """Return dictionaries with all variables."""
        return self.variables.values()

    def gradient_collection(self, gradients):
        return gradients

    def run(self, parameters, images, calls):
        """Return the output, and the other variables afterwards."""
        import flax.linen as nn
        import jax

        def follow(compute, inputs, settings, context):
            if context.method_name != "__call__":
                return compute(*inputs, **settings)
            path = ".".join(context.module.path)
            return calls.run(path, context.module, lambda: compute(*inputs, **settings), inputs)

        others = [name for name in self.variables if name != "params"]
        keys = {"dropout": jax.random.PRNGKey(0)}
        with nn.intercept_methods(follow):
            variables = {**self.variables, "params": parameters}
            return self.model.apply(variables, images, mutable=others, rngs=keys, **self.arguments)

    def finish(self, others, update, gradients, learning_rate):
        """Set the variables after a step."""
        parameters = self.parameters if update is None else update(self.parameters, gradients, learning_rate)
        self.variables = {**self.variables, **others, "params": parameters}


class Nnx:
    """A `flax.nnx.Module` with the arguments of its call."""

    def __init__(self, model, arguments):
        from flax import nnx

        self.model, self.arguments = model, arguments
        self.definition, self.parameters, self.others = nnx.split(model, nnx.Param, ...)

    def collections(self):
        """Return dictionaries with all variables."""
        from flax import nnx

        return [nnx.to_pure_dict(nnx.state(self.model, nnx.Not(nnx.RngState)))]

    def gradient_collection(self, gradients):
        from flax import nnx

        return nnx.to_pure_dict(gradients)

    def run(self, parameters, images, calls):
        """Return the output, and the variables other than parameters afterwards."""
        from flax import nnx

        model = nnx.merge(self.definition, parameters, self.others, copy=True)
        paths = {".".join(map(str, path)): module for path, module in nnx.iter_modules(model)}
        with calls.followed(paths, "__call__"):
            output = model(images, **self.arguments)
        return output, nnx.split(model, nnx.Param, ...)[2]

    def finish(self, others, update, gradients, learning_rate):
        """Set the variables after a step."""
        from flax import nnx

        nnx.update(self.model, others)
        if update is not None:
            update(self.model, gradients, learning_rate)


def record(recorder, port) -> None:
    """Record the parameters of a port and its outputs in prediction mode."""
    _record_all(recorder, port, "param")
    outputs = _Outputs({})
    calls = recorder._calls(outputs.keep)
    port.run(port.parameters, _images(recorder, port, 1), calls)
    _put_outputs(recorder, "eval", calls, outputs.values)


def record_step(recorder, port, loss_function, update) -> None:
    """Record a training step. See `Recorder.flax_step`."""
    import jax
    import jax.numpy as jnp

    step, label = recorder._next_step()
    if step == 1:
        _record_all(recorder, port, "param")
    images = _images(recorder, port, step)
    layout, given = recorder._layout, recorder._masks(step)
    masks = {name: jnp.asarray(layout.mask(name, mask), images.dtype) for name, mask in given.items()}

    def loss_of(parameters, zeros):
        """Return the loss, and what else a step computes. The gradients of `zeros` are those of the outputs."""
        outputs = _Outputs(zeros)
        calls = recorder._calls(outputs.keep if step == 1 else None, masks)
        followed.append(calls)
        with _masks_imposed(calls):
            output, others = port.run(parameters, images, calls)
        return loss_function(output, jnp.asarray(label)), (outputs.values, others)

    followed: list = []
    zeros: dict = {}
    if step == 1:
        shapes = jax.eval_shape(lambda parameters: loss_of(parameters, {})[1][0], port.parameters)
        zeros = {key: jnp.zeros(row.shape, row.dtype) for key, row in shapes.items()}
    both = jax.value_and_grad(loss_of, argnums=(0, 1), has_aux=True)
    (loss, (outputs, others)), (gradients, output_gradients) = both(port.parameters, zeros)
    recorder.put("loss" if step == 1 else f"step/{step}/loss", loss)
    if step == 1:
        _put_outputs(recorder, "train", followed[-1], outputs, output_gradients)
        record_parameters(recorder, port.gradient_collection(gradients), "grad")
    port.finish(others, update, gradients, recorder._learning_rate(step))
    if update is not None:
        _record_all(recorder, port, f"step/{step}/param")


class _Outputs:
    """Outputs by the keys of their calls. `zeros` are added to them, so that they have gradients."""

    def __init__(self, zeros):
        from flax.nnx.tracers import TraceState

        self.values: dict = {}
        self.zeros, self.state = zeros, TraceState()

    def keep(self, key, output):
        if not self.state.is_valid():  # a value cannot leave `jit`, `remat` or another transformation
            return output
        self.values[key] = output
        return output + self.zeros[key] if key in self.zeros else output


def record_parameters(recorder, collection, place) -> None:
    """Record the variables of a nested dictionary, in the trace's layout."""
    layout = recorder._layout
    named = [(recorder._parameter(".".join(path[:-1]), path[-1], _ROLES), value) for path, value in _leaves(collection)]
    for name, value in sorted(named, key=lambda row: row[0] in layout.flat):  # weights show the order of such vectors
        if name:
            recorder.put(f"{place}/{name}", layout.parameter(name, np.asarray(value), place == "param"))


class Layout:
    """Conversions from channels last to the layout of a trace.

    A dense layer behind a feature map has its columns in the order height, width, channel, unless its initial values
    show that the port flattens as the trace does.
    """

    def __init__(self, trace):
        self.trace = trace
        self.kernels = {row.parameters.get("weight") for row in trace.graph.operations}
        self.orders: dict = {}  # positions in the port's order of the trace's columns, by the name of a weight
        self.flat: dict = {}  # the weight that follows each flattened value, or vector of parameters for it
        for row in trace.graph.operations:
            shape = moved_shape(trace.graph, row)
            if shape:
                weight = row.parameters["weight"]
                self.orders[weight] = np.argsort(channels_last_order(shape))
                names = (operation.name for operation in flat_operations(trace.graph, row))
                self.flat.update(dict.fromkeys((*names, *flat_vectors(trace.graph, row)), weight))

    def parameter(self, name, value, is_initial=False):
        """Return a parameter; kernels are (height, width, in, out) before, and dense weights (in, out)."""
        if name in self.flat:
            return value[self.orders[self.flat[name]]]
        if name not in self.kernels or value.ndim < 2:
            return value
        value = value.transpose(value.ndim - 1, value.ndim - 2, *range(value.ndim - 2))
        order = self.orders.get(name)
        if order is None or value.shape[1:] != order.shape:
            return value
        reference = self.trace.tensors[f"param/{name}"]
        if is_initial and value.shape == reference.shape:
            error = np.linalg.norm(value[:, order] - reference)
            if np.linalg.norm(value - reference) < error:
                self.orders[name] = order = np.arange(order.size)
        return value[:, order]

    def output(self, name, value):
        """Return an output or its gradient."""
        order = self.orders.get(self.flat.get(name))
        if order is not None and value.shape[1:] == order.shape:
            return value[:, order]
        return value.transpose(0, 3, 1, 2) if value.ndim == 4 else value

    def mask(self, name, value):
        """Return a mask of the trace in the port's layout."""
        order = self.orders.get(self.flat.get(name))
        return value[:, np.argsort(order)] if order is not None and value.shape[1:] == order.shape else _last(value)


@contextmanager
def _masks_imposed(calls):
    """Return a context in which `jax.random.bernoulli` returns masks."""
    import jax

    original = jax.random.bernoulli

    def bernoulli(key, p=0.5, shape=None, *_, **__):
        return calls.mask(np.shape(p) if shape is None else shape).astype(bool)

    try:
        if calls.masks:
            jax.random.bernoulli = bernoulli
        yield
    finally:
        jax.random.bernoulli = original


def _put_outputs(recorder, place, calls, kept, gradients=None):
    """Record outputs, and perhaps their gradients, by the keys of their calls."""
    arrays = {key: np.asarray(value) for key, value in kept.items()}
    recorder._put_outputs(place, calls, arrays, gradients, recorder._layout.output)


def _record_all(recorder, port, place):
    for collection in port.collections():
        record_parameters(recorder, collection, place)


def _images(recorder, port, step):
    import jax
    import jax.numpy as jnp

    kind = jax.tree_util.tree_leaves(port.parameters)[0].dtype
    return jnp.asarray(_last(recorder._data("input", step)), kind)


def _last(array):
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


def _leaves(tree, path=()):
    for key, value in tree.items():
        if hasattr(value, "items"):
            yield from _leaves(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value
