"""Docs that cannot lie: generated pages are what the code would write, and links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import click
import pytest

from gstack.cli import main
from gstack.protocol import methods
from gstack.resources import load_handlers

CODE = re.compile(r"^```.*?^```$", re.M | re.S)
ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])


def _generated() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "tools" / "make_docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(ROOT / "tools"))  # where Python itself looks when the script is run
    spec.loader.exec_module(module)
    pages: dict[str, str] = module.pages()
    return pages


def test_generated_pages_are_up_to_date() -> None:
    stale = [path for path, text in _generated().items() if (ROOT / path).read_text() != text]
    assert stale == [], "run: python tools/make_docs.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", CODE.sub("", page.read_text()))
    assert [link for link in links if not (page.parent / link).exists()] == []


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_into_a_page_lead_to_a_heading_of_it(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", CODE.sub("", page.read_text()))
    wrong = [(name, anchor) for name, anchor in links if anchor not in _anchors(page.parent / name if name else page)]
    assert wrong == []


def test_lines_of_the_changelog_are_as_short_as_those_of_code() -> None:
    assert [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_a_page_calls_its_own_are_there(page: Path) -> None:
    named = re.findall(r"\btests/[\w/]+\.py", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blank_lines_stand_alone(page: Path) -> None:
    prose = re.sub(r"```.*?```", "code", page.read_text(), flags=re.DOTALL)
    assert "\n\n\n" not in prose


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_rows_of_a_table_have_as_many_cells_as_its_head(page: Path) -> None:
    rows = CODE.sub("", page.read_text()).splitlines()
    cells = [len(re.findall(r"(?<!\\)\|", row)) if row.startswith("|") else 0 for row in rows]
    wrong = [number for number, (above, row) in enumerate(pairwise(cells)) if above and row and above != row]
    assert wrong == []


def test_systemd_takes_the_unit_of_the_operators_page(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    (unit,) = re.findall(r"^```ini\n(.*?)^```", (ROOT / "docs" / "operations.md").read_text(), re.M | re.S)
    file = tmp_path / "gstack.service"
    file.write_text(unit.replace("/opt/gstack/bin/gstack", sys.executable))  # it has to be there
    said = subprocess.run([verify, "verify", str(file)], capture_output=True, text=True, check=False)
    assert [line for line in said.stderr.splitlines() if "gstack.service" in line] == []


def test_the_clients_page_leads_to_every_page_beside_it() -> None:
    folder = ROOT / "docs" / "clients"
    links = set(re.findall(r"\]\(([a-z_]+\.md)", (folder / "index.md").read_text()))
    assert {page.name for page in folder.glob("*.md")} - links == {"index.md"}


def test_the_architecture_names_every_room() -> None:
    page, package = (ROOT / "docs" / "architecture.md").read_text(), ROOT / "gstack"
    files = {f"gstack/{path.name}" for path in package.glob("*.py")} - {"gstack/__init__.py"}
    rooms = {f"gstack/{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert [name for name in sorted(files | rooms) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("room", ["auth", "cloudstack", "firewall", "operations", "protocol", "store", "translate"])
def test_the_architecture_names_every_file_of_a_room(room: str) -> None:
    """The other two have a file for each collection, or group of commands."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    section = page.partition(f"\n### `gstack/{room}/`")[2].partition("\n##")[0]
    files = {path.name for path in (ROOT / "gstack" / room).glob("*.py")} - {"__init__.py"}
    assert [name for name in sorted(files) if f"`{name}`" not in section] == []


def test_the_architecture_names_every_model_and_no_file_that_is_not_there() -> None:
    page, package = (ROOT / "docs" / "architecture.md").read_text(), ROOT / "gstack"
    models = [
        name
        for path in (package / "store").glob("*.py")
        for name in re.findall(r"class (\w+)\(Model\)", path.read_text())
    ]
    assert [name for name in models if f"`{name}`" not in page] == []
    files = {path.name for path in package.rglob("*.py")}
    assert [name for name in re.findall(r"`(?:gstack/)?(\w+\.py)`", page) if name not in files] == []


def test_the_changelog_names_every_command_and_every_served_collection() -> None:
    load_handlers()
    page = (ROOT / "CHANGELOG.md").read_text()
    served = {method_id.split(".")[1] for method_id, state, _ in methods.coverage() if state == "served"}
    listed = re.search(r"^\* Served: ([^.]+)\.", page, re.MULTILINE)
    assert listed is not None and set(re.split(r",\s+", listed[1])) == served
    assert [name for name in main.commands if f"`gstack {name}`" not in page] == []


def test_the_page_of_fields_agrees_with_the_coverage() -> None:
    load_handlers()
    states = {name: state for name, state, _ in methods.coverage()}
    shown: dict[str, str] = {}
    for section in (ROOT / "docs" / "fields.md").read_text().split("\n## ")[1:]:
        rows = re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", section.partition("### ")[0], re.MULTILINE)
        shown |= {f"compute.{section.split()[0]}.{verb}": state for verb, state in rows}
    served = {name.split(".")[1] for name, state in states.items() if state == "served"}
    assert shown == {name: state for name, state in states.items() if name.split(".")[1] in served}


def test_the_operator_reads_of_every_command_and_file() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    groups = [main.commands["credentials"], main.commands["keys"]]
    commands = [name for group in groups if isinstance(group, click.Group) for name in group.commands]
    assert [name for name in commands if not re.search(rf"`(gstack \w+ )?{name}`", page)] == []
    files = ("gstack.db-wal", "gstack.db-shm", "gstack.db.migrating", "operations.lock", "issuers.toml", "secret.keys")
    assert [name for name in files if f"`{name}`" not in page] == []
    assert "`gstack reconcile`" in page
