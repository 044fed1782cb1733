"""Names: GCE's RFC 1035 labels for CloudStack's free text, one way only.

Apart because instances, images, offerings, networks and projects must all be named by one rule. The
surprising thing: there is no inverse function. A label leads back to its object by a look-up in the
listing; and an object's name never changes because a newer one came along, so nobody can take over a name
by making a second object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from gstack.errors import invalid, required
from gstack.protocol.ids import numeric_id

LONGEST = 63
LABEL = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
NAME_RULE = "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'"
SUFFIX = 8  # hex digits of the UUID; more when they are not enough
SUFFIXES = re.compile(r"(?:(?:^|-)[0-9a-f]{8,})+\Z")

Row = Mapping[str, Any]
T = TypeVar("T")
Getter = str | Callable[[Any], Any]


def is_label(text: str) -> bool:
    """Whether ``text`` is a name that GCE accepts."""
    return LABEL.fullmatch(text) is not None


def checked_name(name: str | None, where: str = "resource.name") -> str:
    """A name for something new. Raises GceError required or invalid."""
    if not name:
        raise required(where)
    if not is_label(name):
        raise invalid(where, name, NAME_RULE)
    return name


def label(text: str, longest: int = LONGEST) -> str:
    """``text`` as a GCE name: itself if it is one, else lower-case with other characters turned to hyphens.

    Never empty; ``x`` leads where the first character may not.
    """
    if is_label(text) and len(text) <= longest:
        return text
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not slug or not "a" <= slug[0] <= "z":
        slug = f"x-{slug}"
    return slug[:longest].rstrip("-")


def gce_names(
    rows: Iterable[T], name: Getter = "name", id: Getter = "id", created: Getter = "created"
) -> dict[str, str]:
    """The GCE name of every row, by CloudStack id.

    ``name``, ``id`` and ``created`` are members of the rows, or functions of a row. On a clash the older
    object keeps the name (no date counts as oldest, then the smaller id) and the others get a suffix from
    their id. The order of ``rows`` does not matter, rows with an id that was seen are skipped.
    """
    get_name, get_id, get_created = map(_getter, (name, id, created))
    aged = sorted(rows, key=lambda row: (_age(get_created(row)), str(get_id(row))))
    names: dict[str, str] = {}
    taken: set[str] = set()
    for row in aged:
        identity = str(get_id(row))
        if identity not in names:
            names[identity] = _free(label(str(get_name(row) or "")), identity, taken)
            taken.add(names[identity])
    return names


def named(rows: Iterable[T], name: Getter = "name", id: Getter = "id", created: Getter = "created") -> dict[str, T]:
    """The rows by GCE name: the look-up that takes the place of an inverse."""
    rows = list(rows)
    get_id = _getter(id)
    names = gce_names(rows, name, id, created)
    return {names[str(get_id(row))]: row for row in reversed(rows)}


def called(
    rows: Sequence[Row], names_of: Callable[[Sequence[Row]], Mapping[str, str]], wanted: str
) -> tuple[str, Row] | None:
    """The row that ``names_of`` (the names by CloudStack id) calls ``wanted``, or whose numeric id that is, and its
    name."""
    names = names_of(rows)
    for row in rows:
        name = names[row["id"]]
        if wanted in (name, str(numeric_id(row["id"]))):
            return name, row
    return None


def keyword(text: str, longest: int = LONGEST) -> str | None:
    """A keyword by which CloudStack lists every object whose GCE name has ``text`` in it as whole words, and all others
    that these may clash with; None where only all objects will do. No more than ``longest`` characters are asked for.

    Keywords are CloudStack's LIKE, in any case: ``%`` is for the characters that became a hyphen. What may be the
    suffix of a clash is in no object's own name.
    """
    stem = SUFFIXES.sub("", text.strip("-"))
    plain = stem[:longest].rstrip("-").removeprefix("x-")
    return plain.replace("-", "%") if plain not in ("", "x") else None


def akin(one: str, other: str) -> bool:
    """Whether objects that are called so may have clashed: names with or without a suffix, before which long ones lose
    their ends."""
    short, long = sorted((SUFFIXES.sub("", name) for name in (one, other)), key=len)
    return short == long or (len(long) > LONGEST // 2 and long.startswith(short))


def _free(wanted: str, identity: str, taken: set[str]) -> str:
    if wanted not in taken:
        return wanted
    digits = re.sub(r"[^a-z0-9]", "", identity.lower()) or "0"
    for length in range(SUFFIX, len(digits) + 1):
        suffixed = _suffixed(wanted, digits[:length])
        if suffixed not in taken:
            return suffixed
    number = 2
    while (suffixed := _suffixed(wanted, f"{digits}-{number}")) in taken:
        number += 1
    return suffixed


def _suffixed(wanted: str, suffix: str) -> str:
    suffix = suffix[-LONGEST + 2 :]
    return f"{wanted[: LONGEST - 1 - len(suffix)].rstrip('-')}-{suffix}"


def _age(created: Any) -> float:
    """Seconds since 1970 of a date of CloudStack's (``2026-11-21T08:29:58+0000``)."""
    try:
        return datetime.fromisoformat(str(created)).timestamp() if created else 0.0
    except (ValueError, OverflowError):
        return 0.0


def _getter(getter: Getter) -> Callable[[Any], Any]:
    if callable(getter):
        return getter
    member = getter

    def get(row: Mapping[str, Any]) -> Any:
        return row.get(member)

    return get
