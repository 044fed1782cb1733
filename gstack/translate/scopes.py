"""Scopes of aggregated lists: everywhere (``global``), regions, zones; and the rows of each.

Apart from protocol/listing.py, which knows nothing of zones. The surprising thing: GCE shows every scope where such an
object could be, empty or not, and the others only to those who ask for them (``includeAllScopes``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from gstack.protocol.call import Call
from gstack.protocol.listing import Shape, aggregated
from gstack.translate import places
from gstack.translate.caller import Caller

Row = TypeVar("Row")


def every(caller: Caller) -> list[str]:
    """Every scope that the caller's credential sees."""
    known = places.of_caller(caller)
    return ["global", *(f"regions/{region}" for region in known.regions()), *(f"zones/{place.name}" for place in known)]


def grouped(rows: Iterable[Row], scope: Callable[[Row], str]) -> dict[str, list[Row]]:
    """Rows by their scope."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(scope(row), []).append(row)
    return found


def aggregated_in(
    call: Call, kinds: tuple[str, ...], rows: Mapping[str, Iterable[Row] | Exception], member: str, shape: Shape[Row]
) -> dict[str, Any]:
    """The aggregated list of what is in scopes of ``kinds`` (``global``, ``regions``, ``zones``); ``rows`` by scope, or
    the error that asking for them met. Raises GceError as :func:`gstack.protocol.listing.aggregated`."""
    known = every(call.caller)
    own = [scope for scope in known if scope.partition("/")[0] in kinds]
    return aggregated(call, rows.items(), member, shape, own_scopes=own, all_scopes=known)
