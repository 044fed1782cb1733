"""The recipes of the documentation, run as they stand there.

Apart from the other tests of clients because it knows none of them. Below a ``tested`` mark, a block that names a
file is written to it, any other is run, in one folder a page; a ``text`` block after it is what it prints. Addresses
differ from run to run, so any will do. Pages marked ``make test-clients`` install their client from its registry, so
only that command runs them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gstack.demo import Demo, prepared

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "quickstart.md", *sorted((ROOT / "docs" / "clients").glob("*.md"))]
HERE = "tests/clients/test_pages.py"
FRESH = "make test-clients"
BLOCK = re.compile(
    r"^<!-- tested: ([^\n]+) -->\n```(\w+)(?: (\S+))?\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.M | re.S
)
VERSION = re.compile(r"^<!-- client: (?P<client>[^;]+); version: (?P<command>.+) -->$", re.M)
ADDRESS = re.compile(r"\b\d+\.\d+\.\d+\.\d+\b")
INSTALLING_SECONDS = 3600
ALL_CLIENTS = os.environ.get("GSTACK_TEST_CLIENTS") == "all"


@dataclass(frozen=True)
class Recipe:
    mark: str
    language: str
    file: str
    code: str
    printed: str


def _recipes(page: Path) -> list[Recipe]:
    return [Recipe(*(part or "" for part in found)) for found in BLOCK.findall(page.read_text())]


def _marked(mark: str) -> list[Path]:
    return [page for page in PAGES if any(recipe.mark == mark for recipe in _recipes(page))]


def _lines(text: str) -> list[str]:
    """Lines with one space between their columns, and no address."""
    return [" ".join(ADDRESS.sub("ADDRESS", line).split()) for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """A gateway for the pages alone: their names are fixed."""
    with prepared(job_seconds=0.1) as running:
        yield running


def _stem(page: Path) -> str:
    return page.stem


def _try(page: Path, mark: str, run: Callable[..., Any], folder: Path, **more: Any) -> None:
    for number, recipe in enumerate(_recipes(page), 1):
        if recipe.mark != mark:
            continue
        if recipe.file:
            (folder / recipe.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / recipe.file).write_text(recipe.code)
            continue
        if recipe.language == "python":
            file = folder / f"recipe_{number}.py"
            file.write_text(recipe.code)
            ran = run("python", str(file), folder=folder, **more)
        else:
            ran = run("sh", "-e", "-c", recipe.code, folder=folder, **more)
        assert ran.status == 0, f"recipe {number}:\n{recipe.code}\n{ran.out}{ran.err}"
        seen = _lines(ran.out + ran.err)
        assert [line for line in _lines(recipe.printed) if line not in seen] == [], ran.out + ran.err


def test_no_mark_is_overlooked() -> None:
    for page in PAGES:
        recipes = _recipes(page)
        assert len(recipes) == page.read_text().count("<!-- tested:"), page.name
        assert {recipe.mark for recipe in recipes} <= {HERE, FRESH}, page.name
        assert {recipe.language for recipe in recipes if not recipe.file} <= {"sh", "python"}, page.name
    assert len(_marked(HERE)) >= 4


@pytest.mark.usefixtures("installed_gcloud")
@pytest.mark.parametrize("page", [page for page in _marked(HERE) if "```sh" in page.read_text()], ids=_stem)
def test_every_command_of_the_page_works(page: Path, run: Callable[..., Any], tmp_path: Path) -> None:
    _try(page, HERE, run, tmp_path)


@pytest.mark.parametrize("page", [page for page in _marked(HERE) if "```sh" not in page.read_text()], ids=_stem)
def test_every_program_of_the_page_works(page: Path, run: Callable[..., Any], tmp_path: Path) -> None:
    _try(page, HERE, run, tmp_path)


if ALL_CLIENTS:

    @pytest.mark.parametrize("page", _marked(FRESH), ids=_stem)
    def test_a_new_user_gets_there_with_the_page_alone(
        page: Path, run: Callable[..., Any], tmp_path: Path, record_property: Callable[[str, object], None]
    ) -> None:
        _try(page, FRESH, run, tmp_path, seconds=INSTALLING_SECONDS)
        for found in VERSION.finditer(page.read_text()):
            ran = run("sh", "-e", "-c", found["command"], folder=tmp_path)
            assert ran.status == 0 and ran.out.strip(), f"{found['command']}: {ran.out}{ran.err}"
            record_property(found["client"], ran.out.split("\n")[0].strip())
