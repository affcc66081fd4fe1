"""`python -m gluon_classics`: the command `gluon-classics`."""

from gluon_classics.cli import main

main(prog_name="gluon-classics")
