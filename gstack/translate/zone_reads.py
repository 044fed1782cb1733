"""What aggregated lists read of CloudStack: all zones at once, or the one that the filter names, or one by one.

Apart because every aggregated list of objects in zones reads alike. The surprising thing: CloudStack answers for all
zones or for none, so a zone that is too slow or broken takes the others with it; for a client that would rather have
the rest (``returnPartialSuccess``) it is asked again, zone by zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gstack.cloudstack.errors import CloudStackError, Unavailable
from gstack.errors import GceError
from gstack.protocol.call import Call
from gstack.protocol.listing import partial_success, sought
from gstack.translate import places
from gstack.translate.places import Place

Row = Mapping[str, Any]
Command = tuple[str, Mapping[str, Any]]

# Failures of a read that another, smaller read may not meet. Who is told to ask less often is not one of them.
WORTH_ANOTHER = frozenset({"backendError", "internalError"})


def zone_scope(place: Place) -> str:
    """The scope that a zone is in an aggregated list."""
    return f"zones/{place.name}"


@dataclass(frozen=True)
class Read:
    """``rows`` are those of each command. Where zones were asked one by one, ``answered`` and ``failed`` say which."""

    rows: list[list[Row]]
    answered: list[Place] = field(default_factory=list)
    failed: list[tuple[Place, GceError]] = field(default_factory=list)

    def scopes(
        self, rows: Iterable[Row], place: Callable[[Row], Place | None], scope: Callable[[Place], str] = zone_scope
    ) -> dict[str, list[Row] | GceError]:
        """``rows``, those of them that ``place`` knows, by scope as an aggregated list takes them; the failure in the
        place of a scope's rows of which some are not known."""
        found: dict[str, list[Row]] = {scope(one): [] for one in self.answered}
        for row in rows:
            where = place(row)
            if where is not None:
                found.setdefault(scope(where), []).append(row)
        return {**found, **{scope(one): error for one, error in self.failed}}


def of_zone(call: Call, place: Place, *commands: Command) -> Read:
    """All rows of list commands, side by side, in one zone. GceError where one fails."""
    return Read(call.caller.cloud.together(*_in_zone(place, commands)))


def of_all_zones(call: Call, *commands: Command) -> Read:
    """All rows of list commands, side by side, wherever the filter of the list looks. GceError where one fails, unless
    the client takes what there is: then only where no zone answers."""
    cloud, zone = call.caller.cloud, sought(call).get("zone")
    known = places.of_caller(call.caller)
    only = next((place for place in known if zone == call.links.zone(call.project, place.name)), None)
    if only is not None:
        return of_zone(call, only, *commands)
    try:
        return Read(cloud.together(*commands))
    except CloudStackError as error:
        down = isinstance(error, Unavailable) and not error.sent
        if down or error.kind not in WORTH_ANOTHER or not partial_success(call) or not len(known):
            raise
    return _one_by_one(call, known.all, commands)


def _one_by_one(call: Call, known: tuple[Place, ...], commands: tuple[Command, ...]) -> Read:
    answers = call.caller.cloud.attempt(*(asked for place in known for asked in _in_zone(place, commands)))
    found = Read([[] for _ in commands])
    for number, place in enumerate(known):
        of_place = answers[number * len(commands) : (number + 1) * len(commands)]
        error = next((answer for answer in of_place if isinstance(answer, Exception)), None)
        if error is None:
            found.answered.append(place)
            for rows, more in zip(found.rows, of_place, strict=True):
                rows.extend(more)
        elif isinstance(error, GceError):
            found.failed.append((place, error))
        else:
            raise error
    return found


def _in_zone(place: Place, commands: tuple[Command, ...]) -> list[Command]:
    return [(command, {**params, "zoneid": place.id}) for command, params in commands]
