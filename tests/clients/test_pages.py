"""The recipes of the documentation, run as they stand there.

Apart from the other tests of clients because it knows none of them: a block below a ``tested`` mark is run, and a
``text`` block after it is what it prints. Addresses differ from run to run, so any will do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gstack.demo import Demo, prepared

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "quickstart.md", *sorted((ROOT / "docs" / "clients").glob("*.md"))]
BLOCK = re.compile(
    r"^<!-- tested: tests/clients/test_pages\.py -->\n```(sh|python)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.M | re.S
)
ADDRESS = re.compile(r"\b\d+\.\d+\.\d+\.\d+\b")
RECIPES = [page for page in PAGES if BLOCK.search(page.read_text())]


@dataclass(frozen=True)
class Recipe:
    language: str
    code: str
    printed: str


def _recipes(page: Path) -> list[Recipe]:
    return [Recipe(*(part or "" for part in found)) for found in BLOCK.findall(page.read_text())]


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


def _try(page: Path, run: Callable[..., Any], folder: Path) -> None:
    for number, recipe in enumerate(_recipes(page), 1):
        if recipe.language == "python":
            file = folder / f"recipe_{number}.py"
            file.write_text(recipe.code)
            ran = run("python", str(file), folder=folder)
        else:
            ran = run("sh", "-e", "-c", recipe.code, folder=folder)
        assert ran.status == 0, f"recipe {number}:\n{recipe.code}\n{ran.out}{ran.err}"
        seen = _lines(ran.out + ran.err)
        assert [line for line in _lines(recipe.printed) if line not in seen] == [], ran.out + ran.err


def test_no_mark_is_overlooked() -> None:
    for page in PAGES:
        assert len(_recipes(page)) == page.read_text().count("<!-- tested:"), page.name
    assert len(RECIPES) >= 4


@pytest.mark.usefixtures("installed_gcloud")
@pytest.mark.parametrize("page", [page for page in RECIPES if "```sh" in page.read_text()], ids=_stem)
def test_every_command_of_the_page_works(page: Path, run: Callable[..., Any], tmp_path: Path) -> None:
    _try(page, run, tmp_path)


@pytest.mark.parametrize("page", [page for page in RECIPES if "```sh" not in page.read_text()], ids=_stem)
def test_every_program_of_the_page_works(page: Path, run: Callable[..., Any], tmp_path: Path) -> None:
    _try(page, run, tmp_path)
