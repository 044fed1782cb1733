"""The page docs/fields.md: per collection every method and every field, and what becomes of it.

Apart from make_docs.py because three things meet here: Google's schema says which fields there are, the policies what
is done with one in a request, and docs/mapping.json (see make_mapping.py) which field of CloudStack's it is shown from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from gstack.protocol import methods
from gstack.protocol.discovery import document
from gstack.protocol.policy import REFUSED

ROOT = Path(__file__).resolve().parent.parent
HOLE = re.compile(r"{{.*?}}")
MADE = "gstack: names, links, hashes, sums"
Sources = Mapping[str, Mapping[str, list[str]]]


def page(note: str) -> str:
    """docs/fields.md."""
    sources: Sources = json.loads((ROOT / "docs" / "mapping.json").read_text())
    states = methods.coverage()
    served = sorted({name.split(".")[1] for name, state, _ in states if state == "served"})
    lines = [
        "# Every field of every collection",
        note,
        "",
        "The methods of each collection that is served, and what becomes of each field in a request and in an answer.",
        "",
        "*Honoured*: it has its effect. *Remembered*: it changes nothing that can be observed here, is kept and read",
        "back. *Refused*: a 400 that names the field, for the reason given; a field that is in no row is refused too.",
        "Which field of CloudStack's a field is shown from was found out by changing one and reading again.",
        "",
        ", ".join(f"[{name}](#{name.lower()})" for name in served),
    ]
    for name in served:
        lines += _section(name, sources.get(name, {}), states)
    return "\n".join([*lines, ""])


def _section(collection: str, sources: Mapping[str, list[str]], states: list[tuple[str, str, str]]) -> list[str]:
    lines = [
        "",
        f"## {collection}",
        "",
        "| method | state | CloudStack commands it needs, or why not |",
        "|---|---|---|",
    ]
    mine = [state for state in states if state[0].split(".")[1] == collection]
    for name, state, reason in mine:
        needs = ", ".join(f"`{command}`" for command in methods.HANDLERS[name].needs) if state == "served" else reason
        lines.append(f"| `{name.split('.')[-1]}` | {state} | {needs} |")
    schema = _schema(collection)
    if schema is not None:
        lines += [
            "",
            f"### {collection}: fields",
            "",
            "| field | in a request to make one | shown from |",
            "|---|---|---|",
        ]
        lines += [f"| `{field}` | {asked} | {shown} |" for field, asked, shown in _rows(collection, schema, sources)]
    for name, _, _ in mine:
        lines += _request(name)
    return lines


def _request(name: str) -> list[str]:
    """The table of the body of a method that makes nothing."""
    handler = methods.HANDLERS.get(name)
    if handler is None or handler.body is None or not handler.body.table() or name.endswith(".insert"):
        return []
    lines = ["", f"### `{name.removeprefix('compute.')}`", "", "| field | state | reason |", "|---|---|---|"]
    return lines + [f"| `{path}` | {state} | {reason or ''} |" for path, state, reason in handler.body.table()]


def _rows(collection: str, schema: str, sources: Mapping[str, list[str]]) -> Iterator[tuple[str, str, str]]:
    insert = methods.HANDLERS.get(f"compute.{collection}.insert")
    policy = {path: (state, why) for path, state, why in insert.body.table()} if insert and insert.body else {}
    template = dict(_template(collection))
    top = document().schemas[schema]["properties"]
    for field in sorted({*top, *policy, *sources}, key=str.lower):
        if field == "kind":
            continue
        member = top.get(field, {})
        state, why = _asked(field, policy)
        asked = f"{state}{f': {why}' if why else ''}" if state else _unasked(field in top, member, bool(policy))
        yield field, asked, _shown(field, state, sources, template)


def _asked(field: str, policy: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """State and reason of a field, or of the nearest one that holds it."""
    steps = field.split(".")
    for length in range(len(steps), 0, -1):
        name = ".".join(steps[:length])
        for path in (name, name.removesuffix("[]")):
            if path in policy:
                return policy[path]
    below = [path for path in policy if path.startswith((f"{field}.", f"{field}["))]
    return ("in parts", "") if below else ("", "")


def _unasked(top: bool, member: Mapping[str, Any], inserts: bool) -> str:
    if not inserts or not top:
        return ""
    return "output only" if member.get("readOnly") else REFUSED


def _shown(field: str, state: str, sources: Mapping[str, list[str]], template: Mapping[str, str]) -> str:
    found = sources.get(field)
    if found:
        return ", ".join(f"`{source}`" for source in found)
    if any(other.startswith((f"{field}.", f"{field}[")) for other in sources):
        return "its parts"
    if template.get(field):
        return f"always `{template[field]}`"
    if field in template or any(other.startswith(f"{field}.") for other in template):
        kept = state and state != REFUSED and not field.endswith("ingerprint")
        return "gstack's store" if kept else MADE
    return ""


def _template(collection: str) -> Iterator[tuple[str, str]]:
    """Every field of the template of a collection, with its value where that is fixed."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", _singular(collection)).lower()
    file = resources.files("gstack").joinpath(f"data/templates/{name}.json.j2")
    if file.is_file():
        yield from _leaves(json.loads(HOLE.sub('"{{}}"', file.read_text())))


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, entry in value.items():
            yield from _leaves(entry, f"{path}.{name}" if path else name)
    else:
        yield path, "" if value == "{{}}" else json.dumps(value).strip('"')


def _singular(collection: str) -> str:
    if collection.endswith("ies"):
        return f"{collection[:-3]}y"
    return collection.removesuffix("es") if collection.endswith("sses") else collection.removesuffix("s")


def _schema(collection: str) -> str | None:
    handler = methods.HANDLERS.get(f"compute.{collection}.get")
    return handler.method.response if handler else None
