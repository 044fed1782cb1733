"""The commands of README.md, run as they stand there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
COMMANDS = re.findall(r"^<!-- tested: tests/clients/test_readme\.py -->\n```sh\n(.*?)^```\n", README, re.M | re.S)


def test_the_readme_has_commands_that_are_tested() -> None:
    assert COMMANDS
    assert len(COMMANDS) == README.count("<!-- tested:")


@pytest.mark.usefixtures("installed_gcloud")
@pytest.mark.parametrize("command", COMMANDS, ids=range(1, len(COMMANDS) + 1))
def test_a_command_of_the_readme_works(command: str, alone: Callable[..., Any]) -> None:
    ran = alone("sh", "-e", "-c", command)
    assert ran.status == 0, ran.err
    assert "ch-gva-2" in ran.out
