"""``make test-clients``: every client against gstack, each installed from its registry; the result is a page.

Apart from ``make test`` because it builds and downloads for half an hour. It prints pytest's progress and writes
docs/clients/results.md, also when something failed: the table then says what. The surprising things: a run of a part
(arguments go to pytest) prints its table and leaves the page alone; and a run passes only when every client did all of
its duties, see client_duties.py.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import client_duties as duties

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "clients" / "results.md"
ALL = ("tests/clients",)
FRESH = "test_a_new_user_gets_there_with_the_page_alone"
ENDING_SECONDS = 60
GCLOUD = "gcloud version --format='value(\"Google Cloud SDK\")'"
INTERRUPTED = 2  # pytest's own exit status


@dataclass(frozen=True)
class Held:
    """A row made of whole test modules, named by how they begin; ``version`` is a distribution or a shell command."""

    client: str
    page: str
    modules: tuple[str, ...]
    version: str = ""
    has_duties: bool = False


HELD = (
    Held("gcloud", "gcloud", ("test_gcloud_",), GCLOUD, True),
    Held("google-cloud-compute for Python", "python", ("test_google_cloud_",), "google-cloud-compute", True),
    Held("google-api-python-client", "python", ("test_google_api_python_client",), "google-api-python-client", True),
    Held("Apache Libcloud", "libcloud", ("test_libcloud",), "apache-libcloud", True),
    Held("gcutil's flow, by a stand-in", "login", ("test_gcutil",), "", True),
    Held("Terraform", "terraform", ("test_terraform",), "terraform version | head -1 | cut -d' ' -f2", True),
    Held("browser logins", "login", ("test_browser_",)),
    Held("a universe of one's own", "ways_in", ("test_universe",)),
    Held("Google's own names: hosts file, proxy", "ways_in", ("test_transparent", "test_ways_in")),
    Held("any client: quirks of the wire", "index", ("test_quirks", "test_strictness", "test_lists_", "test_wire")),
    Held("recipes of the pages", "index", ("test_pages", "test_readme", "test_demo")),
    Held(
        "what befalls any client: kills, crowds, storage, a zone that is away",
        "index",
        ("test_kill", "test_crowd", "test_compute_storage", "test_unreachable", "test_results"),
    ),
)


@dataclass
class Row:
    """What became of one client."""

    client: str
    page: str
    version: str = ""
    has_duties: bool = True
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    seconds: float = 0.0
    asked: set[str] = field(default_factory=set)

    def count(self, case: ElementTree.Element) -> None:
        """Add one test: its time, its end, and the methods it was answered where it passed."""
        self.seconds += float(case.get("time", "0"))
        if case.find("failure") is not None or case.find("error") is not None:
            self.failed.append(case.get("name", ""))
        elif case.find("skipped") is not None:
            self.skipped += 1
        else:
            self.passed += 1
            self.asked |= set(_properties(case).get("asked", "").split(","))

    @property
    def total(self) -> int:
        return self.passed + len(self.failed) + self.skipped

    def line(self) -> str:
        result = "FAILED" if self.failed else "passed" if self.passed else "skipped"
        page = f"[{self.page}]({self.page}.md)"
        return (
            f"| {self.client} | {self.version or '-'} | {page} | {self.passed} of {self.total} | {result} "
            f"| {self.seconds:.0f} |"
        )


def rows(report: ElementTree.Element) -> list[Row]:
    """A row for each client held by tests, then one for each page that installs its own; tests of none of them have
    a row to themselves, so that nothing is lost."""
    held = [(Row(each.client, each.page, has_duties=each.has_duties), each) for each in HELD]
    fresh: list[Row] = []
    rest = Row("other tests", "index", has_duties=False)
    for case in report.iter("testcase"):
        module = case.get("classname", "").rpartition(".")[2]
        name = case.get("name", "")
        if name.startswith(FRESH):
            fresh += _of_page(name.removeprefix(FRESH).strip("[]"), case)
            continue
        next((row for row, each in held if module.startswith(each.modules)), rest).count(case)
    for row, each in held:
        row.version = _version(each.version) if row.total else ""
    return [row for row in [*(row for row, _ in held), rest, *fresh] if row.total]


def _of_page(page: str, case: ElementTree.Element) -> list[Row]:
    known = _properties(case)
    known.pop("asked", None)
    made = [Row(client, page, version) for client, version in known.items()]
    made = made or [Row(page, page, has_duties=False)]
    for row in made:
        row.count(case)
    return made


def _properties(case: ElementTree.Element) -> dict[str, str]:
    return {found.get("name", ""): found.get("value", "") for found in case.iter("property")}


def _version(how: str) -> str:
    """Of an installed distribution, or what a command says."""
    if " " not in how:
        with contextlib.suppress(metadata.PackageNotFoundError, ValueError):
            return metadata.version(how)
        return ""
    done = subprocess.run(["sh", "-c", how], capture_output=True, text=True, check=False)  # noqa: S603, S607 - ours
    return done.stdout.strip()


def asked(found: list[Row]) -> dict[str, set[str]]:
    """The methods that each client with duties was answered, over all of its rows."""
    clients: dict[str, set[str]] = {}
    for row in found:
        if row.has_duties:
            clients.setdefault(row.client, set()).update(row.asked)
    return clients


def page(found: list[Row], seconds: float, *, part: str = "", status: int = 0) -> str:
    """docs/clients/results.md. ``part``: what was asked for, where that was not all; ``status``: pytest's, of which
    2 to 4 mean that it did not come to its end."""
    now = datetime.datetime.now(datetime.UTC)
    state = [f"**Only a part was run: `{part}`.**"] if part else []
    if status >= INTERRUPTED:
        state.append("**The run was broken off: what is missing below was not tried.**")
    passed, total = sum(row.passed for row in found), sum(row.total for row in found)
    lines = [
        "# Results",
        "<!-- Made by tools/test_clients.py; changes here are overwritten. -->",
        "",
        f"The last `make test-clients`: {now:%Y-%m-%d %H:%M} UTC, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, {seconds / 60:.0f} minutes, {passed} of {total} passed. A page's row is its session, "
        "from installing the client to its last line.",
        *(line for each in state for line in ("", each)),
        "",
        "| client | version | page | tests | result | seconds |",
        "|---|---|---|--:|---|--:|",
        *(row.line() for row in found),
    ]
    failed = [f"* {row.client}: `{name}`" for row in found for name in row.failed]
    if failed:
        lines += ["", "## Failed", "", *failed]
    if asked(found):
        lines += [
            "",
            "## What each client did",
            "",
            "Counted by the gateway while the client's tests ran: a mark stands where it answered a method for it.",
            "",
            *duties.matrix(asked(found)),
        ]
    return "\n".join(lines) + "\n"


def _seconds(report: ElementTree.Element) -> float:
    return sum(float(suite.get("time", "0")) for suite in report.iter("testsuite"))


def run(command: list[str], environment: dict[str, str]) -> int:
    """``command`` to its end, and its status. Whoever ends this program ends it too: as Ctrl-C does, so that it takes
    down what it started, and by force where that takes longer than a minute."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # where a shell has it ignored, the command would too
    with subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True) as running:  # noqa: S603 - pytest
        with _told(running):
            running.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)  # nobody is left of it, or should be
        return running.returncode


@contextlib.contextmanager
def _told(running: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever ends this program is passed on."""

    def interrupt(number: int, _frame: Any) -> None:
        if number == signal.SIGALRM:
            running.kill()
            return
        running.send_signal(signal.SIGINT)
        signal.alarm(ENDING_SECONDS)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> int:
    """Run the tests of all clients and write the page; 0 if all passed and every client did all of its duties.
    Arguments go to pytest, and make it a part."""
    what = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="gstack-clients-") as folder:
        file = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-ra", f"--junitxml={file}", "-o", "junit_family=xunit1"]
        status = run([*command, *(what or ALL)], os.environ | {"GSTACK_TEST_CLIENTS": "all"})
        if not file.exists():
            print("The run ended without a report: there is nothing to write.", file=sys.stderr)
            return status or 1
        report = ElementTree.parse(file).getroot()  # noqa: S314 - written by our own pytest
    found = rows(report)
    text = page(found, _seconds(report), part=" ".join(what), status=status)
    if what:
        print(text)
        print(f"A part only: {PAGE.relative_to(ROOT)} is left as it was.")
        return status
    PAGE.write_text(text)
    print(f"wrote {PAGE.relative_to(ROOT)}")
    missing = duties.gaps(asked(found))
    for line in missing:
        print(line, file=sys.stderr)
    return status or int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
