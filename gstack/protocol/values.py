"""Single JSON values against Google's types and formats, and the sentences GCE answers when they do not fit.

Apart because request bodies and query parameters hold the same types, the latter as text. The surprising
thing: clients send 64-bit integers as strings or as numbers, so both are read wherever Google's document says
integer.
"""

from __future__ import annotations

import base64
import binascii
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gstack.errors import Problem

RANGES: dict[str, tuple[int, int]] = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9][0-9]-[0-9][0-9][Tt][0-9][0-9]:[0-9][0-9]:[0-9][0-9](\.[0-9]+)?([Zz]|[+-][0-9][0-9]:[0-9][0-9])"
)
DURATION = re.compile(r"-?[0-9]+(\.[0-9]{1,9})?s")
INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
LARGEST = sys.float_info.max
SHOWN = 100
# Members whose value must not come back in an error, where it would reach the client's logs and ours.
SECRET = frozenset(
    {
        "rawKey",
        "rsaEncryptedKey",
        "sharedSecret",
        "privateKey",
        "password",
        "key",
        "value",
        "secret",
        "accessKey",
    }
)

# Characters that texts of these names may have in every body. Google's document says those of health checks in words:
# https://docs.cloud.google.com/compute/docs/reference/rest/v1/healthChecks
LONGEST = {"description": 2048, "request": 1024, "response": 1024}

Check = Callable[[Any], Any]


class Unfit(ValueError):
    """A value that does not fit; the text is the sentence that follows GCE's ``Invalid value for field``."""


@lru_cache(maxsize=256)
def pattern(text: str) -> re.Pattern[str]:
    """A compiled pattern of Google's document; used with ``fullmatch``."""
    return re.compile(text)


def bad_value(location: str, value: object, why: str, location_type: str = "parameter") -> Problem:
    """GCE's sentence for a value that does not fit; containers and secrets are not shown."""
    message = f"Invalid value for field '{location}': '{shown(location, value)}'. {why}"
    return Problem(message, location, "invalid", location_type)


def missing(location: str) -> Problem:
    """GCE's sentence for what is required and absent."""
    return Problem(f"Required field '{location}' not specified", location, "required")


def shown(location: str, value: object) -> str:
    """``value`` as an error may show it."""
    if isinstance(value, dict | list) or value is None or location.rsplit(".", 1)[-1] in SECRET:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def integer(form: str) -> Check:
    """A check that reads a JSON number or decimal string as int within the range of ``form``."""
    low, high = RANGES[form]

    def check(value: Any) -> int:
        decimal = isinstance(value, str) and INTEGER.fullmatch(value.strip())
        if decimal or (isinstance(value, float) and value.is_integer()):
            number = int(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        else:
            raise Unfit(f"Must be an integer ({form}).")
        if not low <= number <= high:
            raise Unfit(f"Must be between {low} and {high}.")
        return number

    return check


def number(value: Any) -> float:
    """Reads a JSON number or its text; infinities and NaN do not fit."""
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST:
        return value
    raise Unfit("Must be a number.")


def boolean(value: Any) -> bool:
    """Reads a JSON boolean."""
    if isinstance(value, bool):
        return value
    raise Unfit("Must be true or false.")


def boolean_text(value: Any) -> bool:
    """Reads a query parameter: gcloud writes ``True``, others ``true`` or ``1``; Ansible ``None`` for
    false."""
    known = {"true": True, "1": True, "false": False, "0": False, "none": False}
    try:
        return known[str(value).strip().lower()]
    except KeyError:
        raise Unfit("Must be true or false.") from None


def string(value: Any) -> str:
    """Reads a JSON string."""
    if isinstance(value, str):
        return value
    raise Unfit("Must be a string.")


def octets(value: Any) -> str:
    """Reads base64 in either alphabet, padded or not; the text is kept as it came."""
    text = string(value)
    try:
        plain = text.rstrip("=").replace("-", "+").replace("_", "/")
        base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Unfit("Must be base64.") from None
    return text


def timestamp(value: Any) -> str:
    """Reads RFC 3339 text."""
    if TIMESTAMP.fullmatch(string(value)):
        return str(value)
    raise Unfit("Must be an RFC 3339 timestamp.")


def duration(value: Any) -> str:
    """Reads seconds with an ``s``: ``3.5s``."""
    if DURATION.fullmatch(string(value)):
        return str(value)
    raise Unfit("Must be a duration in seconds, such as '3.5s'.")


def anything(value: Any) -> Any:
    """Google's ``any``."""
    return value


def at_most(longest: int) -> Check:
    """A check for a text of so many characters."""

    def check(value: Any) -> str:
        if len(string(value)) <= longest:
            return str(value)
        raise Unfit(f"Must be at most {longest} characters long.")

    return check


def one_of(values: tuple[str, ...]) -> Check:
    """A check for an enum."""
    allowed = frozenset(values)

    def check(value: Any) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        raise Unfit(f"Must be one of {', '.join(values)}.")

    return check


def matching(text: str, said: str) -> Check:
    """A check for a pattern; ``said`` is how the sentence spells it."""
    fits = pattern(text).fullmatch

    def check(value: Any) -> str:
        if fits(string(value)):
            return str(value)
        raise Unfit(f"Must be a match of regex '{said}'")

    return check


FORMATS: dict[str, Check] = {
    "byte": octets,
    "google-datetime": timestamp,
    "google-duration": duration,
}


def scalar(schema: Any, grouped: bool = True, text: bool = False) -> Check:
    """The check for one value of ``schema`` (a type, format, enum or pattern of Google's document).

    ``grouped``: patterns are said in brackets, as GCE does for bodies but not for parameters. ``text``: the
    value is a query parameter.
    """
    kind, form = schema.get("type"), schema.get("format")
    if form in RANGES:
        return integer(form)
    if kind == "integer":
        return integer("int32")
    if kind == "boolean":
        return boolean_text if text else boolean
    if kind == "number":
        return number
    if kind == "any":
        return anything
    if "enum" in schema:
        return one_of(tuple(schema["enum"]))
    if "pattern" in schema:
        return matching(schema["pattern"], f"(?:{schema['pattern']})" if grouped else schema["pattern"])
    return FORMATS.get(form, string)
