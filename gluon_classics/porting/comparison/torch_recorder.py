"""Record a port in PyTorch. See `recorder`."""

from __future__ import annotations

from contextlib import nullcontext

_ROLES = {
    **{"running_mean": "running_mean", "running_var": "running_var"},
    **{"gamma": "weight", "beta": "bias", "slope": "weight"},
}
_DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout")


def record(recorder, model) -> None:
    """Record the parameters of a `torch.nn.Module` and its outputs in prediction mode."""
    import torch

    _record_parameters(recorder, model, "param")
    model.eval()
    outputs = _Outputs()
    calls = recorder._calls(outputs.keep)
    with torch.no_grad(), calls.followed(dict(model.named_modules()), "forward"):
        model(_images(recorder, model, 1))
    recorder._put_outputs("eval", calls, outputs.arrays)


def record_step(recorder, model, loss_function, optimizer) -> None:
    """Record a training step. See `Recorder.torch_step`."""
    import torch

    step, label = recorder._next_step()
    images = _images(recorder, model, step)
    if step == 1:
        _record_parameters(recorder, model, "param")
    model.train()
    model.zero_grad()
    masks = {name: torch.tensor(mask).to(images) for name, mask in recorder._masks(step).items()}
    outputs = _Outputs()
    calls = recorder._calls(outputs.keep if step == 1 else None, masks)
    with _masks_imposed(calls), calls.followed(dict(model.named_modules()), "forward"):
        output = model(images)
    loss = loss_function(output, torch.tensor(label, device=images.device))
    for tensor in outputs.tensors.values():
        tensor.retain_grad()
    loss.backward()
    recorder.put("loss" if step == 1 else f"step/{step}/loss", _array(loss))
    if step == 1:
        gradients = {key: tensor.grad for key, tensor in outputs.tensors.items() if tensor.grad is not None}
        recorder._put_outputs("train", calls, outputs.arrays, {key: _array(grad) for key, grad in gradients.items()})
        _record_parameters(recorder, model, "grad")
    if optimizer is not None:
        for group in optimizer.param_groups:
            group["lr"] = recorder._learning_rate(step)
        optimizer.step()
        _record_parameters(recorder, model, f"step/{step}/param")


class _Outputs:
    """Outputs by the keys of their calls."""

    def __init__(self):
        self.arrays: dict = {}
        self.tensors: dict = {}

    def keep(self, key, output):
        self.arrays[key] = _array(output).copy()
        if not output.requires_grad:
            return output
        self.tensors[key] = output
        return output.clone()  # in-place operations would change what has been recorded


def _masks_imposed(calls):
    """Return a context in which the dropout functions of PyTorch take masks."""
    from torch.overrides import TorchFunctionMode

    class Masks(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            if getattr(function, "__name__", "") in _DROPOUTS:
                x, rate, training = _dropout_arguments(*args, **kwargs)
                if training and rate:
                    maps = len(function.__name__) > len("dropout")
                    shape = (*x.shape[:2], *[1] * (x.dim() - 2)) if maps else x.shape
                    return x * (calls.mask(shape) / (1 - rate))
            return function(*args, **kwargs)

    return Masks() if calls.masks else nullcontext()


def _dropout_arguments(input, p=0.5, training=True, inplace=False, train=True):
    return input, p, training and train


def _images(recorder, model, step):
    import torch

    parameter = next(model.parameters())
    return torch.tensor(recorder._data("input", step)).to(parameter.device, parameter.dtype)


def _record_parameters(recorder, model, place):
    for path, tensor in {**dict(model.named_parameters()), **dict(model.named_buffers())}.items():
        module, _, leaf = path.rpartition(".")
        name = recorder._parameter(module, leaf, _ROLES)
        tensor = tensor.grad if place == "grad" else tensor
        if name and tensor is not None:
            recorder.put(f"{place}/{name}", _array(tensor))


def _array(tensor):
    return tensor.detach().cpu().numpy()
