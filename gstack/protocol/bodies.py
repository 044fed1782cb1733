"""Request bodies against Google's schemas: every problem at once, in GCE's sentences.

Apart because no handler checks shapes itself. The surprising thing: output-only members and ``kind`` are
dropped unseen, because clients send whole resources back as they read them; members and list entries that are null
are absent, and so is an enum's empty text, which Terraform writes for what nobody has set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from gstack.errors import GceError, Problem, required
from gstack.protocol import values
from gstack.protocol.discovery import Schema, document, resolved
from gstack.protocol.rendering import int64

MOST_PROBLEMS = 20


class Report:
    """What was found wrong in one body, and the method it was sent to."""

    def __init__(self, method_id: str) -> None:
        self.method_id = method_id
        self.problems: list[Problem] = []

    def add(self, problem: Problem) -> None:
        """Note one problem."""
        self.problems.append(problem)


Walk = Callable[[Any, str, Report], Any]


def check_body(schema_name: str, body: Mapping[str, Any], method_id: str) -> dict[str, Any]:
    """``body`` as schema ``schema_name`` reads it, for ``method_id``'s required members.

    Answers a new dict: nulls, output-only members and ``kind`` gone, 64-bit integers as int. Raises one
    GceError (400) that names every member that does not fit.
    """
    report = Report(method_id)
    checked: dict[str, Any] = _named(schema_name)(body, "resource", report)
    if report.problems:
        if not checked and all(problem.kind == "required" for problem in report.problems):
            raise required("resource")
        raise _error(report.problems[:MOST_PROBLEMS])
    return checked


def unknown(path: str, name: str) -> Problem:
    """Google's sentence for a member that the schema does not have."""
    name = name[: values.SHOWN]
    message = f"Invalid JSON payload received. Unknown name \"{name}\" at '{path}': Cannot find field."
    return Problem(message, f"{path}.{name}", "badRequest")


def _error(problems: list[Problem]) -> GceError:
    violations = [
        {"field": problem.location, "description": problem.message}
        for problem in problems
        if problem.kind == "badRequest"
    ]
    details = (
        ({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations},) if violations else ()
    )
    message = "\n".join(problem.message for problem in problems)
    return GceError(problems[0].kind or "invalid", message, problems=tuple(problems), details=details)


@cache
def _named(schema_name: str) -> Walk:
    return _compiled(document().schemas[schema_name])


def _compiled(schema: Schema) -> Walk:
    if "$ref" in schema:
        return _reference(schema["$ref"])
    kind = schema.get("type")
    if kind == "array":
        return _array(_compiled(schema["items"]))
    if "additionalProperties" in schema:
        return _map(_compiled(schema["additionalProperties"]))
    if kind == "object":
        return _object(schema.get("properties", {})) if "format" not in schema else _opaque
    return _scalar(values.scalar(schema))


def _reference(name: str) -> Walk:
    # Resolved at the first use: schemas refer to one another in circles.
    def walk(value: Any, path: str, report: Report) -> Any:
        return _named(name)(value, path, report)

    return walk


def _opaque(value: Any, path: str, report: Report) -> Any:
    return value


def _scalar(check: values.Check) -> Walk:
    def walk(value: Any, path: str, report: Report) -> Any:
        try:
            return check(value)
        except values.Unfit as unfit:
            report.add(values.bad_value(path, value, str(unfit)))
            return value

    return walk


def _array(item: Walk) -> Walk:
    def walk(value: Any, path: str, report: Report) -> Any:
        if not isinstance(value, list):
            report.add(values.bad_value(path, value, "Must be a list."))
            return value
        return [item(entry, f"{path}[{index}]", report) for index, entry in enumerate(value) if entry is not None]

    return walk


def _map(item: Walk) -> Walk:
    def walk(value: Any, path: str, report: Report) -> Any:
        if not isinstance(value, dict):
            report.add(values.bad_value(path, value, "Must be an object."))
            return value
        return {
            key: item(entry, f"{path}.{key[: values.SHOWN]}", report)
            for key, entry in value.items()
            if entry is not None
        }

    return walk


def _object(properties: Mapping[str, Schema]) -> Walk:
    dropped = frozenset({"kind", *(name for name, member in properties.items() if member.get("readOnly"))})
    members = {name: _member(name, member) for name, member in properties.items() if name not in dropped}
    enums = frozenset(name for name, member in properties.items() if "enum" in member)
    required = _required(properties)

    def walk(value: Any, path: str, report: Report) -> Any:
        if not isinstance(value, dict):
            report.add(values.bad_value(path, value, "Must be an object."))
            return value
        checked = {}
        for name, entry in value.items():
            if entry is None or name in dropped or (entry == "" and name in enums):
                continue
            member = members.get(name)
            if member is None:
                report.add(unknown(path, name))
            else:
                checked[name] = member(entry, f"{path}.{name}", report)
        for name in required.get(report.method_id, ()):
            if name not in checked:
                report.add(values.missing(f"{path}.{name}"))
        return checked

    return walk


def _member(name: str, schema: Schema) -> Walk:
    longest = values.LONGEST.get(name)
    return _scalar(values.at_most(longest)) if longest and schema.get("type") == "string" else _compiled(schema)


def _required(properties: Mapping[str, Schema]) -> dict[str, list[str]]:
    required: dict[str, list[str]] = {}
    for name, member in properties.items():
        for method_id in member.get("annotations", {}).get("required", ()):
            required.setdefault(method_id, []).append(name)
    return required


def shown(schema_name: str, value: Any) -> Any:
    """``value`` as :func:`check_body` gave it, as an answer writes it: 64-bit integers as strings, no empty lists."""
    return _shown({"$ref": schema_name}, value)


def _shown(schema: Schema, value: Any) -> Any:
    schema = resolved(schema)
    if isinstance(value, list):
        return [_shown(schema["items"], entry) for entry in value]
    if isinstance(value, dict):
        members, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        return {name: _shown(members.get(name, others), one) for name, one in value.items() if one != []}
    return int64(value) if schema.get("format") in ("int64", "uint64") else value
