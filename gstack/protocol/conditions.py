"""The tree of a filter: comparisons, AND, OR, NOT; how each is tested against a resource and printed again.

Apart from filters.py, which reads text into this tree. The surprising thing: lists are seen through
everywhere, so a comparison holds when any element does, and ``!=`` and ``ne`` hold wherever ``=`` and
``eq`` do not, absent fields included.

Source: the ``filter`` parameter in Google's discovery document and https://google.aip.dev/160.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from dataclasses import field as member
from operator import ge, gt, le, lt
from typing import Any

import re2  # type: ignore[import-untyped]  # google-re2 ships none

from gstack.protocol.grammar import refuse
from gstack.protocol.ordering import instant

Test = Callable[[Any], bool]

LONGEST_PATTERN = 1024  # characters
# What the patterns of a filter may cost in one list: characters, each times the instructions of the pattern it meets.
# A hard pattern needs 2 to 9 ns for each; gcloud's on 10,000 names and links come to a twentieth.
MOST_WORK = 500_000_000
PATTERN_MEMORY = 1 << 18  # bytes RE2 may use for one pattern: its program and its cache of states
ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
PATTERNS = frozenset({"eq", "ne"})
PLAIN_SEGMENT = re.compile(r"[\w-]+\Z")
WHOLE = re.compile(r"-?\d{1,30}\Z", re.ASCII)
DECIMAL = re.compile(r"-?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?\Z", re.ASCII)


_work_left: ContextVar[list[int] | None] = ContextVar("gstack_work_left", default=None)


@contextmanager
def limited_work() -> Iterator[None]:
    """Within, patterns that would take many seconds in all are refused: GceError (400, location ``filter``)."""
    token = _work_left.set([MOST_WORK])
    try:
        yield
    finally:
        _work_left.reset(token)


@dataclass(frozen=True)
class Comparison:
    """``field operator text``; ``:*`` is an operator of its own.

    ``text`` of eq and ne is an RE2 pattern as it was written. ``at`` is where the value stands in the filter.
    """

    field: tuple[str, ...]
    operator: str
    text: str = ""
    at: int = member(default=0, compare=False)

    def __str__(self) -> str:
        name = ".".join(one if PLAIN_SEGMENT.match(one) else _quoted(one) for one in self.field)
        if self.operator == ":*":
            return f"{name}:*"
        value = _quoted_pattern(self.text) if self.operator in PATTERNS else _quoted(self.text)
        return f"{name} {self.operator} {value}"


@dataclass(frozen=True)
class Not:
    """NOT."""

    part: Condition

    def __str__(self) -> str:
        return f"NOT ({self.part})"


@dataclass(frozen=True)
class Every:
    """AND of at least two conditions, none of them an Every: see :func:`conjunction`."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " ".join(f"({part})" for part in self.parts)


@dataclass(frozen=True)
class Either:
    """OR of at least two conditions, none of them an OR: see :func:`disjunction`."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " OR ".join(f"({part})" for part in self.parts)


Condition = Comparison | Not | Every | Either


def conjunction(parts: list[Condition]) -> Condition:
    """AND, flat; one part is itself."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Every) else (part,))]
    return flat[0] if len(flat) == 1 else Every(tuple(flat))


def disjunction(parts: list[Condition]) -> Condition:
    """OR, flat; one part is itself."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Either) else (part,))]
    return flat[0] if len(flat) == 1 else Either(tuple(flat))


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Every comparison of the tree, from left to right."""
    if isinstance(condition, Comparison):
        yield condition
    elif isinstance(condition, Not):
        yield from comparisons(condition.part)
    else:
        for part in condition.parts:
            yield from comparisons(part)


def depth(condition: Condition) -> int:
    """Levels of the tree; a comparison is one. Counted without recursion: the client chose how deep it is."""
    levels, level = 0, [condition]
    while level:
        levels += 1
        level = [part for one in level for part in _parts(one)]
    return levels


def _parts(condition: Condition) -> tuple[Condition, ...]:
    if isinstance(condition, Comparison):
        return ()
    return (condition.part,) if isinstance(condition, Not) else condition.parts


def compile_condition(condition: Condition, text: str) -> Test:
    """A test of resources; ``text`` is the filter, for errors. Raises GceError (400) for a bad pattern."""
    if isinstance(condition, Comparison):
        return _compile_comparison(condition, text)
    if isinstance(condition, Not):
        part = compile_condition(condition.part, text)
        return lambda resource: not part(resource)
    tests = [compile_condition(part, text) for part in condition.parts]
    if isinstance(condition, Every):
        return lambda resource: all(test(resource) for test in tests)
    return lambda resource: any(test(resource) for test in tests)


def reach(resource: Any, path: tuple[str, ...]) -> list[Any]:
    """Every value that stands at ``path``, seeing through the lists on the way; null counts as absent."""
    found = [resource]
    for name in path:
        found = [
            item[name]
            for value in found
            for item in (value if isinstance(value, list) else (value,))
            if isinstance(item, Mapping) and item.get(name) is not None
        ]
    return found


def _compile_comparison(comparison: Comparison, text: str) -> Test:
    path, operator = comparison.field, comparison.operator
    if operator == ":*":
        return lambda resource: any(value not in ({}, []) for value in reach(resource, path))
    if operator == ":":
        holds = _has(comparison, text)
        return lambda resource: any(map(holds, reach(resource, path)))
    test = _value_test(comparison, text)
    # An absent text field is the empty text: JSON answers leave it out, as protocol buffers do.
    if_absent = operator in ("=", "!=", "eq", "ne") and not comparison.text

    def met(resource: Any) -> bool:
        values = reach(resource, path)
        if not values:
            return if_absent
        return any(test(item) for value in values for item in (value if isinstance(value, list) else (value,)))

    return (lambda resource: not met(resource)) if operator in ("!=", "ne") else met


def _value_test(comparison: Comparison, text: str) -> Test:
    if comparison.operator in PATTERNS:
        return _matches(comparison, text)
    if comparison.operator in ORDERINGS:
        return _ordered(ORDERINGS[comparison.operator], comparison.text)
    return _equals(comparison, text)


def _matches(comparison: Comparison, text: str) -> Test:
    """eq: the whole value, as JSON writes it, matches; a timestamp also equals the same instant."""
    full = _full_match(comparison.text, comparison, text)
    truth, moment = comparison.text.lower(), _moment(comparison.text)

    def test(value: Any) -> bool:
        if isinstance(value, bool):
            return truth == str(value).lower() or full(str(value).lower())
        if isinstance(value, str):
            return full(value) or (moment is not None and moment == _moment(value))
        return isinstance(value, int | float) and full(str(value))

    return test


def _equals(comparison: Comparison, text: str) -> Test:
    wanted = comparison.text
    truth, number, moment = wanted.lower(), _number(wanted), _moment(wanted)
    wild = _full_match(_wildcards(wanted), comparison, text) if "*" in wanted else None

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return (
                value == wanted
                or (wild is not None and wild(value))
                or (moment is not None and moment == _moment(value))
            )
        if isinstance(value, bool):
            return truth == str(value).lower()
        return isinstance(value, int | float) and value == number

    return test


def _ordered(compare: Callable[[Any, Any], bool], wanted: str) -> Test:
    """Numbers (int64 stands as text in JSON) by size, timestamps by time, other texts by their characters."""
    number, moment = _number(wanted), instant(wanted)

    def test(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return False
        size = _number(value) if isinstance(value, str) else value
        if number is not None and size is not None:
            return compare(size, number)
        if not isinstance(value, str):
            return False
        time = instant(value) if moment is not None else None
        return compare(time, moment) if time is not None else compare(value, wanted)

    return test


def _has(comparison: Comparison, text: str) -> Test:
    """``:``: a key of a map, an element of a list, a part of a text; anything else as ``=``."""
    wanted = comparison.text
    equal = _equals(comparison, text)

    def test(value: Any) -> bool:
        if isinstance(value, Mapping):
            return wanted in value
        if isinstance(value, list):
            return any(wanted in item if isinstance(item, Mapping) else equal(item) for item in value)
        if isinstance(value, str) and wanted in value:
            return True
        return equal(value)

    return test


def _full_match(pattern: str, comparison: Comparison, text: str) -> Callable[[str], bool]:
    if len(pattern) > LONGEST_PATTERN:
        raise refuse("filter", text, f"A pattern may have {LONGEST_PATTERN} characters.", comparison.at)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_MEMORY
    try:
        regex = re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if isinstance(error, re2.error) else "not Unicode text"
        words = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise refuse("filter", text, f"The regular expression is not RE2: {words}.", comparison.at) from None

    def full(value: str) -> bool:
        left = _work_left.get()
        if left is not None:
            left[0] -= regex.programsize * len(value)
            if left[0] < 0:
                raise refuse("filter", text, "The pattern is too much work for this list.", comparison.at)
        try:
            return regex.fullmatch(value) is not None
        except UnicodeEncodeError:  # a lone surrogate in upstream's JSON matches nothing
            return False

    return full


def _wildcards(text: str) -> str:
    return "(?s)" + ".*".join(re2.escape(part) for part in text.split("*"))


def _number(text: str) -> int | float | None:
    if WHOLE.match(text):
        return int(text)
    return float(text) if DECIMAL.match(text) else None


def _moment(text: str) -> int | None:
    """The instant of a full timestamp; a date alone is a text when it comes to equality."""
    return instant(text) if "T" in text.upper() else None


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _quoted_pattern(pattern: str) -> str:
    """A pattern keeps its backslashes. It has bare quotes of one sort at most: it stood inside the others."""
    bare = re.search(r'(?<!\\)(?:\\\\)*"', pattern)
    return f"'{pattern}'" if bare else f'"{pattern}"'
