"""What a method does with each member of its body: honoured, remembered, refused; in none of them, refused as
well.

Apart because it is data that each room states once, and that checks requests, feeds the overlay and makes the
docs table. The surprising thing: a refused member is still accepted while it says "off", because clients send
defaults.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gstack.errors import GceError, Problem
from gstack.protocol.discovery import Schema, resolved
from gstack.protocol.values import bad_value

HONOURED, REMEMBERED, REFUSED = "honoured", "remembered", "refused"
UNDECIDED = "This field is not supported."
MOST_PROBLEMS = 20


@dataclass(slots=True)
class _Node:
    state: str | None = None
    reason: str = ""
    only: tuple[Any, ...] | None = None
    default: Any = None
    children: dict[str, _Node] = field(default_factory=dict)


class Policy:
    """Dotted paths into a request body: ``disks[].initializeParams.sourceImage``, ``labels.*``, ``metadata``.

    A path covers everything below it; a longer path wins over a shorter one. ``refused`` maps a path to the
    reason, a whole sentence. ``only`` maps a path to the values it may have; such a path is honoured unless
    it is remembered. Raises ValueError for a path that is named twice.
    """

    def __init__(
        self,
        honoured: Collection[str] = (),
        remembered: Collection[str] = (),
        refused: Mapping[str, str] | None = None,
        only: Mapping[str, Collection[Any]] | None = None,
    ) -> None:
        self._root = _Node()
        self._paths: dict[str, _Node] = {}
        self._bound: tuple[str, ...] = ()
        for path in honoured:
            self._place(path, HONOURED)
        for path in remembered:
            self._place(path, REMEMBERED)
        for path, reason in (refused or {}).items():
            self._place(path, REFUSED).reason = reason
        for path, allowed in (only or {}).items():
            node = self._paths.get(path) or self._place(path, HONOURED)
            node.only = tuple(allowed)

    def bind(self, schema_name: str) -> None:
        """Hold every path against the request schema of a method; ValueError names the one that does not
        exist."""
        for path, node in self._paths.items():
            member = _member(schema_name, path)
            node.default = member.get("default", node.default)
        self._bound += (schema_name,)

    def check(self, body: Mapping[str, Any]) -> None:
        """Raise one GceError that names every member of ``body`` that is refused or in no list.

        A refused member passes while it is false, zero, empty, the schema's default, or made of such. A
        member in no list passes only as an empty object or list.
        """
        problems = tuple(self._problems(self._root, None, dict(body), "resource"))[:MOST_PROBLEMS]
        if problems:
            raise GceError("unsupported", "\n".join(problem.message for problem in problems), problems=problems)

    def remember(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The part of ``body`` that the overlay keeps. Entries of a list keep their places: one of which
        nothing is remembered is ``{}``, and a list of only such is left out."""
        kept = _kept(self._root, None, dict(body))
        return kept if isinstance(kept, dict) else {}

    def table(self) -> list[tuple[str, str, str]]:
        """(path, ``honoured`` | ``remembered`` | ``refused``, reason or allowed values) for the docs, by
        path."""
        return sorted((path, str(node.state), _explained(node)) for path, node in self._paths.items())

    def _place(self, path: str, state: str) -> _Node:
        node = self._root
        for step in _steps(path):
            node = node.children.setdefault(step, _Node())
        if node.state is not None:
            raise ValueError(f"{path} is named twice in a policy")
        node.state = state
        self._paths[path] = node
        return node

    def _problems(self, node: _Node | None, above: _Node | None, value: Any, path: str) -> Iterator[Problem]:
        rule = node if node is not None and node.state else above
        if rule is not None and rule.state == REFUSED and (_off(value) or value == rule.default):
            return
        if node is not None and node.children and isinstance(value, dict | list):
            for step, where, entry in _entries(value, path):
                child = node.children.get(step) or node.children.get("*")
                yield from self._problems(child, rule, entry, where)
        elif rule is None:
            if not (isinstance(value, dict | list) and not value):
                yield _refusal(path, value, UNDECIDED)
        elif rule.state == REFUSED:
            yield _refusal(path, value, rule.reason)
        elif rule.only is not None and value not in rule.only:
            yield _refusal(path, value, _explained(rule))


def _steps(path: str) -> list[str]:
    return [step for part in path.split(".") for step in re.findall(r"\[\]|[^\[\]]+", part)]


def _entries(value: dict[str, Any] | list[Any], path: str) -> Iterator[tuple[str, str, Any]]:
    if isinstance(value, dict):
        for name, entry in value.items():
            yield name, f"{path}.{name}", entry
    else:
        for index, entry in enumerate(value):
            yield "[]", f"{path}[{index}]", entry


def _off(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_off(entry) for entry in value.values())
    if isinstance(value, list):
        return all(_off(entry) for entry in value)
    return not value


def _refusal(path: str, value: Any, why: str) -> Problem:
    problem = bad_value(path, value, why)
    return Problem(problem.message, problem.location, "unsupported")


def _explained(node: _Node) -> str:
    if node.only is None:
        return node.reason
    return f"Only {', '.join(_spelled(value) for value in node.only)} is supported."


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kept(node: _Node | None, above: str | None, value: Any) -> Any:
    state = node.state if node is not None and node.state else above
    if node is None or not node.children or not isinstance(value, dict | list):
        return value if state == REMEMBERED else None
    if isinstance(value, list):
        entries = [_kept(node.children.get("[]"), state, entry) for entry in value]
        if all(entry is None or entry == {} for entry in entries):
            return None
        return [{} if entry is None else entry for entry in entries]
    found = {
        name: _kept(node.children.get(name) or node.children.get("*"), state, entry) for name, entry in value.items()
    }
    kept = {name: entry for name, entry in found.items() if entry is not None}
    return kept if kept or state == REMEMBERED else None


def _member(schema_name: str, path: str) -> Schema:
    schema: Schema = {"$ref": schema_name}
    for step in _steps(path):
        schema = resolved(schema)
        if step == "[]":
            found = schema.get("items")
        elif step == "*":
            found = schema.get("additionalProperties")
        else:
            found = schema.get("properties", {}).get(step)
        if found is None:
            raise ValueError(f"{schema_name} has no {path}")
        if found.get("readOnly"):
            raise ValueError(f"{path} of {schema_name} is output-only: it never reaches a handler")
        schema = found
    return schema
