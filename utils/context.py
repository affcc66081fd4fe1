"""Choose the devices to compute on: GPUs if there are any, else the CPU."""

from __future__ import annotations

from gluon_classics.errors import ClassicsError
import mxnet as mx

AUTO = "auto"  # all GPUs, else the CPU


def try_gpu() -> mx.Context:
    """Return the context of GPU 0 if it works, else the CPU's."""
    return try_all_gpus()[0]


def try_all_gpus() -> list[mx.Context]:
    """Return the contexts of all working GPUs, or `[cpu()]` if there are none.

    The GPUs are tried from number 0 on, up to the first one that does not work.
    """
    found: list[mx.Context] = []
    while _usable(mx.gpu(len(found))):
        found.append(mx.gpu(len(found)))
    return found or [mx.cpu()]


def _usable(ctx):
    try:
        if ctx.device_type == "gpu" and ctx.device_id >= mx.context.num_gpus():
            return False  # count first: creating an array on a missing GPU prints to standard error
        mx.nd.zeros((1,), ctx=ctx).wait_to_read()
    except mx.base.MXNetError:
        return False
    return True


def contexts_of_worker(text: str, number: int, workers: int) -> list[mx.Context]:
    """Return the contexts of one of several workers on this machine.

    Args:
        text: See `parse_contexts`. With "auto", the workers share the GPUs of the machine.
        number: Number of the worker among those of this machine, counted from 0.
        workers: Number of workers of this machine.

    Raises:
        ClassicsError: See `parse_contexts`, or there are fewer GPUs than workers.
    """
    contexts = parse_contexts(text)
    if text != AUTO or contexts[0].device_type == "cpu":
        return contexts
    if len(contexts) < workers:
        what = f"{workers} workers cannot share {len(contexts)} GPUs"
        raise ClassicsError(f"{what}: use one worker per GPU, or the CPU (--ctx cpu)")
    return contexts[number::workers]


def as_contexts(ctx) -> list[mx.Context]:
    """Return one context or a sequence of contexts as a list. Raises ClassicsError for anything else."""
    contexts = [ctx] if isinstance(ctx, mx.Context) else ctx
    if not isinstance(contexts, (list, tuple)) or not contexts or not all(isinstance(c, mx.Context) for c in contexts):
        raise ClassicsError(f"ctx is {ctx!r:.60}: use mx.cpu(), mx.gpu(), or a list of them")
    if len(set(contexts)) < len(contexts):
        raise ClassicsError("ctx lists a device twice: list each device once")
    return list(contexts)


def parse_contexts(text: str) -> list[mx.Context]:
    """Return the contexts that are given on the command line.

    Args:
        text: "auto" (all GPUs, else the CPU), or devices separated by commas, such as "cpu", "gpu:1" or "cpu:0,cpu:1".

    Raises:
        ClassicsError: The text has another form, lists a device twice, or lists a GPU that cannot be used.
    """
    if not isinstance(text, str):
        raise ClassicsError(f"the device is {text!r:.60}: use text, such as auto, cpu or gpu:1")
    if text == AUTO:
        return try_all_gpus()
    contexts = []
    for name in text.split(","):
        kind, _, number = name.strip().partition(":")
        if kind not in ("cpu", "gpu") or not (number or "0").isdecimal():
            raise ClassicsError(f"unknown device {name!r}: use auto, cpu, gpu, gpu:1, or a list such as cpu:0,cpu:1")
        contexts.append(mx.Context(kind, int(number or 0)))
    if len(set(contexts)) < len(contexts):
        raise ClassicsError(f"{text!r} lists a device twice: list each device once")
    for ctx in contexts:
        if not _usable(ctx):
            raise ClassicsError(f"{ctx} cannot be used: run 'gluon-classics doctor' to see why, or use --ctx cpu")
    return contexts
