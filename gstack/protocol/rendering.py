"""Jinja JSON templates: the shape of each GCE resource, with holes.

Apart so that shapes can be read, linted and documented as data (``gstack/data/templates/<name>.json.j2``).
The surprising thing: every hole is encoded as JSON when it is filled, so templates hold no quotes round holes
and no value can break out of its place. Nulls and empty lists go, ``{}`` stays, as in GCE's answers.

Templates may hold names, attributes, subscripts, filters and inline conditions, nothing else: :func:`lint`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateSyntaxError, Undefined, nodes

TEMPLATES = Path(__file__).resolve().parent.parent / "data" / "templates"
SUFFIX = ".json.j2"
HOLDING = (nodes.TemplateData, nodes.Output, nodes.Template)
CONDITIONS = (nodes.CondExpr, nodes.Not, nodes.Test)
ALLOWED = (*HOLDING, *CONDITIONS, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Const)
TESTS = frozenset({"defined", "none"})
PARTIALS = ("partial", "each")


class Rendered(str):
    """JSON text that is finished; a hole takes it as it is."""


def as_json(value: Any) -> str:
    """``value`` as JSON. An undefined name raises jinja2.UndefinedError."""
    if isinstance(value, Rendered):
        return value
    if isinstance(value, Undefined):
        str(value)
    return orjson.dumps(value).decode()


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The one environment of the process; threads share it."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        finalize=as_json,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - the output is JSON, and finalize encodes every value
        auto_reload=False,
        cache_size=-1,
    )
    made.filters |= {"partial": _partial, "each": _each, "int64": int64}
    return made


def render(template: str, /, **context: Any) -> dict[str, Any]:
    """The resource that ``template`` makes of ``context``, without nulls and empty lists."""
    answer: dict[str, Any] = pruned(
        orjson.loads(environment().get_template(template + SUFFIX).render(context))
    )
    return answer


def pruned(value: Any) -> Any:
    """``value`` without nulls and empty lists at any depth below it; changes it in place."""
    _gone(value)
    return value


def _gone(value: Any) -> bool:
    """Prune ``value``; whether nothing is left that may be shown."""
    if type(value) is dict:
        for name in [name for name, entry in value.items() if _gone(entry)]:
            del value[name]
        return False
    if type(value) is list:
        value[:] = [entry for entry in value if not _gone(entry)]
        return not value
    return value is None


def int64(value: int | str | None) -> str | None:
    """GCE writes 64-bit integers as strings."""
    return None if value is None else str(int(value))


def lint(name: str) -> list[str]:
    """What template ``name`` holds that it may not: one sentence each."""
    text = _source(name)
    try:
        tree = environment().parse(text)
    except TemplateSyntaxError as error:
        return [f"{name}, line {error.lineno}: {error.message}"]
    problems = [
        f"{name}, line {node.lineno}: {type(node).__name__} is not allowed"
        for node in tree.find_all(nodes.Node)
        if not isinstance(node, ALLOWED) or (isinstance(node, nodes.Test) and node.name not in TESTS)
    ]
    problems += [
        f"{name}, line {node.lineno}: a condition without else"
        for node in tree.find_all(nodes.CondExpr)
        if not node.expr2
    ]
    try:
        _shape(name)
    except orjson.JSONDecodeError as error:
        problems.append(
            f"{name}, line {error.lineno}: no JSON around its holes ({error.msg.partition(':')[0]})"
        )
    return problems


def sources(name: str) -> dict[str, str]:
    """Which expression fills each member of template ``name``: ``{"disks[].source": "disk.link"}``.

    Partials are followed; their expressions speak of the partial's own names. Members that are constant are
    left out.
    """
    shape, holes = _shape(name)
    return dict(_filled(shape, holes, ""))


def _partial(value: Mapping[str, Any] | None, name: str) -> Rendered:
    """Renders template ``name`` with the members of ``value`` as its names; null for None."""
    return Rendered("null" if value is None else environment().get_template(name + SUFFIX).render(value))


def _each(values: Iterable[Mapping[str, Any]], name: str) -> Rendered:
    """Renders template ``name`` once for each of ``values``, as a list."""
    template = environment().get_template(name + SUFFIX)
    return Rendered("[" + ",".join(template.render(value) for value in values) + "]")


def _source(name: str) -> str:
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), name + SUFFIX)[0]


def _shape(name: str) -> tuple[Any, list[str]]:
    """The template as JSON in which hole number n is the string ``\\u0000n``, and the expressions of the
    holes."""
    text: list[str] = []
    holes: list[str] = []
    inside: list[str] | None = None
    for _line, kind, value in environment().lex(_source(name)):
        if kind == "variable_begin":
            inside = []
        elif kind == "variable_end":
            text.append(f'"\\u0000{len(holes)}"')
            holes.append("".join(inside or ()).strip())
            inside = None
        elif inside is not None:
            inside.append(value)
        elif kind == "data":
            text.append(value)
    return orjson.loads("".join(text)), holes


def _filled(shape: Any, holes: list[str], path: str) -> Iterator[tuple[str, str]]:
    if isinstance(shape, dict):
        for name, entry in shape.items():
            yield from _filled(entry, holes, f"{path}.{name}" if path else name)
    elif isinstance(shape, list):
        for entry in shape:
            yield from _filled(entry, holes, f"{path}[]")
    elif isinstance(shape, str) and shape.startswith("\0"):
        expression = holes[int(shape[1:])]
        yield path, expression
        for kind, name in re.findall(r"\|\s*(partial|each)\(\s*[\"']([^\"']+)[\"']\s*\)", expression):
            below = path + "[]" if kind == "each" else path
            for member, inner in sources(name).items():
                yield f"{below}.{member}", inner
