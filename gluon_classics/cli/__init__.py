"""The command `gluon-classics`: one file for each group of commands. They parse options and print."""

from .command import main as main
