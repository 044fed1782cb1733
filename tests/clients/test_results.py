"""``make test-clients`` itself: what its table says of tests that pass, fail, are not run or are broken off.

Apart from the clients because none runs here. The surprising thing: the program under test starts pytest, so a run of
its own is started in a folder of its own, and ended from outside.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.waiting import until

ROOT = Path(__file__).parents[2]
EVERYTHING = "zones.list,machineTypes.list,images.list,images.getFromFamily,firewalls.insert,instances.insert"
PASSED = (
    '<testcase classname="tests.clients.{module}" name="{name}" time="2.5"><properties>{asked}</properties></testcase>'
)
FAILED = '<testcase classname="tests.clients.{module}" name="{name}" time="1"><failure/></testcase>'
ENDLESS = """
import subprocess, sys

def test_for_ever(tmp_path):
    child = subprocess.Popen(["sleep", "300"])
    try:
        with open({told!r}, "w") as file:
            file.write(str(child.pid))
        child.wait()
    finally:
        child.kill()
        child.wait()
"""


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tools/test_clients.py."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("test_clients")


def _report(*cases: str) -> ElementTree.Element:
    return ElementTree.fromstring(f'<testsuites><testsuite time="60">{"".join(cases)}</testsuite></testsuites>')


def _passed(module: str, name: str, **properties: str) -> str:
    said = "".join(f'<property name="{key}" value="{value}"/>' for key, value in properties.items())
    return PASSED.format(module=module, name=name, asked=said)


def test_a_row_says_how_many_passed_and_in_what_time(tool: ModuleType) -> None:
    report = _report(_passed("test_universe", "a"), _passed("test_universe", "b"))
    assert [row.line() for row in tool.rows(report)] == [
        "| a universe of one's own | - | [ways_in](ways_in.md) | 2 of 2 | passed | 5 |"
    ]


def test_one_failure_fails_the_row_and_is_named(tool: ModuleType) -> None:
    report = _report(_passed("test_universe", "a"), FAILED.format(module="test_universe", name="b"))
    text = tool.page(tool.rows(report), 60)
    assert "| 1 of 2 | FAILED |" in text
    assert "* a universe of one's own: `b`" in text


def test_a_page_is_a_row_of_its_client_and_version(tool: ModuleType) -> None:
    name = f"{tool.FRESH}[node]"
    (row,) = tool.rows(_report(_passed("test_pages", name, asked="zones.list", **{"Node&apos;s": "6.15.0"})))
    assert (row.client, row.version, row.page, row.asked) == ("Node's", "6.15.0", "node", {"zones.list"})


def test_tests_that_no_row_names_are_not_lost(tool: ModuleType) -> None:
    (row,) = tool.rows(_report(_passed("test_of_tomorrow", "a")))
    assert (row.client, row.total) == ("other tests", 1)


def test_a_duty_is_done_by_what_the_gateway_was_asked_and_by_nothing_else(tool: ModuleType) -> None:
    (row,) = tool.rows(_report(_passed("test_libcloud", "a", asked=EVERYTHING)))
    table = "\n".join(tool.duties.matrix(tool.asked([row])))
    assert "| insert | ✓ |" in table
    assert "| snapshot | **gap** |" in table
    gaps = tool.duties.gaps(tool.asked([row]))
    assert "Apache Libcloud: snapshot was not seen" in gaps
    assert "Apache Libcloud: insert was not seen" not in gaps


def test_an_excuse_that_is_none_any_more_is_said(tool: ModuleType) -> None:
    found = tool.duties.gaps({"Terraform": {"instances.list"}})
    assert "Terraform: list is done after all" in found
    assert "Terraform: aggregated list was not seen" not in found


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"part": "-k libcloud"}, "**Only a part was run: `-k libcloud`.**"),
        ({"status": 2}, "**The run was broken off: what is missing below was not tried.**"),
    ],
    ids=["part", "broken off"],
)
def test_a_run_that_was_not_whole_says_so(tool: ModuleType, more: dict[str, Any], said: str) -> None:
    found = tool.rows(_report(_passed("test_universe", "a")))
    assert said in tool.page(found, 60, **more).splitlines()
    assert "**" not in tool.page(found, 60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_leaves_no_process_and_the_page_as_it_was(number: int, tmp_path: Path) -> None:
    told, page = tmp_path / "told", ROOT / "docs" / "clients" / "results.md"
    (tmp_path / "test_endless.py").write_text(ENDLESS.format(told=str(told)))
    before = page.read_text()
    command = (sys.executable, str(ROOT / "tools" / "test_clients.py"), str(tmp_path), f"--rootdir={tmp_path}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        child = int(until(lambda: told.exists() and told.read_text(), what="the run"))
        running.send_signal(number)
        out, _ = running.communicate(timeout=90)
    assert running.returncode == 2
    assert "**The run was broken off" in out
    assert page.read_text() == before
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_command_that_takes_too_long_is_ended_with_what_it_started(run: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run("sh", "-c", "sleep 300 & echo $! > told; wait", folder=tmp_path, seconds=5)
    child = Path(f"/proc/{(tmp_path / 'told').read_text().strip()}/cmdline")
    until(lambda: not child.exists() or not child.read_bytes(), what="the end of what it started")
