"""The command `gluon-classics`, with one file for each group of subcommands. They parse options and print results."""

from .command import main as main
