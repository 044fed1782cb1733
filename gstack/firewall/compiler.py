"""All firewalls of a network and one instance in, exactly what is allowed out: pure interval arithmetic.

Apart from everything that knows CloudStack, so that it can be held against a packet oracle. The surprising
thing: what every member of a network gets is compiled like an instance that no targeted allow but every
targeted deny speaks of. Whatever that instance may do, each real one may, so the rest of its set is a plain
difference.

Source of the meaning: https://cloud.google.com/firewall/docs/firewalls (priorities, implied rules).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from gstack.firewall.intervals import (
    ADDRESSES,
    NOTHING,
    PORTS,
    PROTOCOLS,
    SERVICES,
    V4_LINE,
    V6_LINE,
    Interval,
    Numbers,
)
from gstack.firewall.rules import EGRESS, Member, Rule

IPV4, IPV6 = Numbers((V4_LINE,)), Numbers((V6_LINE,))


@dataclass(frozen=True)
class Region:
    """Allowed traffic: for each interval of services the addresses of the other side. Intervals are disjoint
    and sorted, none has an empty set, neighbours differ."""

    cells: tuple[tuple[Interval, Numbers], ...] = ()

    def at(self, service: int) -> Numbers:
        """The addresses that ``service`` is allowed with."""
        index = bisect_right(self.cells, service, key=lambda cell: cell[0][0]) - 1
        if index >= 0 and service <= self.cells[index][0][1]:
            return self.cells[index][1]
        return NOTHING

    def combine(self, other: Region, how: Callable[[Numbers, Numbers], Numbers]) -> Region:
        """``how`` of both sets of addresses, service by service."""
        edges = _edges([interval for interval, _ in self.cells] + [interval for interval, _ in other.cells])
        return region((cell, how(self.at(cell[0]), other.at(cell[0]))) for cell in edges)

    def __sub__(self, other: Region) -> Region:
        return self.combine(other, lambda mine, others: mine - others)

    def services_with(self, found: Numbers) -> Numbers:
        """The services that are allowed with every one of ``found``."""
        return Numbers.of(interval for interval, peers in self.cells if not found - peers)


NOWHERE = Region()
EVERYWHERE = Region(((SERVICES.intervals[0], ADDRESSES),))


@dataclass(frozen=True)
class Reach:
    """What one side may do: a region by address, and by the own groups of peers what that region lacks."""

    region: Region = NOWHERE
    groups: Mapping[str, Numbers] = field(default_factory=dict)

    def __sub__(self, other: Reach) -> Reach:
        left = {name: found - other.groups.get(name, NOTHING) for name, found in self.groups.items()}
        return Reach(self.region - other.region, {name: found for name, found in left.items() if found})


@dataclass(frozen=True)
class Match:
    """A rule as it meets an instance, or some of which not all is known."""

    priority: int
    allow: bool
    services: Numbers
    peers: Numbers


def reach(rules: Iterable[Rule], direction: str, member: Member | None, peers: Sequence[Member] = ()) -> Reach:
    """What ``member`` may receive (INGRESS) or send (EGRESS); with None, what every instance of the network
    may.

    ``peers`` are the instances of the network. Sources by tag come out as the peers' groups, or as addresses
    where a peer has none that means just it. A peer whose address is unknown is not let in by name.
    """
    held = [(rule, seen) for rule in rules if (seen := _seen(rule, direction, member))]
    start = EVERYWHERE if direction == EGRESS else NOWHERE
    named = [peer for peer in peers if any(rule.names_source(peer) for rule, _ in held)]
    matches = [_match(rule, seen, named) for rule, seen in held]
    full = _decide(matches, start)
    grouped = [peer for peer in named if _by_group(peer)]
    if not any(rule.allow and rule.names_source(peer) for rule, _ in held for peer in grouped):
        return Reach(full)
    others = [peer for peer in named if not _by_group(peer)]
    by_range = _decide(
        [
            _match(rule, seen, others) if rule.allow else match
            for (rule, seen), match in zip(held, matches, strict=True)
        ],
        start,
    )
    # What a peer may use, whichever of its addresses it sends from.
    wanted = {peer.key: full.services_with(peer.addresses) for peer in grouped}
    left = {str(peer.group): wanted[peer.key] - by_range.services_with(peer.addresses) for peer in grouped}
    groups = {name: services for name, services in left.items() if services}
    return Reach(_with_rest(full, by_range, grouped, wanted), groups)


def ordered(rules: Iterable[Rule], direction: str, peers: Sequence[Member] = ()) -> list[Match]:
    """The rules of a direction, those that win first, for whoever can say them in order and denials too; as
    :func:`reach` with None, targeted allows are left out and targeted denials are not.
    """
    held = [(rule, seen) for rule in rules if (seen := _seen(rule, direction, None))]
    return _in_order(_match(rule, seen, peers) for rule, seen in held)


def _by_group(peer: Member) -> bool:
    """Whether a rule that names a peer's group means just the peer. Of a member that has an IPv6 address CloudStack
    lets in the whole /64 around it (SecurityGroupManagerImpl2.generateRulesForVM), and an address that is not known
    yet may be one."""
    return peer.group is not None and bool(peer.addresses) and not peer.addresses & IPV6


def _seen(rule: Rule, direction: str, member: Member | None) -> Numbers | None:
    """The addresses of the other side with which ``rule`` can speak of ``member``; None if it does not at
    all."""
    if rule.direction != direction:
        return None
    if member is None:
        unsure = rule.targeted or rule.local is not None
        return None if rule.allow and unsure else ADDRESSES
    if not rule.targets(member):
        return None
    if rule.local is None:
        return ADDRESSES
    if not member.addresses:
        return None if rule.allow else ADDRESSES
    found = NOTHING
    for family in (IPV4, IPV6):
        # Both ends of a packet are of one family. Of several own addresses the packet's is not known.
        own = member.addresses & family
        within = own & rule.local
        if within and (not rule.allow or not own - rule.local):
            found |= family
    return found or None


def _match(rule: Rule, seen: Numbers, sources: Sequence[Member]) -> Match:
    peers = rule.peers
    named = [interval for peer in sources if rule.names_source(peer) for interval in peer.addresses]
    if named:
        peers = peers | Numbers.of(named)
    return Match(rule.priority, rule.allow, rule.services, peers & seen)


def _decide(matches: Sequence[Match], start: Region) -> Region:
    """The first match of each packet wins: lowest number first, denials before allows. ``start`` is last."""
    lined_up = _in_order(matches)
    implied = ADDRESSES if start.cells else NOTHING
    known: dict[tuple[int, ...], Numbers] = {}
    cells: list[tuple[Interval, Numbers]] = []
    for cell in _edges([interval for match in lined_up for interval in match.services]):
        meeting = tuple(index for index, match in enumerate(lined_up) if cell[0] in match.services)
        if meeting not in known:
            known[meeting] = _winners([lined_up[index] for index in meeting], implied)
        cells.append((cell, known[meeting]))
    return region(cells)


def _in_order(matches: Iterable[Match]) -> list[Match]:
    return sorted(matches, key=lambda match: (match.priority, match.allow))


def _winners(ordered: Sequence[Match], implied: Numbers) -> Numbers:
    open_, allowed = ADDRESSES, NOTHING
    for match in ordered:
        if match.allow:
            allowed |= open_ & match.peers
        open_ -= match.peers
    return allowed | (open_ & implied)


def _with_rest(full: Region, by_range: Region, grouped: Sequence[Member], wanted: Mapping[str, Numbers]) -> Region:
    """``by_range`` and whatever of ``full`` the groups in ``wanted`` leave out: single addresses of peers
    that have several, not all of which may do the same."""
    cells = []
    # Cells as fine as everything that is compared, so that one service stands for its cell.
    cuts = [cell for cell, _ in (*full.cells, *by_range.cells)]
    edges = _edges([*cuts, *(interval for services in wanted.values() for interval in services)])
    for cell in edges:
        missing = full.at(cell[0]) - by_range.at(cell[0])
        for peer in grouped if missing else ():
            if cell[0] in wanted[peer.key]:
                missing -= peer.addresses
        cells.append((cell, by_range.at(cell[0]) | missing))
    return region(cells)


def _edges(intervals: Iterable[Interval]) -> list[Interval]:
    """The line of services cut wherever one of ``intervals`` begins or ends."""
    cuts = {0, PROTOCOLS * PORTS}
    for low, high in intervals:
        cuts |= {low, high + 1}
    ordered = sorted(cuts)
    return [(low, high - 1) for low, high in pairwise(ordered)]


def region(cells: Iterable[tuple[Interval, Numbers]]) -> Region:
    """The region of disjoint cells in their order; neighbours that are alike become one."""
    merged: list[tuple[Interval, Numbers]] = []
    for (low, high), found in cells:
        if not found:
            continue
        if merged and merged[-1][0][1] + 1 == low and merged[-1][1] == found:
            merged[-1] = ((merged[-1][0][0], high), found)
        else:
            merged.append(((low, high), found))
    return Region(tuple(merged))
