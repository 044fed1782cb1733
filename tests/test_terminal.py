"""Where a command cannot go on, it says why and what to do next."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy.exc import OperationalError

from gstack import cli
from gstack.errors import GceError
from gstack.settings import SettingsError
from gstack.terminal import Group


def _ended_by(error: Exception, *words: str) -> Result:
    """What a command says that ends with this error."""

    @click.group(cls=Group)
    @click.option("--config", default="default.conf")
    def group(config: str) -> None: ...

    @group.command()
    def work() -> None:
        raise error

    return CliRunner().invoke(group, [*words, "work"])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SettingsError("Nothing is configured."), "Nothing is configured."),
        (GceError("notFound", "There is no such thing."), "There is no such thing."),
        (PermissionError(13, "Permission denied", "/home/me"), "/home/me cannot be used: Permission denied."),
        (ModuleNotFoundError("No module named 'psycopg'", name="psycopg"), "pip install 'gstack[postgresql]'"),
        (OperationalError("SELECT 1", {}, Exception("no such server\nbackground")), "DATABASE_URL"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_an_operator_can_mend_is_a_sentence(error: Exception, said: str) -> None:
    ended = _ended_by(error)
    assert ended.exit_code == 1
    assert ended.output.startswith("Error: ") and len(ended.output.splitlines()) == 1
    assert said in ended.output


@pytest.mark.parametrize("error", [ValueError("a defect"), OSError("of no file"), ModuleNotFoundError(name="gstack.x")])
def test_a_defect_keeps_its_traceback(error: Exception) -> None:
    assert _ended_by(error).exception is error


def test_what_to_run_next_names_the_configuration_that_was_meant() -> None:
    error = SettingsError("Run gstack-configure.")
    assert _ended_by(error).output == "Error: Run gstack-configure.\n"
    assert _ended_by(error, "--config", "mine.conf").output == "Error: Run gstack-configure --config mine.conf.\n"


@pytest.mark.parametrize("words", [("reconcile",), ("credentials", "list"), ("keys", "rotate"), ()], ids=" ".join)
def test_before_it_is_configured_every_command_says_so_and_makes_nothing(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ended = CliRunner().invoke(cli.main, words)
    assert ended.exit_code == 1
    assert ended.output.startswith("Error: ") and "gstack-configure" in ended.output
    assert list(tmp_path.iterdir()) == []


def test_a_question_that_nobody_answers_says_how_to_do_without() -> None:
    ended = CliRunner().invoke(cli.main, ["credentials", "create"], input="")
    assert ended.exit_code == 1
    assert "as an option" in ended.output
