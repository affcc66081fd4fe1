"""`gluon-classics draw`: from the name of an edition to a picture in a file."""

from __future__ import annotations

from pathlib import Path

import gluon_classics
from gluon_classics._files import atomic_path
from gluon_classics.errors import ClassicsError

from ..layer_graph import layers
from ..summary import summarize
from .nesting import arrange, shape_text

FORMATS = (".svg", ".png")


def draw(name: str, path, input_shape: tuple[int, ...] | None = None) -> None:
    """Draw the edition `name` for images of `input_shape`, (C, H, W), its own unless told, as an SVG or PNG file.

    The same network gives the same bytes. Raises ClassicsError for other endings of `path`, without matplotlib, for
    images that are too small and where nothing can be written.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ClassicsError(f"cannot draw {path.name!r}: the name of a picture ends in {' or '.join(FORMATS)}")
    try:
        from .layout import picture
    except ImportError as error:
        raise ClassicsError(f"pictures need matplotlib ({error}): pip install 'gluon-classics[plot]'") from error
    net = gluon_classics.get_model(name)
    shape = input_shape or gluon_classics.model_info(name).input_shape
    total = summarize(net, shape)
    facts = f"{shape_text((shape,))} input, {total.params:,} parameters, {total.macs:,} MAC"
    canvas = picture(name, facts, arrange(layers(net, shape), shape))
    try:
        with atomic_path(path) as temporary:
            canvas.save(temporary, name)
    except OSError as error:
        raise ClassicsError(f"cannot write {path}: {error.strerror or error}") from error
