"""What each group that gstack writes should say, given everything that is there: pure.

Apart from the enforcer, which reads and writes. The surprising thing: egress of one machine turns to deny with the
first egress rule in any of its groups. So as long as nothing denies egress to some machines only, all of it stands in
the network's group; as soon as something does, every machine's own group has its own whole list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from gstack.firewall.compiler import EVERYWHERE, Reach, reach
from gstack.firewall.definitions import firewalls, rules
from gstack.firewall.grouprules import GroupRule, egress_rules, group_rules
from gstack.firewall.groups import INSTANCE, NETWORK, Group, Row, members
from gstack.firewall.rules import EGRESS, INGRESS, Member, Rule

Said = tuple[frozenset[GroupRule], frozenset[str]]

# Of one direction in one group. Cutting 50 addresses out of a range takes 700 rules, and hosts match them one by one.
MOST_RULES = 1000
TOO_MANY_RULES = (
    f"A security group would need more than {MOST_RULES} rules in one direction; the smallest ranges stay closed. "
    "Denials by source tag cost a rule for each bit of each address; source tags cost one for each address of each "
    "instance that has an IPv6 address."
)
NOTHING_SAID: Said = (frozenset(), frozenset())


@dataclass
class Guard:
    """The rules of one network's groups. ``account`` owns the groups that rules name."""

    rules: Sequence[Rule]
    peers: Sequence[Member] = ()
    account: str = ""
    _known: dict[tuple[object, ...], Said] = field(default_factory=dict)

    @cached_property
    def shared_ingress(self) -> Reach:
        """What every member may receive."""
        return reach(self.rules, INGRESS, None, self.peers)

    @cached_property
    def shared_egress(self) -> Reach | None:
        """What every member may send; None where the own groups say all of it."""
        if any(rule.direction == EGRESS and not rule.allow and _some(rule) for rule in self.rules):
            return None
        return reach(self.rules, EGRESS, None)

    def network(self) -> Said:
        """The rules of the network's group, and what cannot be said."""
        coming = _limited(group_rules(self.shared_ingress, INGRESS, self.account))
        if self.shared_egress is None:
            return coming
        return _both(coming, _limited(egress_rules(self.shared_egress.region)))

    def instance(self, member: Member) -> Said:
        """The rules of ``member``'s own group, and what cannot be said."""
        if not any(_some(rule) for rule in self.rules):
            return NOTHING_SAID
        speaking = tuple(index for index, rule in enumerate(self.rules) if rule.targets(member))
        # Machines that the same rules speak of have the same set, unless a rule looks at their own addresses.
        local = any(rule.local is not None for rule in self.rules)
        key = (speaking, member.addresses if local else None)
        if key not in self._known:
            self._known[key] = self._instance(member)
        return self._known[key]

    def _instance(self, member: Member) -> Said:
        mine = reach(self.rules, INGRESS, member, self.peers) - self.shared_ingress
        coming = _limited(group_rules(mine, INGRESS, self.account))
        going = reach(self.rules, EGRESS, member)
        if self.shared_egress is None:
            return _both(coming, _limited(egress_rules(going.region)))
        if self.shared_egress.region == EVERYWHERE:
            return coming
        return _both(coming, _limited(group_rules(going - self.shared_egress, EGRESS)))


@dataclass(frozen=True)
class State:
    """The security groups of an account, and its machines as far as they matter."""

    groups: Sequence[Group]
    machines: Sequence[Row] | None = None

    @cached_property
    def rules(self) -> dict[str, list[Rule]]:
        """The rules of every network that has a guarding group."""
        found = firewalls(self.groups)
        networks = {group.purpose[1] for group in self.groups if group.purpose}
        return {network: rules(found, network) for network in sorted(networks)}

    @property
    def needs_machines(self) -> bool:
        """Whether what groups should say depends on machines: on their tags, accounts or addresses."""
        return any(_some(rule) or _named(rule) for found in self.rules.values() for rule in found)

    def guard(self, network: str) -> tuple[Guard, list[tuple[Member, Group | None]]]:
        """The rules of a network's groups, and its machines with their own groups."""
        found = members(self.groups, self.machines or (), network)
        account = next((group.account for group in self.groups if group.account), None)
        known = self.rules.get(network)
        speaking = rules(firewalls(self.groups), network) if known is None else known
        return Guard(speaking, [member for member, _ in found], account or ""), found


def wanted(state: State) -> tuple[dict[str, frozenset[GroupRule]], frozenset[str]]:
    """The rules that each group gstack writes should have, by its id, and in sentences what cannot be said.

    Own groups without a machine are left alone: theirs is being deployed, or destroyed.
    """
    found: dict[str, frozenset[GroupRule]] = {}
    lost: frozenset[str] = frozenset()
    for network in state.rules:
        guard, machines = state.guard(network)
        own: Mapping[str, Member] = {group.id: member for member, group in machines if group is not None}
        for group in state.groups:
            if group.purpose == (NETWORK, network):
                found[group.id], more = guard.network()
            elif group.id in own:
                found[group.id], more = guard.instance(own[group.id])
            elif group.purpose[:2] == (INSTANCE, network) and group.used and state.machines is None:
                found[group.id], more = NOTHING_SAID
            else:
                continue
            lost |= more
    return found, lost


def leftovers(groups: Iterable[Group], before_ms: int) -> list[Group]:
    """Own groups made before ``before_ms`` that no machine is in (any more)."""
    return [
        group
        for group in groups
        if group.purpose[:1] == (INSTANCE,) and not group.used and 0 < group.content.get("made", 0) < before_ms
    ]


def _some(rule: Rule) -> bool:
    """Whether a rule speaks of some machines only."""
    return rule.targeted or rule.local is not None


def _named(rule: Rule) -> bool:
    return bool(rule.source_tags or rule.source_accounts)


def _both(one: Said, other: Said) -> Said:
    return one[0] | other[0], one[1] | other[1]


def _limited(said: Said) -> Said:
    """The rules of one direction, cut to MOST_RULES: groups and wide ranges are kept, the smallest ranges go."""
    found, lost = said
    if len(found) <= MOST_RULES:
        return said
    ordered = sorted(found, key=lambda rule: (rule.account is None and _bits(rule.peer), rule))
    return frozenset(ordered[:MOST_RULES]), lost | {TOO_MANY_RULES}


def _bits(cidr: str) -> int:
    return int(cidr.partition("/")[2])
