"""Sets of whole numbers as sorted intervals, and the two lines that firewalls are drawn on: addresses and
services.

Apart because all of the compiler is arithmetic on these. The surprising thing: IPv4 and IPv6 share one line,
IPv6 behind IPv4, and so do all protocols: protocol p and port n are the number p * 65536 + n, so one set
holds both.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

Network = IPv4Network | IPv6Network
Interval = tuple[int, int]

V6 = 1 << 32  # where IPv6 begins on the line of addresses
PORTS = 1 << 16
PROTOCOLS = 256


@dataclass(frozen=True)
class Numbers:
    """A set of integers: disjoint intervals, both ends included, sorted, never adjacent."""

    intervals: tuple[Interval, ...] = ()

    @classmethod
    def of(cls, intervals: Iterable[Interval]) -> Numbers:
        """The union of ``intervals``, in any order, overlapping or not."""
        merged: list[Interval] = []
        for low, high in sorted(intervals):
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return cls(tuple(merged))

    def __bool__(self) -> bool:
        return bool(self.intervals)

    def __iter__(self) -> Iterator[Interval]:
        return iter(self.intervals)

    def __or__(self, other: Numbers) -> Numbers:
        if not (self and other):
            return self or other
        return Numbers.of((*self.intervals, *other.intervals))

    def __and__(self, other: Numbers) -> Numbers:
        found: list[Interval] = []
        mine, others = 0, 0
        while mine < len(self.intervals) and others < len(other.intervals):
            (low, high), (first, last) = self.intervals[mine], other.intervals[others]
            if max(low, first) <= min(high, last):
                found.append((max(low, first), min(high, last)))
            if high < last:
                mine += 1
            else:
                others += 1
        return Numbers(tuple(found))

    def __sub__(self, other: Numbers) -> Numbers:
        found: list[Interval] = []
        start = 0
        for low, high in self.intervals:
            while start < len(other.intervals) and other.intervals[start][1] < low:
                start += 1
            at = start
            while at < len(other.intervals) and other.intervals[at][0] <= high:
                first, last = other.intervals[at]
                if low < first:
                    found.append((low, first - 1))
                low = last + 1
                at += 1
            if low <= high:
                found.append((low, high))
        return Numbers(tuple(found))

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self.intervals, (number, V6 << 128)) - 1
        return at >= 0 and number <= self.intervals[at][1]

    def covers(self, interval: Interval) -> bool:
        """Whether the whole of ``interval`` is in the set."""
        at = bisect_right(self.intervals, (interval[0], V6 << 128)) - 1
        return at >= 0 and interval[1] <= self.intervals[at][1]


NOTHING = Numbers()
V4_LINE: Interval = (0, V6 - 1)
V6_LINE: Interval = (V6, V6 + (1 << 128) - 1)
ADDRESSES = Numbers((V4_LINE[:1] + V6_LINE[1:],))
SERVICES = Numbers(((0, PROTOCOLS * PORTS - 1),))


def block(network: Network) -> Interval:
    """Where a CIDR lies on the line of addresses."""
    base = V6 if network.version == 6 else 0
    return base + int(network.network_address), base + int(network.broadcast_address)


def addresses(ranges: Iterable[str]) -> Numbers:
    """The addresses of CIDR ranges and of single addresses; host bits are ignored. ValueError for anything
    else."""
    return Numbers.of(block(ip_network(text, strict=False)) for text in ranges)


def cidrs(numbers: Numbers) -> list[Network]:
    """The fewest CIDR ranges that are exactly ``numbers``, IPv4 first."""
    found: list[Network] = []
    for line, version in ((V4_LINE, IPv4Network), (V6_LINE, IPv6Network)):
        bits = 32 if version is IPv4Network else 128
        for low, high in numbers & Numbers((line,)):
            found += (version((start, bits - size)) for start, size in _blocks(low - line[0], high - line[0]))
    return found


def protocol(number: int, first: int = 0, last: int = PORTS - 1) -> Numbers:
    """Ports ``first`` to ``last`` of a protocol on the line of services."""
    return Numbers(((number * PORTS + first, number * PORTS + last),))


def _blocks(low: int, high: int) -> Iterator[tuple[int, int]]:
    """``low`` to ``high`` as aligned blocks: start and the number of free bits."""
    while low <= high:
        size = (high - low + 1).bit_length() - 1
        if low:
            size = min(size, (low & -low).bit_length() - 1)
        yield low, size
        low += 1 << size
