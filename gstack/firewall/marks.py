"""Any JSON as gstack's marks on a CloudStack object: cut into pieces that a resource tag can hold.

Apart because firewalls and guarding groups both keep themselves this way, so that no database is needed to find them.
The surprising thing: tags cannot be changed, only deleted and made, which is not atomic. So each content has a number;
the next one is written beside the last, and whoever reads takes the highest that is whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gstack.translate import tags

Row = Mapping[str, Any]


def pack(kind: str, number: int, content: Any) -> dict[str, str]:
    """``content`` as marks: ``<kind>.<number>.<piece>.<pieces>`` and its text, which is ASCII."""
    pieces = list(_pieces(json.dumps(content, separators=(",", ":"), sort_keys=True)))
    return {f"{kind}.{number}.{index}.{len(pieces)}": piece for index, piece in enumerate(pieces)}


def unpack(kind: str, rows: Iterable[Row]) -> tuple[int, Any]:
    """Number and content of what an object's tags hold; (0, None) where there is nothing whole."""
    found: dict[tuple[int, int], dict[int, str]] = {}
    for name, text in tags.own_values(rows).items():
        place = _place(kind, name)
        if place is not None:
            number, piece, pieces = place
            found.setdefault((number, pieces), {})[piece] = text
    for (number, pieces), texts in sorted(found.items(), reverse=True):
        if sorted(texts) == list(range(pieces)):
            try:
                return number, json.loads("".join(texts[index] for index in range(pieces)))
            except ValueError:
                continue
    return 0, None


def present(kind: str, rows: Iterable[Row]) -> dict[str, str]:
    """All marks of a kind, of whichever number."""
    return {name: text for name, text in tags.own_values(rows).items() if _place(kind, name) is not None}


def highest(kind: str, rows: Iterable[Row]) -> int:
    """The highest number in use, whether its content is whole or not; 0 for none."""
    places = (_place(kind, name) for name in tags.own_values(rows))
    return max((place[0] for place in places if place is not None), default=0)


def _place(kind: str, name: str) -> tuple[int, int, int] | None:
    parts = name.split(".")
    if len(parts) != 4 or parts[0] != kind or not all(part.isascii() and part.isdigit() for part in parts[1:]):
        return None
    return int(parts[1]), int(parts[2]), int(parts[3])


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = min(len(text), start + tags.LONGEST)
        while len(tags.encode(text[start:end])) > tags.LONGEST:
            end -= 1
        yield text[start:end]
        start = end
