"""``python -m gstack``: the same as the ``gstack`` command."""

from gstack.cli import main

main()
