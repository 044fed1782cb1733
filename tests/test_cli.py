"""The command line refuses in words, before it starts anything."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner

from gstack.cli import main


def _refused(*words: str) -> str:
    result = CliRunner().invoke(main, list(words))
    assert result.exit_code in (1, 2), result.output
    return str(result.output)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("demo", "--prot", "5"), "No such option"),
        (("demo", "--cloudstack", "foo", "--api-key", "a", "--secret-key", "b"), "takes a URL"),
        (("demo", "--cloudstack", "http://cloud"), "needs --api-key"),
        (("simulator", "--job-seconds", "-3"), "is not in the range"),
        (("--config", "/nowhere/gstack.conf"), "gstack-configure"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_what_cannot_be_meant_is_refused_in_words(words: tuple[str, ...], says: str) -> None:
    assert says in _refused(*words)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = subprocess.run(
            [sys.executable, "-m", "gstack", "simulator", "--port", port],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"Error: Port {port} cannot be listened on")


def test_coverage_names_all_methods() -> None:
    result = CliRunner().invoke(main, ["coverage"])
    assert "compute.instances.insert " in result.output
    counts = [int(line.split()[0]) for line in result.output.splitlines()[-3:]]
    assert sum(counts) == 1025
