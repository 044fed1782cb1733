"""Answers against Google's schemas, as strictly as the strictest client reads them.

Apart from request checking because the rules differ: 64-bit integers must be strings here, nothing may be
null, no list empty. Used by tests, so that a view which would break Terraform or the Go client never ships.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gstack.protocol import values
from gstack.protocol.discovery import Schema, resolved

DECIMAL = re.compile(r"0|-?[1-9][0-9]*")
TIMES = {
    "creationTimestamp": None,
    "insertTime": "Operation",
    "startTime": "Operation",
    "endTime": "Operation",
}


def check_response(schema_name: str, answer: Any) -> list[str]:
    """What is wrong with ``answer`` as an object of ``schema_name``: one sentence each, empty when nothing
    is."""
    return list(_found({"$ref": schema_name}, answer, schema_name))


def _found(schema: Schema, value: Any, path: str) -> Iterator[str]:
    schema = resolved(schema)
    kind = schema.get("type")
    if value is None:
        yield f"{path} is null"
    elif kind == "array":
        yield from _in_list(schema, value, path)
    elif kind == "object":
        yield from _in_object(schema, value, path)
    elif kind != "any":
        wrong = _wrong(schema, value)
        if wrong:
            yield f"{path} is {value!r}: {wrong}"


def _in_list(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path} is no list"
        return
    if not value:
        yield f"{path} is an empty list"
    for index, item in enumerate(value):
        yield from _found(schema["items"], item, f"{path}[{index}]")


def _in_object(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path} is no object"
        return
    members, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, entry in value.items():
        where = f"{path}.{name}"
        member = members.get(name, others)
        if member is None and "format" not in schema:
            yield f"{where} is not in the schema"
        elif member is not None:
            yield from _found(member, entry, where)
        timed = name in TIMES and TIMES[name] in (None, schema.get("id"))
        if timed and not values.TIMESTAMP.fullmatch(str(entry)):
            yield f"{where} is {entry!r}: no RFC 3339 timestamp"
        if name == "selfLink" and not str(entry).startswith(("https://", "http://")):
            yield f"{where} is {entry!r}: not absolute"


def _wrong(schema: Schema, value: Any) -> str | None:
    form, kind = schema.get("format"), schema.get("type")
    if form in values.RANGES:
        return _wrong_integer(kind == "string", form, value)
    try:
        values.scalar(schema)(value)
    except values.Unfit as unfit:
        return str(unfit)
    if kind == "number" and isinstance(value, str):
        return "a number as text"
    return None


def _wrong_integer(as_text: bool, form: str, value: Any) -> str | None:
    if as_text:
        if not isinstance(value, str) or not DECIMAL.fullmatch(value):
            return f"{form} must be a decimal string"
    elif isinstance(value, bool) or not isinstance(value, int):
        return f"{form} must be a number"
    low, high = values.RANGES[form]
    return None if low <= int(value) <= high else f"out of range for {form}"
