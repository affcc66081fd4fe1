"""Subcommands about data: pack."""

from __future__ import annotations

import click
from gluon_classics import _console
from gluon_classics.data.colors import TRANSPARENT_AS

from .options import TRANSPARENT_HELP, FiniteRange, Seed, UserPath, quiet_option


@click.command()
@click.argument("source", type=UserPath())
@click.option("-o", "--out", type=UserPath(), required=True, help="File to write, with the suffix .rec.")
@click.option("--seed", type=Seed(), default=0, show_default=True, help="Seed of the order of the images.")
@click.option(
    "--validation-share",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Share of the images of each class that are test images, if there are no test images.  [default: 0.2]",
)
@click.option("--transparent-as", metavar="COLOR", default=TRANSPARENT_AS, show_default=True, help=TRANSPARENT_HELP)
@click.option("--skip-damaged", is_flag=True, help="Leave out damaged images and name them.  [default: stop at one]")
@quiet_option
def pack(source, out, seed, validation_share, transparent_as, skip_damaged, quiet):
    """Pack a folder of images into RecordIO files.

    SOURCE is a folder with one subfolder of images per class, as for the training, or a .rec file to pack again.

    OUT.rec gets the training images in a random order, and OUT_test.rec the test images. Next to each are an index
    (.idx) and a list of labels (.lst), as MXNet's tool im2rec writes them. Each record has a checksum. Train with
    --data OUT.rec. If the command is interrupted, repeat it to continue.
    """
    from gluon_classics.data.pack import pack as command

    if quiet:
        _console.be_quiet()
    packed = command(
        source,
        out,
        seed=seed,
        validation_share=validation_share,
        transparent_as=transparent_as,
        skip_damaged=skip_damaged,
    )
    rows = [(part.path, f"{part.images:,}", f"{part.left_out:,}") for part in packed]
    _console.table(["file", "images:", "left out:"], rows)


COMMANDS = (pack,)
