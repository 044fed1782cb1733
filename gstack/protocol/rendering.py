"""Jinja JSON templates: the shape of each GCE resource, with holes.

Apart so that shapes can be read, linted and documented as data (``gstack/data/templates/<name>.json.j2``).
The surprising thing: a template is read as JSON once, and its holes are filled with values, not with text. So
templates hold no quotes round holes, no value can break out of its place, and rendering costs little more than
building the dictionary. Nulls and empty lists go, ``{}`` stays, as in GCE's answers.

Templates may hold names, attributes, subscripts, filters and inline conditions, nothing else: :func:`lint`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateSyntaxError, Undefined, UndefinedError, nodes

TEMPLATES = Path(__file__).resolve().parent.parent / "data" / "templates"
SUFFIX = ".json.j2"
HOLDING = (nodes.TemplateData, nodes.Output, nodes.Template)
CONDITIONS = (nodes.CondExpr, nodes.Not, nodes.Test)
ALLOWED = (*HOLDING, *CONDITIONS, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Const)
TESTS = frozenset({"defined", "none"})

Context = Mapping[str, Any]
Filler = Callable[[Context], Any]
Expression = tuple[str, Filler]  # the name that it is, or ""


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The one environment of the process; threads share it."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - expressions yield values, which are never text of a template
        auto_reload=False,
        cache_size=-1,
    )
    made.filters |= OWN
    return made


def render(template: str, /, **context: Any) -> dict[str, Any]:
    """The resource that ``template`` makes of ``context``, without nulls and empty lists.

    Raises jinja2.UndefinedError for a hole whose name is not in ``context``.
    """
    answer: dict[str, Any] = _template(template)(context)
    return answer


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
        problems.append(f"{name}, line {error.lineno}: no JSON around its holes ({error.msg.partition(':')[0]})")
    return problems


def sources(name: str) -> dict[str, str]:
    """Which expression fills each member of template ``name``: ``{"disks[].source": "disk.link"}``.

    Partials are followed; their expressions speak of the partial's own names. Members that are constant are
    left out.
    """
    shape, holes = _shape(name)
    return dict(_filled(shape, holes, ""))


def _partial(value: Context | None, name: str) -> Any:
    """What template ``name`` makes of the members of ``value``; null for None."""
    return None if value is None else _template(name)(value)


def _each(values: Iterable[Context], name: str) -> list[Any]:
    """What template ``name`` makes of each of ``values``."""
    template = _template(name)
    return [template(value) for value in values]


def _template(name: str) -> Filler:
    return _compiled(environment(), name)


@cache
def _compiled(_environment: Environment, name: str) -> Filler:
    shape, holes = _shape(name)
    return _object(shape, [_expression(hole) for hole in holes])


def _object(shape: dict[str, Any], holes: list[Expression]) -> Filler:
    """Fills an object: a member whose value is null or an empty list is left out."""
    members = [(name, *_member(entry, holes)) for name, entry in shape.items()]

    def fill(context: Context) -> dict[str, Any]:
        filled = {}
        for name, held, member in members:
            if held:  # nearly all members are: without a call for each, a list is quicker by a tenth
                try:
                    value = context[held]
                except KeyError:
                    raise _undefined(held) from None
                if type(value) not in ATOMS:
                    value = _plain(value)
            else:
                value = member(context)
            if value is not None and value != []:
                filled[name] = value
        return filled

    return fill


def _member(shape: Any, holes: list[Expression]) -> Expression:
    if isinstance(shape, dict):
        return "", _object(shape, holes)
    if isinstance(shape, list):
        entries = [_member(entry, holes)[1] for entry in shape]
        return "", lambda context: [value for entry in entries if (value := entry(context)) is not None]
    if isinstance(shape, str) and shape.startswith("\0"):
        return holes[int(shape[1:])]
    return "", lambda _context: shape


def _expression(text: str) -> Expression:
    """An expression: the name that it is, if it is one, and what gives its value. Names, and our own filters of a name,
    are nearly all there are, and quicker without Jinja."""
    node = next(environment().parse("{{" + text + "}}").find_all(nodes.Output)).nodes[0]
    if isinstance(node, nodes.Name):
        held: str = node.name
        return held, lambda context: _plain(_named(context, held))
    if isinstance(node, nodes.Filter) and node.name in OWN and isinstance(node.node, nodes.Name):
        name, function, arguments = node.node.name, OWN[node.name], [one.as_const() for one in node.args]
        return "", lambda context: function(_named(context, name), *arguments)
    compiled = environment().compile_expression(text, undefined_to_none=False)
    return "", lambda context: _plain(compiled(context))


def _named(context: Context, name: str) -> Any:
    try:
        return context[name]
    except KeyError:
        raise _undefined(name) from None


def _undefined(name: str) -> UndefinedError:
    return UndefinedError(f"'{name}' is undefined")


def _plain(value: Any) -> Any:
    """A value of the context as it may be shown: what it holds is copied, without nulls and empty lists."""
    kind = type(value)
    if kind is dict:
        return {name: entry for name, old in value.items() if (entry := _plain(old)) is not None and entry != []}
    if kind is list or kind is tuple:
        return [entry for old in value if (entry := _plain(old)) is not None and entry != []]
    if isinstance(value, Undefined):
        str(value)  # raises: it is a StrictUndefined
    return value


ATOMS = frozenset({str, int, bool, type(None)})
OWN: dict[str, Callable[..., Any]] = {"partial": _partial, "each": _each, "int64": int64}


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
