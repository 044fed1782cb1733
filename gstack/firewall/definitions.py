"""GCE firewalls and the security groups that define them, both ways.

Apart because lists, the compiler and the workflows must agree on it. A definition's marks hold the firewall exactly as
it was accepted; its rules are there for machines of other tools. The surprising thing: where the rules are not what the
firewall calls for, somebody has changed them, and then they are what is shown and compiled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gstack.firewall.compiler import Reach, Region
from gstack.firewall.grouprules import ANY, GroupRule, group_rules
from gstack.firewall.groups import DEFAULT, Group, firewall_names
from gstack.firewall.intervals import Numbers, addresses
from gstack.firewall.rules import DEFAULT_PRIORITY, EGRESS, INGRESS, PROTOCOL_NAMES, Rule, rule, services
from gstack.translate.names import LONGEST, label

Definition = dict[str, Any]

# Of a group with egress rules the rest is denied, but after everything that a user may have said.
EGRESS_REST = 65534
DIGITS = 6
_NAMES = {str(number): name for name, number in PROTOCOL_NAMES.items() if name in ("esp", "ah")}


@dataclass(frozen=True)
class Firewall:
    """One GCE firewall. ``members`` are GCE's, with ``network`` as a name and without ids and links.

    ``part`` holds the rules of the group that it stands for, where the group stands for several; ``exact`` is False
    where GCE's members say more than the rules do, so that it must not be compiled.
    """

    name: str
    group: Group
    members: Definition
    part: frozenset[GroupRule] | None = None
    exact: bool = True

    @property
    def id(self) -> str:
        """What tells it from others."""
        return f"{self.group.id}/{self.name}"

    @property
    def created(self) -> Any:
        """When it was made, where that is known."""
        return self.members.get("creationTimestamp")


def firewalls(groups: Sequence[Group]) -> list[Firewall]:
    """Every firewall that the groups of one account define."""
    names = firewall_names(groups)
    own = next((group.account for group in groups if group.account), None)
    return [firewall for group in groups if group.listed for firewall in of_group(group, names[group.id], own)]


def of_group(group: Group, name: str, account: str | None) -> list[Firewall]:
    """The firewalls of one group: the one it was made for, or what its rules amount to, or both."""
    content = group.content
    if not content:
        return _derived(group, name, account, _foreign(group, name))
    stored = Firewall(name, group, {**content, "name": name})
    due = definition_rules(content)
    actual = frozenset(group.rules)
    if actual == due:
        return [stored]
    if due:
        return _derived(group, name, account, {**content, "name": name})
    beside = _derived(group, name, account, _foreign(group, name), plain=False)
    return [stored, *beside]


def rules(found: Iterable[Firewall], network: str) -> list[Rule]:
    """What the compiler takes of the firewalls of one network."""
    return [
        rule(firewall.members)
        for firewall in found
        if firewall.exact and firewall.members["network"] == network and not firewall.members.get("disabled")
    ]


def definition_rules(content: Mapping[str, Any]) -> frozenset[GroupRule]:
    """The rules that a definition's group has, for machines of other tools: those of an enabled ingress allow that
    speaks of all instances, or of those tagged with its own name."""
    targets = content.get("targetTags") or [content["name"]]
    speaks = content["name"] in targets and not content.get("targetServiceAccounts")
    local = content.get("destinationRanges")
    if content["direction"] != INGRESS or content.get("disabled") or not content.get("allowed") or not speaks or local:
        return frozenset()
    peers = addresses(content.get("sourceRanges", ()))
    # Entry by entry, so that what was written as two rules stays two.
    found: frozenset[GroupRule] = frozenset()
    for entry in content["allowed"]:
        for ports in [[port] for port in entry.get("ports", ())] or [[]]:
            said = services([{**entry, "ports": ports}])
            found |= group_rules(Reach(_everywhere(said, peers)), INGRESS)[0]
    return found


def _everywhere(said: Numbers, peers: Numbers) -> Region:
    return Region(tuple((interval, peers) for interval in said) if peers else ())


def _foreign(group: Group, name: str) -> Definition:
    """What all firewalls of a group of another tool share. It guards its own machines only: they carry its tag."""
    return {
        "name": name,
        "network": DEFAULT,
        "priority": DEFAULT_PRIORITY,
        "description": group.description,
        "targetTags": [name],
        "disabled": False,
        "logConfig": {"enable": False},
    }


def _derived(group: Group, name: str, account: str | None, shared: Definition, *, plain: bool = True) -> list[Firewall]:
    """A firewall for each set of services that sources share, and one for what a group with egress rules denies."""
    parts = _parts(group.rules)
    found = [_part(group, name, account, shared, rules) for rules in parts]
    if any(entry.direction == EGRESS for entry in group.rules):
        found.append(_egress_rest(group, name, shared))
    if not found and plain:
        found = [Firewall(name, group, _base(shared, INGRESS))]
    if not plain:
        return found
    first, *others = found
    # A definition of ours is written as a whole, whatever somebody put into its group.
    part = first.part if others and not group.content else None
    return [Firewall(name, group, {**first.members, "name": name}, part, first.exact), *others]


def _parts(found: Iterable[GroupRule]) -> list[list[GroupRule]]:
    """The rules of a group sorted by what they open; each part has the same services for all of its peers."""
    by_peer: dict[tuple[str, str, str | None, bool], list[GroupRule]] = {}
    for entry in found:
        by_peer.setdefault((entry.direction, entry.peer, entry.account, _inexact(entry)), []).append(entry)
    parts: dict[tuple[Any, ...], list[GroupRule]] = {}
    for (direction, _, _, inexact), entries in by_peer.items():
        said = tuple(sorted({(entry.protocol, entry.first, entry.last) for entry in entries}))
        # What has no exact form stands alone, so that the rest of the group keeps one.
        group_of = (entries[0].peer, entries[0].account) if direction == EGRESS and entries[0].account else ()
        parts.setdefault((direction == EGRESS, inexact, said, group_of), []).extend(entries)
    return [sorted(parts[key]) for key in sorted(parts, key=str)]


def _inexact(entry: GroupRule) -> bool:
    return entry.protocol == "icmp" and (entry.first, entry.last) != (ANY, ANY)


def _part(group: Group, name: str, account: str | None, shared: Definition, part: list[GroupRule]) -> Firewall:
    direction = part[0].direction
    ranges = sorted({entry.peer for entry in part if entry.account is None})
    named = sorted({(entry.account or "", entry.peer) for entry in part if entry.account is not None})
    members = {
        **_base(shared, direction),
        "name": _suffixed(name, part),
        "allowed": _entries(part),
    }
    notes = _notes(part)
    exact = not notes
    if direction == INGRESS:
        members |= {"sourceRanges": ranges} if ranges else {}
        tags = {_tag(owner, peer, account) for owner, peer in named} | set(shared.get("sourceTags", ()))
        members |= {"sourceTags": sorted(tags)} if tags else {}
        exact = exact and all(owner in ("", account) for owner, _ in named)
    elif named:
        notes.append(f"Egress to the security group {named[0][1]}, which GCE cannot name.")
        members, exact = {**members, "disabled": True, "destinationRanges": ranges}, False
    else:
        members["destinationRanges"] = ranges
    if notes:
        members["description"] = " ".join(filter(None, [shared.get("description", ""), *notes]))
    return Firewall(members["name"], group, members, frozenset(part), exact)


def _base(shared: Definition, direction: str) -> Definition:
    """``shared`` without what the rules say."""
    said = {"allowed", "sourceRanges"} | ({"sourceTags", "sourceServiceAccounts"} if direction == EGRESS else set())
    return {**{key: value for key, value in shared.items() if key not in said}, "direction": direction}


def _notes(part: Sequence[GroupRule]) -> list[str]:
    return [f"Only ICMP type {entry.first}, code {entry.last}." for entry in sorted(set(part)) if _inexact(entry)][:1]


def _tag(owner: str, peer: str, account: str | None) -> str:
    return label(peer if owner in ("", account) else f"{owner}-{peer}")


def _egress_rest(group: Group, name: str, shared: Definition) -> Firewall:
    members = {
        **_base(shared, EGRESS),
        "name": _suffixed(name, "egress rest"),
        "priority": EGRESS_REST,
        "denied": [{"IPProtocol": "all"}],
        "destinationRanges": ["0.0.0.0/0", "::/0"],
    }
    return Firewall(members["name"], group, members, frozenset())


def _entries(part: Iterable[GroupRule]) -> list[dict[str, Any]]:
    ports: dict[str, list[tuple[int, int]]] = {}
    for protocol, first, last in sorted({(entry.protocol, entry.first, entry.last) for entry in part}):
        ports.setdefault(_NAMES.get(protocol, protocol), []).append((first, last))
    return [_entry(protocol, found) for protocol, found in ports.items()]


def _entry(protocol: str, found: list[tuple[int, int]]) -> dict[str, Any]:
    if protocol not in ("tcp", "udp") or (0, 65535) in found:
        return {"IPProtocol": protocol}
    return {
        "IPProtocol": protocol,
        "ports": [str(first) if first == last else f"{first}-{last}" for first, last in found],
    }


def _suffixed(name: str, content: object) -> str:
    """A name that stays the same as long as the content does."""
    text = json.dumps(content, default=str)
    digest = hashlib.blake2b(text.encode()).hexdigest()[:DIGITS]
    return f"{name[: LONGEST - DIGITS - 1].rstrip('-')}-{digest}"
