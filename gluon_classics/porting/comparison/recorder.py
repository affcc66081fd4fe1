"""Record the tensors of a port in PyTorch or Flax under the keys of a trace. See `port_tensors`.

recorder = Recorder(trace, {"layer1.0.conv1": "conv2_x.0.body.0", ...})
recorder.torch(model)
recorder.torch_step(model, loss_function, optimizer)  # and once more for each further step
recorder.save("port.npz")
"""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from ..graph import Graph
from .port_tensors import flattened_shape
from .reference_trace import ReferenceTrace
from .tensor_file import PortError, write_safetensors

_TORCH_ROLES = {
    **{"running_mean": "running_mean", "running_var": "running_var"},
    **{"gamma": "weight", "beta": "bias", "slope": "weight"},
}
_FLAX_ROLES = {"weight": "kernel", "gamma": "scale", "beta": "bias", "running_mean": "mean", "running_var": "var"}


class Recorder:
    """The tensors of a port, recorded while it runs on the data of a trace.

    Args:
        trace: A `ReferenceTrace`, or the path of its folder.
        names: The trace's name of each of the port's modules whose name differs. A module's output is recorded under
            the name of the operation, or of the block that it ends. Of a module that is called several times, the
            last output is recorded.

    Attributes:
        tensors: Arrays by key.
    """

    def __init__(self, trace, names=None):
        self.trace = trace if isinstance(trace, ReferenceTrace) else ReferenceTrace.load(trace)
        self.names = dict(names or {})
        self.tensors: dict = {"input": self.trace.tensors["input"], "label": self.trace.tensors["label"]}
        self.steps = 0

    def save(self, path) -> None:
        """Write the tensors to a .npz or .safetensors file."""
        if str(path).endswith(".safetensors"):
            write_safetensors(path, self.tensors)
        elif str(path).endswith(".npz"):
            np.savez(path, **self.tensors)
        else:
            raise PortError(f"{path} is neither .npz nor .safetensors. Choose one of them")

    def put(self, key: str, value) -> None:
        """Record an array, for example what no module computes: `put("train/4.body:add", x)`."""
        self.tensors[key] = np.array(value, copy=True)

    def mask(self, name: str, step: int = 1) -> np.ndarray:
        """Return the keep mask of a dropout, of 0 and 1, that the port must use in a step."""
        return self.trace.tensors[f"mask/{name}" if step == 1 else f"step/{step}/mask/{name}"]

    # --- PyTorch

    def torch(self, model) -> None:
        """Record the parameters of a `torch.nn.Module` and its outputs in prediction mode."""
        import torch

        self._torch_parameters(model, "param")
        model.eval()
        with torch.no_grad(), self._torch_hooks(model, "eval"):
            model(self._torch_input(model, 1))

    def torch_step(self, model, loss_function, optimizer=None) -> None:
        """Record a training step: outputs, loss, gradients, and the parameters afterwards if there is an optimizer.

        Args:
            model: The `torch.nn.Module`. Its dropouts must take the masks of the trace; see `torch_masks`.
            loss_function: Function from the model's output and the labels to the mean loss.
            optimizer: A `torch.optim.Optimizer`. The learning rate of the step is set.
        """
        import torch

        self.steps += 1
        step, is_first = self.steps, self.steps == 1
        if is_first:
            self._torch_parameters(model, "param")
        images, key = self._torch_input(model, step), "label" if is_first else f"step/{step}/label"
        label = torch.tensor(self.trace.tensors[key], device=images.device)
        model.train()
        model.zero_grad()
        with self.torch_masks(model, step), self._torch_hooks(model, "train" if is_first else "") as outputs:
            loss = loss_function(model(images), label)
        for output in outputs.values():
            output.retain_grad()
        loss.backward()
        self.put("loss" if is_first else f"step/{step}/loss", loss.detach().cpu().numpy())
        if is_first:
            for name, output in outputs.items():
                if output.grad is not None:
                    self.put(f"grad_out/{name}", output.grad.cpu().numpy())
            self._torch_parameters(model, "grad")
        else:
            self.tensors.update({f"step/{step}/input": self._data("input", step), key: self.trace.tensors[key]})
        if optimizer is not None:
            for group in optimizer.param_groups:
                group["lr"] = self.trace.recipe["steps"][step - 1]["learning_rate"]
            optimizer.step()
            self._torch_parameters(model, f"step/{step}/param")

    def torch_masks(self, model, step: int = 1):
        """Return a context in which the model's dropouts in training mode take the masks of a step."""
        stack = ExitStack()
        for path, module in model.named_modules():
            name = self._name(path)
            key = f"mask/{name}" if step == 1 else f"step/{step}/mask/{name}"
            if key in self.trace.tensors and "Dropout" in type(module).__name__:
                hook = _torch_dropout(self.trace.tensors[key], module.p)
                stack.callback(module.register_forward_hook(hook).remove)
        return stack

    def _torch_input(self, model, step):
        import torch

        parameter = next(model.parameters())
        images = torch.tensor(self._data("input", step))
        return images.to(parameter.device, parameter.dtype)

    def _torch_parameters(self, model, place):
        found = dict(model.named_parameters())
        buffers = dict(model.named_buffers())
        for path, tensor in {**found, **buffers}.items():
            module, _, leaf = path.rpartition(".")
            name = self._parameter(self._name(module), leaf, _TORCH_ROLES)
            tensor = tensor.grad if place == "grad" else tensor
            if name and tensor is not None:
                self.put(f"{place}/{name}", tensor.detach().cpu().numpy())

    def _torch_hooks(self, model, place):
        """Return a context that records the outputs of modules, and whose value is the dictionary of them."""
        return _TorchHooks(self, model, place)

    # --- Flax

    def flax(self, model, variables, **arguments) -> None:
        """Record the parameters of a `flax.linen.Module` and its outputs in prediction mode.

        Args:
            model: The module.
            variables: Its variables, "params" and "batch_stats".
            arguments: Arguments of the call in prediction mode, such as `train=False`.
        """
        images = np.asarray(self._data("input", 1)).transpose(0, 2, 3, 1)
        _, state = model.apply(variables, images, capture_intermediates=True, mutable=["intermediates"], **arguments)
        for path, value in _leaves(state["intermediates"]):
            if path[-1] == "__call__":
                self._flax_output(path[:-1], value)
        self.flax_parameters(variables, "param")

    def flax_parameters(self, variables, place: str) -> None:
        """Record parameters, gradients ("grad") or parameters after a step ("step/1/param") of a Flax module.

        Args:
            variables: Variables with "params" and perhaps "batch_stats"; for gradients, {"params": gradients}.
            place: First part of the keys.
        """
        for collection in ("params", "batch_stats"):
            for path, value in _leaves(variables.get(collection, {})):
                name = self._parameter(self._name(".".join(path[:-1])), path[-1], _FLAX_ROLES)
                if name:
                    self.put(f"{place}/{name}", _from_flax(self.trace.graph, name, np.asarray(value)))

    def _flax_output(self, path, value):
        name = self._name(".".join(path))
        value = value[0] if isinstance(value, (tuple, list)) else value
        if name in _names(self.trace.graph):
            value = np.asarray(value)
            self.put(f"eval/{name}", value.transpose(0, 3, 1, 2) if value.ndim == 4 else value)

    # --- both

    def _data(self, kind, step):
        return self.trace.tensors[kind if step == 1 else f"step/{step}/{kind}"]

    def _name(self, path):
        return self.names.get(path, path)

    def _parameter(self, module, leaf, roles):
        """Return the trace's name of a parameter of a module, or None."""
        own = f"{module}.{leaf}"
        for row in self.trace.graph.operations:
            if row.name == module or self.trace.graph.blocks.get(module) == row.name or _owns(row, module):
                for role, name in row.parameters.items():
                    if roles.get(role, role) == leaf:
                        return name
        return own if any(row.name == own for row in self.trace.graph.parameters) else None


def _owns(row, module):
    return any(name.rpartition(".")[0] == module for name in row.parameters.values())


def _names(graph: Graph) -> set:
    return {row.name for row in graph.operations} | set(graph.blocks)


def _torch_dropout(mask, drop):
    def hook(module, inputs, _output):
        if not module.training:
            return None
        import torch

        factor = torch.tensor(np.asarray(mask) / (1 - drop), device=inputs[0].device)
        return inputs[0] * factor.to(inputs[0].dtype)

    return hook


class _TorchHooks:
    """Forward hooks that record outputs. An output that an in-place operation changes later is copied first."""

    def __init__(self, recorder, model, place):
        self.recorder, self.model, self.place = recorder, model, place
        self.outputs: dict = {}
        self.handles: list = []

    def __enter__(self):
        known = _names(self.recorder.trace.graph)
        for path, module in self.model.named_modules():
            name = self.recorder._name(path)
            if path and name in known:
                self.handles.append(module.register_forward_hook(self._hook(name)))
        return self.outputs

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()

    def _hook(self, name):
        def hook(_module, _inputs, output):
            if self.place and hasattr(output, "detach"):
                self.recorder.put(f"{self.place}/{name}", output.detach().cpu().numpy())
                if output.requires_grad:
                    self.outputs[name] = output
                    return output.clone()  # in-place operations would change what has been recorded
            return None

        return hook


def _leaves(tree, path=()):
    for key, value in tree.items():
        if hasattr(value, "items"):
            yield from _leaves(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value


def _from_flax(graph, name, value):
    """Return a parameter in the trace's layout: kernels (height, width, in, out), dense weights (in, out) before."""
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    if value.ndim != 2:
        return value
    value = value.T
    row = next((row for row in graph.operations if name in row.parameters.values()), None)
    shape = flattened_shape(graph, row) if row else None
    if shape is None:
        return value
    order = np.argsort(np.arange(value.shape[1]).reshape(shape).transpose(1, 2, 0).reshape(-1))
    return value[:, order]
