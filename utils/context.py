"""Where arrays live: GPUs where there are any, else the CPU."""

from __future__ import annotations

from gluon_classics.errors import ClassicsError
import mxnet as mx

AUTO = "auto"  # all GPUs, else the CPU


def try_gpu() -> mx.Context:
    """GPU 0 if an array can be made there, else the CPU."""
    return try_all_gpus()[0]


def try_all_gpus() -> list[mx.Context]:
    """All GPUs on which an array can be made, from 0 on without a gap; `[cpu()]` where there is none."""
    found: list[mx.Context] = []
    while _usable(mx.gpu(len(found))):
        found.append(mx.gpu(len(found)))
    return found or [mx.cpu()]


def _usable(ctx):
    try:
        if ctx.device_type == "gpu" and ctx.device_id >= mx.context.num_gpus():
            return False  # asking is silent, where trying would write to standard error
        mx.nd.zeros((1,), ctx=ctx).wait_to_read()
    except mx.base.MXNetError:
        return False
    return True


def as_contexts(ctx) -> list[mx.Context]:
    """One context or a sequence of them, as a list."""
    return [ctx] if isinstance(ctx, mx.Context) else list(ctx)


def parse_contexts(text: str) -> list[mx.Context]:
    """Contexts from the command line: `auto` (all GPUs, else the CPU), or names as in `cpu`, `gpu:1`, `cpu:0,cpu:1`.

    Raises ClassicsError for anything else, and for a GPU that cannot be used.
    """
    if text == AUTO:
        return try_all_gpus()
    contexts = []
    for name in text.split(","):
        kind, _, number = name.strip().partition(":")
        if kind not in ("cpu", "gpu") or not (number or "0").isdecimal():
            raise ClassicsError(f"unknown device {name!r}: use auto, cpu, gpu, gpu:1, or a list as in cpu:0,cpu:1")
        contexts.append(mx.Context(kind, int(number or 0)))
    if len(set(contexts)) < len(contexts):
        raise ClassicsError(f"{text!r} names a device twice: list every device once")
    for ctx in contexts:
        if not _usable(ctx):
            raise ClassicsError(
                f"{ctx} cannot be used here: 'gluon-classics doctor' says what there is, --ctx cpu works"
            )
    return contexts
