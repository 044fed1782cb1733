"""``make test-clients``: every client against gstack, each installed from its registry; the result is a page.

Apart from ``make test`` because it builds and downloads for half an hour. It prints pytest's progress and writes
docs/clients/results.md, also when something failed: the table then says what.
"""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "clients" / "results.md"
FRESH = "test_a_new_user_gets_there_with_the_page_alone"
# Clients that the tests themselves hold: name, page, beginnings of test modules, how its version is known
HELD = (
    ("gcloud", "gcloud", ("test_gcloud_",), "gcloud version --format='value(\"Google Cloud SDK\")'"),
    ("google-cloud-compute for Python", "python", ("test_google_cloud_compute",), "google-cloud-compute"),
    ("google-api-python-client", "python", ("test_google_api_python_client",), "google-api-python-client"),
    ("Apache Libcloud", "libcloud", ("test_libcloud",), "apache-libcloud"),
    ("Terraform, many at once", "terraform", ("test_terraform",), ""),
    ("browser logins", "login", ("test_browser_",), ""),
    ("gcutil's flow, by a stand-in", "login", ("test_gcutil",), ""),
    ("a universe of one's own", "ways_in", ("test_universe",), ""),
    ("any client: quirks of the wire", "index", ("test_quirks", "test_strictness", "test_lists_"), ""),
    ("recipes of the pages", "index", ("test_pages", "test_readme", "test_demo"), ""),
)


@dataclass
class Row:
    """What became of one client."""

    client: str
    page: str
    version: str = ""
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    seconds: float = 0.0

    def count(self, case: ElementTree.Element) -> None:
        self.seconds += float(case.get("time", "0"))
        if case.find("failure") is not None or case.find("error") is not None:
            self.failed.append(case.get("name", ""))
        elif case.find("skipped") is not None:
            self.skipped += 1
        else:
            self.passed += 1

    @property
    def total(self) -> int:
        return self.passed + len(self.failed) + self.skipped

    def line(self) -> str:
        result = "passed" if not self.failed and self.passed else "FAILED" if self.failed else "skipped"
        page = f"[{self.page}]({self.page}.md)"
        return (
            f"| {self.client} | {self.version or '-'} | {page} | {self.passed} of {self.total} | {result} "
            f"| {self.seconds:.0f} |"
        )


def rows(report: ElementTree.Element) -> list[Row]:
    """A row for each client held by tests, then one for each page that installs its own."""
    held = [(Row(client, page, _version(how) if how else ""), modules) for client, page, modules, how in HELD]
    fresh: list[Row] = []
    for case in report.iter("testcase"):
        module = case.get("classname", "").rpartition(".")[2]
        name = case.get("name", "")
        if name.startswith(FRESH):
            fresh += _of_page(name.removeprefix(FRESH).strip("[]"), case)
            continue
        for row, modules in held:
            if module.startswith(modules):
                row.count(case)
    return [row for row in [*(row for row, _ in held), *fresh] if row.total]


def _of_page(page: str, case: ElementTree.Element) -> list[Row]:
    clients = [(found.get("name", ""), found.get("value", "")) for found in case.iter("property")]
    made = [Row(client, page, version) for client, version in clients] or [Row(page, page)]
    for row in made:
        row.count(case)
    return made


def _version(how: str) -> str:
    try:
        if not how.startswith("gcloud"):
            return metadata.version(how)
        done = subprocess.run(["sh", "-c", how], capture_output=True, text=True, check=False)  # noqa: S603, S607 - ours
        return done.stdout.strip()
    except metadata.PackageNotFoundError:
        return ""


def page(found: list[Row], seconds: float, part: str = "") -> str:
    """docs/clients/results.md; ``part`` is what was asked for, where that was not all."""
    today = datetime.datetime.now(datetime.UTC).date()
    lines = [
        "# Results",
        "<!-- Made by tools/test_clients.py; changes here are overwritten. -->",
        "",
        f"The last `make test-clients`: {today}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{seconds / 60:.0f} minutes. A page's row is its session, from installing the client to its last line.",
        *(["", f"It was asked for a part only: `{part}`."] if part else []),
        "",
        "| client | version | page | tests | result | seconds |",
        "|---|---|---|--:|---|--:|",
        *(row.line() for row in found),
    ]
    failed = [f"* {row.client}: `{name}`" for row in found for name in row.failed]
    if failed:
        lines += ["", "## Failed", "", *failed]
    return "\n".join(lines) + "\n"


def _seconds(report: ElementTree.Element) -> float:
    return sum(float(suite.get("time", "0")) for suite in report.iter("testsuite"))


def main() -> int:
    """Run the tests of all clients and write the page; pytest's exit status. Further arguments go to pytest."""
    with tempfile.TemporaryDirectory(prefix="gstack-clients-") as folder:
        file = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-ra", f"--junitxml={file}", "-o", "junit_family=xunit1"]
        environment = os.environ | {"GSTACK_TEST_CLIENTS": "all"}
        what = sys.argv[1:] or ["tests/clients", "tests/auth/test_gcutil.py"]
        done = subprocess.run([*command, *what], cwd=ROOT, env=environment, check=False)  # noqa: S603 - our own tests
        if file.exists():
            report = ElementTree.parse(file).getroot()  # noqa: S314 - written by our own pytest
            PAGE.write_text(page(rows(report), _seconds(report), " ".join(sys.argv[1:])))
            print(f"wrote {PAGE.relative_to(ROOT)}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
