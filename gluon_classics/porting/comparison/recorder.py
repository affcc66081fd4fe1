"""Record the tensors of a port in PyTorch, Flax or ONNX under the keys of a trace. See `port_tensors`.

recorder = Recorder(trace, {"layer1.0.conv1": "conv2_x.0.body.0", ...})
recorder.torch(model)
recorder.torch_step(model, loss_function, optimizer)  # and once more for each further step
recorder.save("port.npz")

With Flax the two lines in the middle are one of these pairs:

recorder.flax(model, variables)
variables = recorder.flax_step(model, variables, loss_function, update, train=True)

recorder.nnx(model)
recorder.nnx_step(model, loss_function, update)
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from . import flax_recorder, onnx_recorder, torch_recorder
from .module_calls import ModuleCalls, operation_outputs
from .reference_trace import ReferenceTrace
from .tensor_file import PortError, write_safetensors


class Recorder:
    """The tensors of a port, recorded while it runs on the data of a trace.

    The outputs of modules are recorded. A module may compute a layer and the activation that is built into it in the
    trace: then its output is recorded as the activation's. Modules that run inside `jax.jit`, `nn.remat` or another
    transformation are left out.

    A training step takes the dropout masks of the trace. A dropout module with the trace's name takes its own mask.
    Other dropouts take the masks that are left, in the order of the trace: PyTorch's dropout functions, and whatever
    draws with `jax.random.bernoulli`.

    Args:
        trace: A `ReferenceTrace`, or the path of its folder or .zip file.
        names: The trace's name of each of the port's modules whose name differs. A module's output is recorded under
            the name of the operation, or of the block that it ends. Of a module that is called several times, the
            last output is recorded, unless there is a list with a name for each call.

    Attributes:
        tensors: Arrays by key.
    """

    def __init__(self, trace, names=None):
        self.trace = trace if isinstance(trace, ReferenceTrace) else ReferenceTrace.load(trace)
        self.names = dict(names or {})
        self.tensors: dict = {"input": self.trace.tensors["input"], "label": self.trace.tensors["label"]}
        self.steps = 0
        self._known = {row.name for row in self.trace.graph.operations} | set(self.trace.graph.blocks)
        self._layout = flax_recorder.Layout(self.trace)

    def save(self, path) -> None:
        """Write the tensors to a .npz or .safetensors file, which replaces an existing one when it is complete."""
        path = Path(path)
        if path.suffix not in (".npz", ".safetensors"):
            raise PortError(f"{path} is neither .npz nor .safetensors. Choose one of them")
        temporary = path.with_name(f".{os.getpid()}-{path.name}")
        try:
            if path.suffix == ".npz":
                np.savez(temporary, **self.tensors)
            else:
                write_safetensors(temporary, self.tensors)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def put(self, key: str, value) -> None:
        """Record an array, for example what no module computes: `put("train/4.body:add", x)`."""
        self.tensors[key] = np.array(value, copy=True)

    def mask(self, name: str, step: int = 1) -> np.ndarray:
        """Return the keep mask of a dropout, of 0 and 1, that the port must use in a step."""
        return self.trace.tensors[_key("mask", step, name)]

    # --- PyTorch

    def torch(self, model) -> None:
        """Record the parameters of a `torch.nn.Module` and its outputs in prediction mode."""
        torch_recorder.record(self, model)

    def torch_step(self, model, loss_function, optimizer=None) -> None:
        """Record a training step: outputs, loss, gradients, and the parameters afterwards if there is an optimizer.

        Args:
            model: The `torch.nn.Module`.
            loss_function: Function from the model's output and the labels to the mean loss.
            optimizer: A `torch.optim.Optimizer`. The learning rate of the step is set.
        """
        torch_recorder.record_step(self, model, loss_function, optimizer)

    # --- Flax. Images and feature maps are (N, H, W, C) in the port

    def flax(self, model, variables, **arguments) -> None:
        """Record the parameters of a `flax.linen.Module` and its outputs in prediction mode.

        Args:
            model: The module.
            variables: Its variables, "params" and "batch_stats".
            arguments: Arguments of the call in prediction mode, such as `train=False`.
        """
        flax_recorder.record(self, flax_recorder.Linen(model, variables, arguments))

    def flax_step(self, model, variables, loss_function, update=None, **arguments):
        """Record a training step of a `flax.linen.Module` as `torch_step` does.

        Args:
            model: The module.
            variables: Its variables, "params" and "batch_stats".
            loss_function: Function from the model's output and the labels to the mean loss.
            update: Function from the parameters, their gradients and the step's learning rate to the new parameters.
            arguments: Arguments of the call in training mode, such as `train=True`.

        Returns:
            The variables after the step.
        """
        port = flax_recorder.Linen(model, variables, arguments)
        flax_recorder.record_step(self, port, loss_function, update)
        return port.variables

    def nnx(self, model, **arguments) -> None:
        """Record the parameters of a `flax.nnx.Module` and its outputs in prediction mode, which `eval()` sets.

        Args:
            model: The module.
            arguments: Further arguments of the call.
        """
        model.eval()
        flax_recorder.record(self, flax_recorder.Nnx(model, arguments))

    def nnx_step(self, model, loss_function, update=None, **arguments) -> None:
        """Record a training step of a `flax.nnx.Module` as `torch_step` does. Its `train()` sets the mode.

        Args:
            model: The module. Its running statistics are updated.
            loss_function: Function from the model's output and the labels to the mean loss.
            update: Function of the model, the gradients as `nnx.grad` returns them, and the step's learning rate. It
                must update the model, for example by `optimizer.update(model, gradients)`.
            arguments: Further arguments of the call.
        """
        model.train()
        flax_recorder.record_step(self, flax_recorder.Nnx(model, arguments), loss_function, update)

    # --- ONNX

    def onnx(self, path) -> None:
        """Record the initializers of an ONNX file, and what onnxruntime computes for the images of the trace.

        Every inner value that has, or is mapped to, a name of the trace is recorded. The file must have one input.
        """
        onnx_recorder.record(self, path)

    # --- all frameworks

    def _next_step(self):
        """Begin a step. Return its number and its labels."""
        self.steps += 1
        if self.steps > len(self.trace.recipe["steps"]):
            raise PortError(f"the trace has {self.steps - 1} steps. Record fewer, or write a trace with more")
        if self.steps > 1:
            for kind in ("input", "label"):
                self.tensors[_key(kind, self.steps)] = self._data(kind, self.steps)
        return self.steps, self._data("label", self.steps)

    def _learning_rate(self, step):
        return self.trace.recipe["steps"][step - 1]["learning_rate"]

    def _data(self, kind, step):
        return self.trace.tensors[_key(kind, step)]

    def _masks(self, step):
        """Return the mask of each dropout in a step, by name, in the order of the graph."""
        keys = {row.name: _key("mask", step, row.name) for row in self.trace.graph.operations}
        return {name: self.trace.tensors[key] for name, key in keys.items() if key in self.trace.tensors}

    def _calls(self, keep=None, masks=None):
        return ModuleCalls(self.trace.graph, self._operation_or_block, keep, masks)

    def _operation_or_block(self, path, number):
        name = self.names.get(path, path)
        if isinstance(name, (list, tuple)):
            name = name[number] if number < len(name) else None
        return name if name in self._known else None

    def _put_outputs(self, place, calls, arrays, gradients=None, converted=lambda _name, array: array):
        """Record outputs, NumPy arrays by the keys of their calls, and their gradients if they have any."""
        for name, key in operation_outputs(calls, arrays).items():
            self.put(f"{place}/{name}", converted(name, arrays[key]))
            if gradients and key in gradients:
                self.put(f"grad_out/{name}", converted(name, np.asarray(gradients[key])))

    def _parameter(self, path, leaf, roles):
        """Return the trace's name of a parameter of a module, or None."""
        module = self.names.get(path, path)
        module = module[0] if isinstance(module, (list, tuple)) else module
        own = f"{module}.{leaf}"
        known = {row.name for row in self.trace.graph.parameters}  # the weight of an operation may also be computed
        for row in self.trace.graph.operations:
            if row.name == module or self.trace.graph.blocks.get(module) == row.name or _owns(row, module):
                for role, name in row.parameters.items():
                    if roles.get(role, role) == leaf and name in known:
                        return name
        return own if own in known else None


def _key(kind, step, name=""):
    key = f"{kind}/{name}" if name else kind
    return key if step == 1 else f"step/{step}/{key}"


def _owns(row, module):
    return any(name.rpartition(".")[0] == module for name in row.parameters.values())
