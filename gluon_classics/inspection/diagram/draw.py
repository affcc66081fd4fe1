"""`gluon-classics draw`: write a picture of a network's architecture."""

from __future__ import annotations

from pathlib import Path

import gluon_classics
from gluon_classics._files import atomic_path, write_errors
from gluon_classics.errors import ClassicsError

from ..layer_graph import layers
from ..summary import summarize
from .nesting import arrange, shape_text

FORMATS = (".svg", ".png")


def draw(name: str, path, input_shape: tuple[int, ...] | None = None) -> None:
    """Draw the architecture of a network. The same network always gives the same bytes.

    Args:
        name: The name of the network.
        path: The file to write; its suffix must be .svg or .png.
        input_shape: The shape (C, H, W) of the images (default: the network's own).

    Raises:
        ClassicsError: The suffix is wrong, matplotlib is missing, the images are too small, or the file cannot be
            written.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ClassicsError(f"cannot draw {path.name!r}: use a name that ends in {' or '.join(FORMATS)}")
    try:
        from .layout import picture
    except ImportError as error:
        raise ClassicsError(f"pictures need matplotlib ({error}): pip install 'gluon-classics[plot]'") from error
    net = gluon_classics.get_model(name)
    shape = input_shape or gluon_classics.model_info(name).input_shape
    total = summarize(net, shape)
    facts = f"{shape_text((shape,))} input, {total.params:,} parameters, {total.macs:,} MAC"
    canvas = picture(name, facts, arrange(layers(net, shape), shape))
    with write_errors(path, "choose another file with -o"), atomic_path(path) as temporary:
        canvas.save(temporary, name)
