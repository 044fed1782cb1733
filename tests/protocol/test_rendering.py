"""Templates: holes, what is pruned, what may stand in them, and where members come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from gstack.protocol import rendering
from gstack.protocol.rendering import TEMPLATES, int64, lint, render, sources

NAMES = sorted(path.name.removesuffix(".json.j2") for path in TEMPLATES.glob("*.json.j2"))


class Folder:
    """A folder of templates that stands in for the package's."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> None:
        (self.path / f"{name}.json.j2").write_text(text)

    def render(self, text: str, **context: Any) -> Any:
        self.write("one", text)
        rendering.environment.cache_clear()
        return render("one", **context)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    monkeypatch.setattr(rendering, "TEMPLATES", tmp_path)
    rendering.environment.cache_clear()
    yield Folder(tmp_path)
    rendering.environment.cache_clear()


def test_a_hole_takes_any_value_as_json(folder: Folder) -> None:
    row = {"n": 1, "s": 'a "quoted" </b> \n', "f": False, "d": {"x": [1]}}
    text = '{"n": {{ row.n }}, "s": {{ row.s }}, "f": {{ row["f"] }}, "d": {{ row.d }}}'
    assert folder.render(text, row=row) == row


@pytest.mark.parametrize("value", ["{{ 7 }}", "{% raw %}", '", "admin": true, "x": "', "\\u0000", "\u2028"])
def test_a_value_never_breaks_out_of_its_place(folder: Folder, value: str) -> None:
    assert folder.render('{"v": {{ v }}}', v=value) == {"v": value}


def test_nulls_and_empty_lists_go_and_empty_objects_stay(folder: Folder) -> None:
    text = '{"a": {{ a }}, "b": {{ b }}, "c": {{ c }}, "d": {"e": {{ a }}, "f": {{ b }}}, "g": {{ g }}}'
    assert folder.render(text, a=None, b=[], c={}, g=[{"h": None, "i": ""}, None]) == {
        "c": {},
        "d": {},
        "g": [{"i": ""}],
    }


def test_a_list_of_nothing_but_nulls_goes_as_well(folder: Folder) -> None:
    assert folder.render('{"a": {{ a }}, "b": {{ b }}}', a=[None], b={"c": [[], [None]]}) == {"b": {}}


def test_what_was_given_is_not_changed(folder: Folder) -> None:
    given = {"a": [None, 1], "b": None}
    assert folder.render('{"v": {{ v }}}', v=given) == {"v": {"a": [1]}}
    assert given == {"a": [None, 1], "b": None}


@pytest.mark.parametrize("text", ['{"v": {{ missing }}}', '{"v": {{ row.missing }}}', '{"v": {{ row.a.b }}}'])
def test_a_missing_name_is_an_error(folder: Folder, text: str) -> None:
    with pytest.raises(UndefinedError):
        folder.render(text, row={})


def test_a_missing_name_may_have_a_default(folder: Folder) -> None:
    assert folder.render('{"v": {{ row.a | default(none) }}, "w": {{ row.b | default("x") }}}', row={}) == {"w": "x"}


def test_a_condition_chooses(folder: Folder) -> None:
    assert folder.render('{"v": {{ a if a is defined else none }}, "w": {{ "y" if yes else "n" }}}', yes=True) == {
        "w": "y"
    }


def test_64_bit_integers_become_strings() -> None:
    assert (int64(5), int64("7"), int64(None), int64(2**63 - 1)) == ("5", "7", None, "9223372036854775807")


def test_partials_are_rendered_into_holes(folder: Folder) -> None:
    folder.write("nic", '{"name": {{ name }}, "ip": {{ ip | default(none) }}}')
    text = '{"one": {{ nic | partial("nic") }}, "all": {{ nics|each("nic") }}, "no": {{ no|partial("nic") }}}'
    nics = [{"name": "nic0", "ip": "10.0.0.1"}, {"name": "nic1"}]
    assert folder.render(text, nic=nics[0], nics=nics, no=None) == {"one": nics[0], "all": nics}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"v": {{ a() }}}', "Call is not allowed"),
        ('{"v": {{ a + 1 }}}', "Add is not allowed"),
        ('{"v": {{ a ~ "b" }}}', "Concat is not allowed"),
        ('{"v": {{ a == 1 }}}', "Compare is not allowed"),
        ('{"v": {{ [a] }}}', "List is not allowed"),
        ('{% if a %}{"v": 1}{% else %}{}{% endif %}', "If is not allowed"),
        ("{% for a in b %}{}{% endfor %}", "For is not allowed"),
        ('{% set a = 1 %}{"v": {{ a }}}', "Assign is not allowed"),
        ('{% include "x" %}{}', "Include is not allowed"),
        ('{"v": {{ a is divisibleby(2) }}}', "Test is not allowed"),
        ('{"v": {{ a if b }}}', "a condition without else"),
        ('{"v": "{{ a }}"}', "no JSON around its holes"),
        ('{"v": {{ a }},}', "no JSON around its holes"),
        ('{"v": {{ a', "line 1: "),
    ],
)
def test_the_lint_finds_what_a_template_may_not_hold(folder: Folder, text: str, problem: str) -> None:
    folder.write("one", text)
    assert any(problem in found for found in lint("one"))


def test_the_lint_lets_pass_what_is_allowed(folder: Folder) -> None:
    folder.write("one", '{"v": {{ a.b["c"] | default(none) }}, "w": {{ a if not b else none }}, "x": 5}')
    assert lint("one") == []


@pytest.mark.parametrize("name", NAMES)
def test_every_template_of_the_package_passes_the_lint(name: str) -> None:
    assert lint(name) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_template_of_the_package_tells_its_sources(name: str) -> None:
    assert sources(name)


def test_sources_name_the_expression_of_each_member(folder: Folder) -> None:
    folder.write("nic", '{"name": {{ nic_name }}, "fixed": 1}')
    folder.write(
        "one",
        '{"kind": "compute#x", "name": {{ row.name }}, "a": {"b": [{{ x | int64 }}]}, '
        '"nics": {{ nics | each("nic") }}, "first": {{ nics[0] | partial("nic") }}}',
    )
    assert sources("one") == {
        "name": "row.name",
        "a.b[]": "x | int64",
        "nics": 'nics | each("nic")',
        "nics[].name": "nic_name",
        "first": 'nics[0] | partial("nic")',
        "first.name": "nic_name",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def _holds(value: Any, top: bool = True) -> bool:
    if isinstance(value, dict):
        return any(_holds(entry, False) for entry in value.values())
    if isinstance(value, list):
        return (not value and not top) or any(_holds(entry, False) for entry in value)
    return value is None


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_nothing_pruned_holds_a_null_or_an_empty_list(value: dict[str, Any]) -> None:
    assert not _holds(rendering._plain(value))
