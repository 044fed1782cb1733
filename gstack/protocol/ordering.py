"""``orderBy``: the two orders of a GCE list, and the sort keys that pages are cut by.

Apart from paging because an order is also a way to compare timestamps. The surprising thing: keys are plain
tuples of text and integers, so that a page token can carry the last one as JSON and compare it again later.

Source: the ``orderBy`` parameter in Google's discovery document, which names these two and no others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gstack.errors import invalid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d.*)?\Z", re.ASCII)

Key = tuple[str | int, ...]


def instant(value: object) -> int | None:
    """Microseconds since 1970 of an RFC 3339 text (also with ``+0000``) or a datetime; None for the rest.

    A date alone is its midnight; a time without a zone is UTC.
    """
    if isinstance(value, str):
        if not TIMESTAMP.match(value):
            return None
        try:
            value = datetime.fromisoformat(value.replace("t", "T").replace("z", "Z"))
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return (aware - EPOCH) // MICROSECOND


@dataclass(frozen=True)
class Order:
    """``newest_first`` is ``creationTimestamp desc``; otherwise the order is by name."""

    newest_first: bool = False

    def key(self, name: str, identity: str, created: object = None) -> Key:
        """The sort key of one row: the smaller comes first. Rows without a creation time come last."""
        if not self.newest_first:
            return (name, identity)
        moment = instant(created)
        return (0, -moment, name, identity) if moment is not None else (1, 0, name, identity)


BY_NAME = Order()
ORDERS = {
    "": BY_NAME,
    "name": BY_NAME,
    "name asc": BY_NAME,
    "creationTimestamp desc": Order(newest_first=True),
}


def compile_order(text: str | None) -> Order:
    """The order that ``orderBy`` asks for; the default is by name. Raises GceError (400) for any other."""
    order = ORDERS.get(" ".join((text or "").split()))
    if order is None:
        raise invalid("orderBy", text, "Only 'name' and 'creationTimestamp desc' are supported.")
    return order
