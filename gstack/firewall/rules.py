"""GCE's firewall rules and the instances they speak of, as the compiler takes them.

Apart from the compiler so that whoever makes rules (from GCE bodies, from security groups) needs nothing
else. The surprising thing: a direction's "peer" is the source of ingress and the destination of egress; GCE
also lets a rule name the instance's own addresses, which are called ``local`` here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gstack.firewall.intervals import ADDRESSES, NOTHING, SERVICES, Numbers, addresses, protocol

INGRESS, EGRESS = "INGRESS", "EGRESS"
TCP, UDP, ICMP, ICMP6, SCTP = 6, 17, 1, 58, 132
# GCE's names; ipip is what Calico and kops open for IP-in-IP, protocol 4.
# https://cloud.google.com/firewall/docs/firewalls#protocols_and_ports
PROTOCOL_NAMES = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "esp": 50, "ah": 51, "sctp": SCTP, "ipip": 4}
WITH_PORTS = (TCP, UDP, SCTP)
DEFAULT_PRIORITY = 1000


@dataclass(frozen=True)
class Rule:
    """One enabled firewall. ``peers`` are the ranges of the other side, ``local`` those of this side (None:
    any).

    ``source_tags`` and ``source_accounts`` widen ``peers`` by the instances that carry one of them;
    ``target_tags`` and ``target_accounts`` limit the rule to instances that do.
    """

    name: str
    direction: str
    allow: bool
    priority: int = DEFAULT_PRIORITY
    services: Numbers = SERVICES
    peers: Numbers = ADDRESSES
    local: Numbers | None = None
    source_tags: frozenset[str] = frozenset()
    source_accounts: frozenset[str] = frozenset()
    target_tags: frozenset[str] = frozenset()
    target_accounts: frozenset[str] = frozenset()

    @property
    def targeted(self) -> bool:
        """Whether it speaks of some instances only."""
        return bool(self.target_tags or self.target_accounts)

    def targets(self, member: Member) -> bool:
        """Whether it speaks of ``member``."""
        return not self.targeted or bool(self.target_tags & member.tags or self.target_accounts & member.accounts)

    def names_source(self, member: Member) -> bool:
        """Whether ``member`` is one of its sources by tag or service account."""
        return bool(self.source_tags & member.tags or self.source_accounts & member.accounts)


@dataclass(frozen=True)
class Member:
    """An instance of one network. ``group`` is the security group of its own by which rules can name it, if
    it has one; ``addresses`` are single addresses, empty while they are not known."""

    key: str
    tags: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    addresses: Numbers = field(default=NOTHING)
    group: str | None = None


def protocol_number(text: str) -> int | None:
    """The number of a protocol as GCE writes it (``tcp``, ``6``, ``all``); None for ``all``. ValueError for
    others."""
    word = text.strip().lower()
    if word == "all":
        return None
    if word in PROTOCOL_NAMES:
        return PROTOCOL_NAMES[word]
    if word.isascii() and word.isdigit() and int(word) < 256:
        return int(word)
    raise ValueError(text)


def port_range(text: str) -> tuple[int, int]:
    """First and last of GCE's ``22`` or ``8000-8080``. ValueError for anything else."""
    first, dash, last = text.partition("-")
    if not all(part.isascii() and part.isdigit() for part in ((first, last) if dash else (first,))):
        raise ValueError(text)
    low, high = int(first), int(last if dash else first)
    if not low <= high <= 65535:
        raise ValueError(text)
    return low, high


def services(entries: Iterable[Mapping[str, Any]]) -> Numbers:
    """The services of GCE's ``allowed`` or ``denied``. ValueError for what cannot be read."""
    found = NOTHING
    for entry in entries:
        number = protocol_number(entry["IPProtocol"])
        if number is None:
            return SERVICES
        ports = [port_range(text) for text in entry.get("ports", ())] or [(0, 65535)]
        for first, last in ports:
            found |= protocol(number, first, last)
    return found


def rule(firewall: Mapping[str, Any]) -> Rule:
    """The rule of a GCE firewall with its defaults filled in."""
    ingress = firewall["direction"] == INGRESS
    sources, destinations = firewall.get("sourceRanges"), firewall.get("destinationRanges")
    peers, local = (sources, destinations) if ingress else (destinations, sources)
    return Rule(
        name=firewall["name"],
        direction=firewall["direction"],
        allow=not firewall.get("denied"),
        priority=firewall["priority"],
        services=services(firewall.get("allowed") or firewall.get("denied") or ()),
        peers=addresses(peers or ()),
        local=addresses(local) if local else None,
        source_tags=frozenset(firewall.get("sourceTags", ())),
        source_accounts=frozenset(firewall.get("sourceServiceAccounts", ())),
        target_tags=frozenset(firewall.get("targetTags", ())),
        target_accounts=frozenset(firewall.get("targetServiceAccounts", ())),
    )
