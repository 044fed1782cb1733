"""What gstack's commands have in common at a terminal: where one cannot go on, it says why and what to do next.

Apart because three modules have commands. The surprising thing: errors of the settings, of files and of the store
become sentences here, for every command at once, and no command catches them; anything else is a defect and shows its
traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from click.core import ParameterSource

from gstack.errors import GceError
from gstack.settings import SettingsError

CONTEXT = {"help_option_names": ["-h", "--help"]}


class Command(click.Command):
    """A command that ends in a sentence where it cannot go on."""

    def invoke(self, context: click.Context) -> Any:
        with _in_words(context):
            return super().invoke(context)


class Group(click.Group):
    """A group whose commands, and their prompts, end in a sentence where they cannot go on."""

    def invoke(self, context: click.Context) -> Any:
        with _in_words(context):
            return super().invoke(context)


@contextmanager
def _in_words(context: click.Context) -> Iterator[None]:
    try:
        yield
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo()
        raise click.ClickException(
            "Nobody answers here. Give what was asked for as an option; --help has all."
        ) from None
    except Exception as error:
        words = _words(error)
        if words is None:
            raise
        root = context.find_root()
        if root.params.get("config") and root.get_parameter_source("config") is not ParameterSource.DEFAULT:
            words = words.replace("gstack-configure", f"gstack-configure --config {root.params['config']}")
        raise click.ClickException(words) from error


def _words(error: Exception) -> str | None:
    from sqlalchemy.exc import SQLAlchemyError  # not for --help, nor for the simulator

    match error:
        case SettingsError():
            return str(error)
        case GceError():
            return error.message
        case OSError(filename=str(file)):
            return f"{file} cannot be used: {error.strerror}."
        case ModuleNotFoundError(name="psycopg"):
            return "The store cannot be used: DATABASE_URL needs more of gstack. Run: pip install 'gstack[postgresql]'"
        case SQLAlchemyError():
            return f"The store cannot be used (DATABASE_URL or PATH): {str(error).splitlines()[0]}"
    return None
