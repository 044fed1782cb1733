"""Few rectangles of ports and CIDRs that together are exactly a set of allowed traffic of one protocol.

Apart because it is geometry, testable without firewalls. The surprising thing: rectangles may overlap, so
each one is stretched over all ports where its CIDR is allowed; that gives back ``tcp:20-30 from 10.0.0.0/8``
in one piece although another rule opens port 22 to everybody.
"""

from __future__ import annotations

from collections.abc import Sequence

from gstack.firewall.intervals import NOTHING, Interval, Network, Numbers, block, cidrs

# A column: an interval of ports and the addresses that all of them are allowed with.
Column = tuple[Interval, Numbers]
Rectangle = tuple[Interval, Network]

# Above this many candidates the search for superfluous ones costs more than it saves.
MOST_PRUNED = 400


def rectangles(columns: Sequence[Column], covered: Numbers = NOTHING) -> list[Rectangle]:
    """Rectangles whose union, with ``covered`` on all ports, is exactly ``columns`` with it.

    ``columns`` are disjoint, sorted, none empty; ``covered`` may be used but need not be named again. No
    rectangle can be left out, unless there are more than MOST_PRUNED. Widest first.
    """
    columns = _whole(columns)
    found: dict[tuple[int, int, Network], None] = {}
    for index, (_, addresses) in enumerate(columns):
        for network in cidrs(addresses):
            place = block(network)
            if not covered.covers(place):
                first, last = _stretched(columns, index, place)
                found[(first, last, network)] = None
    ordered = sorted(found, key=lambda key: (_size(columns, key), str(key[2])))
    if len(ordered) <= MOST_PRUNED:
        ordered = _needed(ordered, covered)
    return [((columns[first][0][0], columns[last][0][1]), network) for first, last, network in reversed(ordered)]


def _whole(columns: Sequence[Column]) -> list[Column]:
    """``columns`` with empty ones between those that do not touch, so that stretching stops there."""
    found: list[Column] = []
    for (low, high), addresses in columns:
        if found and found[-1][0][1] + 1 < low:
            found.append(((found[-1][0][1] + 1, low - 1), NOTHING))
        found.append(((low, high), addresses))
    return found


def _stretched(columns: Sequence[Column], index: int, place: Interval) -> tuple[int, int]:
    first = last = index
    while first > 0 and columns[first - 1][1].covers(place):
        first -= 1
    while last + 1 < len(columns) and columns[last + 1][1].covers(place):
        last += 1
    return first, last


def _size(columns: Sequence[Column], key: tuple[int, int, Network]) -> int:
    first, last, network = key
    return (columns[last][0][1] - columns[first][0][0] + 1) * network.num_addresses


def _needed(candidates: list[tuple[int, int, Network]], covered: Numbers) -> list[tuple[int, int, Network]]:
    """``candidates`` without those that the others make superfluous, smallest tried first."""
    kept = list(candidates)
    for candidate in candidates:
        others = [other for other in kept if other != candidate]
        if _superfluous(candidate, others, covered):
            kept = others
    return kept


def _superfluous(
    candidate: tuple[int, int, Network], others: Sequence[tuple[int, int, Network]], covered: Numbers
) -> bool:
    first, last, network = candidate
    place = block(network)
    near = [o for o in others if o[0] <= last and o[1] >= first and _overlap(block(o[2]), place)]
    left = (Numbers((place,)) - covered).intervals
    for column in range(first, last + 1):
        there = Numbers.of(block(other) for start, end, other in near if start <= column <= end)
        if any(not there.covers(interval) for interval in left):
            return False
    return True


def _overlap(one: Interval, other: Interval) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
