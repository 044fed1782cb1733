"""The shape of the code: sizes, and that no machine's paths or keys are in what ships."""

from __future__ import annotations

import ast
import re
import statistics
import tomllib
from pathlib import Path

import pytest

from gstack.protocol.methods import HANDLERS
from gstack.resources import load_handlers
from tests.mutations import CHANGES

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "gstack").rglob("*.py"))
SHIPPED = [path for path in (ROOT / "gstack").rglob("*") if path.is_file() and path.suffix not in (".gz", ".pyc")]


def _functions(path: Path) -> list[tuple[str, int]]:
    tree = ast.parse(path.read_text())
    return [
        (f"{path.relative_to(ROOT)}:{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_the_simulator_is_kept_from_every_other_room() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (kept_from,) = (set(one["forbidden_modules"]) for one in contracts if "forbidden_modules" in one)
    package = ROOT / "gstack"
    rooms = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/__init__.py")}
    assert {f"gstack.{room}" for room in rooms - {"__init__", "__main__", "simulator"}} - kept_from == set()


def test_no_file_is_longer_than_500_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 500} == {}


def test_functions_are_short() -> None:
    lengths = dict(entry for path in SOURCES for entry in _functions(path))
    assert {name: length for name, length in lengths.items() if length > 80} == {}
    ordered = sorted(lengths.values())
    assert statistics.median(ordered) <= 10
    assert ordered[int(len(ordered) * 0.9)] <= 40


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_says_what_lives_in_it(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize(
    "path", [*SOURCES, *sorted((ROOT / "tools").glob("*.py"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_paragraphs_of_docstrings_stand_apart(path: Path) -> None:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    texts = [
        ast.get_docstring(node) or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, documented)
    ]
    assert [line for text in texts for line in text.splitlines() if re.match(r" \S", line)] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_gstack_logs_in_one_way(path: Path) -> None:
    """The standard library's loggers are those of libraries, and named."""
    found = re.findall(r"getLogger\(([^)]*)\)", path.read_text())
    assert [name for name in found if name and not re.fullmatch(r'"(?!gstack)\w+"', name)] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_shipped_code_reads_no_recordings(path: Path) -> None:
    """Neither by path nor by name of a file: what it knows of them was made into data by ``tools/``."""
    texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    documented = [
        ast.get_docstring(node, clean=False)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    told = [text for text in texts if isinstance(text, str) and text not in documented]
    assert [text for text in told if "recordings" in text or ".jsonl" in text] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_file_keeps_to_itself_it_uses(path: Path) -> None:
    """Functions that are bound by a decorator are called by what binds them."""
    tree = ast.parse(path.read_text())
    own = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.decorator_list]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert [node.name for node in own if node.name.startswith("_") and node.name not in used] == []


MARKER = re.compile(r"# (?:noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\]) *$")


@pytest.mark.parametrize("folder", ["gstack", "tools", "bench"])
def test_whoever_silences_a_checker_says_why(folder: str) -> None:
    lines = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if MARKER.search(line)
    ]
    assert lines == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_private_key_ships(path: Path) -> None:
    assert not re.search(rb"BEGIN [A-Z ]*PRIVATE KEY-----\s*\n[A-Za-z0-9+/=]", path.read_bytes())


@pytest.mark.parametrize(
    ("sentence", "rooms"),
    [
        ("Required field '", {"gstack/errors.py", "gstack/protocol/values.py"}),  # an error, and a problem of many
        ("Must be a match of regex '(?:[a-z]", {"gstack/translate/names.py"}),
        ("' was not found\"", {"gstack/errors.py"}),
        ("' already exists\"", {"gstack/errors.py"}),
    ],
)
def test_a_sentence_of_gces_is_written_down_once(sentence: str, rooms: set[str]) -> None:
    found = {str(path.relative_to(ROOT)) for path in SOURCES if sentence in path.read_text()}
    assert {name for name in found if "simulator" not in name} == rooms


def test_every_served_mutation_has_its_line_in_the_table_of_all_mutations() -> None:
    """Add what is missing to tests/mutations.py: it is then repeated, raced and checked like all others."""
    load_handlers()
    served = {
        handler.method.id.removeprefix("compute.")
        for handler in HANDLERS.values()
        if handler.method.response == "Operation"
        and handler.method.http_method != "GET"
        and "perations" not in handler.method.id
    }
    assert served == CHANGES.keys()
