"""What the access list of a VPC's tier can say: GCE's rules in their order, denials too.

Apart from the enforcer, and the counterpart of grouprules.py and natrules.py. The surprising thing: this is the only
one of CloudStack's firewalls with an order, so a rule becomes an item whose number tells its priority, and nothing has
to be cut out of anything. What CloudStack cannot say comes out narrower than asked, never wider: ports start at 1, and
protocols given as a number have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gstack.firewall.compiler import IPV4, Match
from gstack.firewall.grouprules import ALL, ANY, LAST, NAMES, PARTLY, PORT_ZERO, PROTOCOL_ZERO
from gstack.firewall.intervals import PORTS, SERVICES, Numbers, cidrs
from gstack.firewall.rules import EGRESS, INGRESS, TCP, UDP

IMPLIED = 65536  # the priority below all that users may give
MOST_CIDRS = 200
MOST_ITEMS = 1000
TOO_MANY = f"The access list of a VPC's tier would need more than {MOST_ITEMS} items; what comes last stays closed."

# Where an item stands among those of one priority: denials, then what must come before a denial of port 0, that denial,
# and all other allows.
DENY, FIRST, ZERO, ALLOW = range(4)
PLACES = 4096  # items of one rank; the largest number stays below CloudStack's 2^31


@dataclass(frozen=True, order=True)
class Item:
    """One item. ``rank`` is its priority times four and its place among those of that priority. ``first`` and ``last``
    are ports; both 0 for all, as for protocols without."""

    rank: int
    direction: str
    allow: bool
    protocol: str
    first: int
    last: int
    cidrs: tuple[str, ...]


def items(matches: Sequence[Match], direction: str) -> tuple[list[Item], set[str]]:
    """The items that say ``matches`` (of :func:`gstack.firewall.compiler.ordered`) of a direction and what it implies,
    in order; and in sentences what they cannot.

    Nothing comes in unless an item allows it. What goes out is said to the end: without an egress item all may.
    """
    found: list[Item] = []
    lost: set[str] = set()
    zero: set[int] = set()  # protocols whose port 0 was denied, which no item can say
    implied = [Match(IMPLIED, True, SERVICES, IPV4)] if direction == EGRESS else []
    for match in (*matches, *implied):
        for ranges in _chunks(match.peers & IPV4):
            found += _said(match, direction, ranges, zero, lost)
    found.sort()
    while found and direction == INGRESS and not found[-1].allow:
        found.pop()
    if len(found) > MOST_ITEMS:
        lost.add(TOO_MANY)
        rest = Item(IMPLIED * 4, direction, False, ALL, 0, 0, ("0.0.0.0/0",))
        found = [*found[: MOST_ITEMS - 1], rest]
    return found, lost


def _chunks(found: Numbers) -> Iterator[tuple[str, ...]]:
    texts = sorted(map(str, cidrs(found)))
    for start in range(0, len(texts), MOST_CIDRS):
        yield tuple(texts[start : start + MOST_CIDRS])


def _said(match: Match, direction: str, ranges: tuple[str, ...], zero: set[int], lost: set[str]) -> Iterator[Item]:
    rank = match.priority * 4
    base = Item(rank + (ALLOW if match.allow else DENY), direction, match.allow, ALL, 0, 0, ranges)
    if match.services == SERVICES:
        if match.allow:
            for number in sorted(zero):
                yield from _without_zero(base, rank, number, lost)
        yield base
        return
    for number, first, last in _pieces(match.services):
        whole = (first, last) == (0, LAST)
        one = replace(base, protocol=NAMES.get(number, str(number)))
        if number == 0 and match.allow:
            lost.add(PROTOCOL_ZERO)
        elif whole and match.allow and number in zero:
            yield from _without_zero(base, rank, number, lost)
        elif whole:
            yield one
        elif number not in (TCP, UDP):
            lost.add(PARTLY.format(number))
            if not match.allow:
                yield one
        else:
            if first == 0 and match.allow:
                lost.add(PORT_ZERO)
            elif first == 0:
                zero.add(number)
            if last:
                yield replace(one, first=max(first, 1), last=last)


def _without_zero(base: Item, rank: int, number: int, lost: set[str]) -> Iterator[Item]:
    """All ports of a protocol but 0, and before what allows more a denial of the rest of it."""
    lost.add(PORT_ZERO)
    one = replace(base, protocol=NAMES[number])
    yield replace(one, rank=rank + FIRST, first=1, last=LAST)
    yield replace(one, rank=rank + ZERO, allow=False)


def _pieces(services: Numbers) -> Iterator[tuple[int, int, int]]:
    """``services`` as protocols with their first and last port."""
    for low, high in services:
        for number in range(low // PORTS, high // PORTS + 1):
            yield number, max(low - number * PORTS, 0), min(high - number * PORTS, LAST)


def from_row(row: Mapping[str, Any]) -> tuple[Item, int]:
    """The item that a row of listNetworkACLs is, and its number."""
    number = int(row["number"])
    ranges = tuple(sorted(part.strip() for part in str(row.get("cidrlist") or "").split(",") if part.strip()))
    protocol = str(row["protocol"]).lower()
    first, last = int(row.get("startport") or 0), int(row.get("endport") or 0)
    if protocol == "icmp" and (row.get("icmptype", ANY), row.get("icmpcode", ANY)) != (ANY, ANY):
        first, last = int(row["icmptype"]) + 1, int(row["icmpcode"]) + 1  # none of ours
    direction = INGRESS if str(row["traffictype"]).lower() == "ingress" else EGRESS
    allow = str(row["action"]).lower() == "allow"
    return Item((number - 1) // PLACES, direction, allow, protocol, first, last, ranges), number


def creation(item: Item, aclid: str, number: int) -> tuple[str, dict[str, Any]]:
    """The command that makes an item."""
    params: dict[str, Any] = {
        "aclid": aclid,
        "number": number,
        "protocol": item.protocol,
        "traffictype": item.direction.capitalize(),
        "action": "Allow" if item.allow else "Deny",
        "cidrlist": list(item.cidrs),
    }
    if item.first:
        params |= {"startport": item.first, "endport": item.last}
    return "createNetworkACL", params


def numbered(wanted: Iterable[Item], taken: Iterable[int]) -> list[tuple[Item, int]]:
    """A free number for each of ``wanted``, which tells its rank."""
    used = set(taken)
    found = []
    for item in sorted(wanted):
        start = item.rank * PLACES + 1
        number = next(number for number in range(start, start + PLACES) if number not in used)
        used.add(number)
        found.append((item, number))
    return found
