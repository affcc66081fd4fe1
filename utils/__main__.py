"""`python -m utils` in the checkout, `python -m gluon_classics.utils` elsewhere: the command `gluon-classics`."""

from . import cli

cli.main()
