"""Subcommands about data: pack, statistics."""

from __future__ import annotations

import click
from gluon_classics import _console
from gluon_classics.data.augment_words import LARGEST_SIDE
from gluon_classics.data.colors import TRANSPARENT_AS
from gluon_classics.errors import DataError

from .options import TRANSPARENT_HELP, FiniteRange, Seed, UserPath, json_option, quiet_option

test_share_option = click.option(
    "--test-share",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Share of the images of each class that are test images, if there are no test images.  [default: 0.2]",
)


@click.command()
@click.argument("source", type=UserPath())
@click.option("-o", "--out", type=UserPath(), required=True, help="File to write, with the suffix .rec.")
@click.option("--seed", type=Seed(), default=0, show_default=True, help="Seed of the order of the images.")
@test_share_option
@click.option("--transparent-as", metavar="COLOR", default=TRANSPARENT_AS, show_default=True, help=TRANSPARENT_HELP)
@click.option("--skip-damaged", is_flag=True, help="Leave out damaged images and name them.  [default: stop at one]")
@quiet_option
def pack(source, out, seed, test_share, transparent_as, skip_damaged, quiet):
    """Pack a folder of images into RecordIO files.

    SOURCE is a folder with one subfolder of images per class, as for `train`, or a .rec file to pack again.

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
        test_share=test_share,
        transparent_as=transparent_as,
        skip_damaged=skip_damaged,
    )
    if quiet:
        return
    rows = [(part.path, f"{part.images:,}", f"{part.left_out:,}") for part in packed]
    _console.table(["file", "images:", "left out:"], rows)


@click.command()
@click.argument("source", type=UserPath())
@click.option(
    "--image-size",
    type=click.IntRange(1, LARGEST_SIDE),
    help="Height and width to which the shorter side of each image is resized and the longer one cut.  "
    "[default: the images' own]",
)
@test_share_option
@click.option("--transparent-as", metavar="COLOR", default=TRANSPARENT_AS, show_default=True, help=TRANSPARENT_HELP)
@json_option
def statistics(source, image_size, test_share, transparent_as, as_json):
    """Compute the mean and the standard deviation of the pixels.

    SOURCE is a data set, as for `train --data`. Only its training images are used, each with the same weight. Pixels
    are divided by 255. The last line shows the result as the options --mean and --std of `train`.
    """
    from gluon_classics.data.datasets import load_dataset
    from gluon_classics.data.statistics import pixel_statistics

    data = load_dataset(
        source,
        image_size,
        transparent_as=transparent_as,
        test_share=test_share,
        shorter_side=True,
        originals=image_size is None,
    )
    if image_size is not None and data.train.images.shape[1] != image_size:
        raise DataError(f"{data.origin} does not consist of image files: leave --image-size out")
    found = pixel_statistics(data.train, image_size is None)
    if as_json:
        _console.echo_json({"data": data.origin, **found._asdict()})
        return
    names = ("red", "green", "blue") if len(found.mean) == 3 else ("gray",)
    rows = [(name, f"{mean:.4f}", f"{std:.4f}") for name, mean, std in zip(names, found.mean, found.std)]
    _console.table(["channel", "mean:", "standard deviation:"], rows)
    mean, std = (",".join(f"{number:.4f}" for number in numbers) for numbers in (found.mean, found.std))
    _console.echo(f"--mean {mean} --std {std}")


COMMANDS = (pack, statistics)
