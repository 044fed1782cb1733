"""The compiler and its rules for security groups, held packet by packet against a brute-force reading of
GCE's rules.

Two referees stand here: what GCE would do with a packet, and what CloudStack does with it given a group's
rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gstack.firewall import grouprules
from gstack.firewall.compiler import EVERYWHERE, NOWHERE, Reach, Region, reach
from gstack.firewall.grouprules import SENTINEL, GroupRule, egress_rules, group_rules
from gstack.firewall.intervals import PORTS, Numbers, addresses, block
from gstack.firewall.rules import EGRESS, INGRESS, Member, Rule, rule

ICMP, TCP, UDP, ICMP6, SCTP = 1, 6, 17, 58, 132


@dataclass(frozen=True)
class Packet:
    """``peer`` is the other side's address. Ports only mean something for protocols that have them."""

    peer: str
    protocol: int
    port: int


# --- the referees


def gce_allows(firewalls: list[dict[str, Any]], packet: Packet, me: Machine, others: list[Machine], way: str) -> bool:
    """The matching rule of the lowest number wins, a denial among equals, or the implied one."""
    sender = next((other for other in others if packet.peer in other.addresses), None)
    winner = min(
        (
            (firewall["priority"], "allowed" in firewall)
            for firewall in firewalls
            if firewall["direction"] == way and _matches(firewall, packet, me, sender, way)
        ),
        default=None,
    )
    return winner[1] if winner else way == EGRESS


def _matches(firewall: dict[str, Any], packet: Packet, me: Machine, sender: Machine | None, way: str) -> bool:
    tags = firewall.get("targetTags")
    if tags and not set(tags) & set(me.tags):
        return False
    other, own = ("sourceRanges", "destinationRanges")[:: 1 if way == INGRESS else -1]
    from_range = any(_within(packet.peer, text) for text in firewall.get(other, ()))
    from_tag = sender is not None and bool(set(firewall.get("sourceTags", ())) & set(sender.tags))
    if not (from_range or from_tag):
        return False
    if firewall.get(own) and not any(
        _within(mine, text) for mine in me.addresses if _same_family(mine, packet.peer) for text in firewall[own]
    ):
        return False
    return any(_serves(entry, packet) for entry in firewall.get("allowed") or firewall["denied"])


def _serves(entry: dict[str, Any], packet: Packet) -> bool:
    numbers = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "sctp": SCTP, "esp": 50}
    name = entry["IPProtocol"]
    if name != "all" and numbers.get(name, -1) != packet.protocol and name != str(packet.protocol):
        return False
    ranges = [text.split("-") for text in entry.get("ports", ())]
    return not ranges or any(int(ends[0]) <= packet.port <= int(ends[-1]) for ends in ranges)


def cloudstack_allows(rules: frozenset[GroupRule], packet: Packet, others: list[Machine], way: str) -> bool:
    """As recorded: no egress rule is all egress; a number has no ports; port 0 alone is all ports."""
    rules = frozenset(entry for entry in rules if entry.direction == way)
    if way == EGRESS and not rules:
        return True
    return any(_group_rule_matches(entry, packet, others) for entry in rules)


def _group_rule_matches(entry: GroupRule, packet: Packet, others: list[Machine]) -> bool:
    if entry.account is not None:
        # A group is its members' IPv4 addresses, and of IPv6 ones the /64 around each.
        members = [other for other in others if other.group == entry.peer]
        ranges = [f"{text}/64" if ":" in text else f"{text}/32" for other in members for text in other.addresses]
        if not any(_within(packet.peer, text) for text in ranges):
            return False
    elif not _within(packet.peer, entry.peer):
        return False
    if entry.protocol in ("all", "0"):
        return True
    if entry.protocol in ("tcp", "udp"):
        last = 65535 if (entry.first, entry.last) == (0, 0) else entry.last
        number = TCP if entry.protocol == "tcp" else UDP
        return packet.protocol == number and entry.first <= packet.port <= last
    if entry.protocol == "icmp":
        return packet.protocol == (ICMP if ":" not in packet.peer else ICMP6)
    return packet.protocol == int(entry.protocol)


def _within(address: str, text: str) -> bool:
    network = ip_network(text, strict=False)
    return ip_address(address).version == network.version and ip_address(address) in network


def _same_family(one: str, other: str) -> bool:
    return (":" in one) == (":" in other)


# --- the worlds they are asked about


@dataclass(frozen=True)
class Machine:
    tags: tuple[str, ...]
    addresses: tuple[str, ...]
    group: str | None

    @property
    def member(self) -> Member:
        return Member(self.addresses[0], frozenset(self.tags), frozenset(), addresses(self.addresses), self.group)


TAGS = ("web", "db")
HOSTS = ("10.0.0.1", "10.0.0.2", "10.0.1.1")
HOSTS6 = ("2001:db8::1", "2001:db8::2", "2001:db8::3")
STRANGERS = ("9.9.9.9", "10.0.0.3", "10.0.1.2", "2001:db8::9", "255.255.255.255")
RANGES = (
    "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/31", "10.0.0.2/31", "10.0.0.0/30", "10.0.0.1/32", "10.0.1.0/24",
    "::/0", "2001:db8::/32", "2001:db8::2/127",
)  # fmt: skip
PORT_WORDS = ("22", "0", "20-30", "25-40", "80", "0-65535", "1-79", "65535")
PORT_NUMBERS = (0, 1, 22, 25, 31, 79, 80, 65535)
PROTOCOL_WORDS = ("tcp", "udp", "icmp", "esp", "sctp", "all", "6", "47", "0", "58")
PACKET_PROTOCOLS = (0, ICMP, TCP, UDP, 47, 50, ICMP6, SCTP, 200)


@st.composite
def _entries(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(PROTOCOL_WORDS))
    ports = draw(st.lists(st.sampled_from(PORT_WORDS), max_size=2)) if name in ("tcp", "udp", "sctp", "6") else []
    return {"IPProtocol": name} | ({"ports": ports} if ports else {})


def _some(values: tuple[str, ...], least: int = 0) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=2, unique=True)


@st.composite
def _firewalls(draw: st.DrawFn) -> dict[str, Any]:
    way = draw(st.sampled_from((INGRESS, INGRESS, EGRESS)))
    found: dict[str, Any] = {
        "name": "fw",
        "direction": way,
        "priority": draw(st.integers(0, 3)),
        draw(st.sampled_from(("allowed", "denied"))): draw(st.lists(_entries(), min_size=1, max_size=2)),
        "targetTags": draw(_some(TAGS)),
    }
    peers, own = ("sourceRanges", "destinationRanges")[:: 1 if way == INGRESS else -1]
    tags = draw(_some(TAGS)) if way == INGRESS else []
    found[peers] = draw(_some(RANGES, least=0 if tags else 1))
    found["sourceTags"] = tags
    found[own] = draw(st.one_of(st.just([]), _some(RANGES)))
    return {key: value for key, value in found.items() if value != []}


@st.composite
def _machines(draw: st.DrawFn) -> list[Machine]:
    found = []
    for index, host in enumerate(HOSTS):
        both = draw(st.booleans())
        found.append(
            Machine(
                tuple(draw(_some(TAGS))),
                (host, HOSTS6[index]) if both else (host,),
                draw(st.sampled_from((f"own-{index}", f"own-{index}", None))),
            )
        )
    return found


WORLDS = st.tuples(st.lists(_firewalls(), max_size=5), _machines())


def _packets() -> list[Packet]:
    return [
        Packet(peer, number, port)
        for peer in (*HOSTS, *HOSTS6, *STRANGERS)
        for number in PACKET_PROTOCOLS
        for port in (PORT_NUMBERS if number in (TCP, SCTP) else (22,) if number == UDP else (0,))
        # To CloudStack's hosts icmp over IPv6 is ICMPv6; ICMP itself does not occur there.
        if not (number == ICMP and ":" in peer)
    ]


PACKETS = _packets()


def _in_region(found: Region, packet: Packet) -> bool:
    return block(ip_network(packet.peer))[0] in found.at(packet.protocol * PORTS + packet.port)


def _in_reach(found: Reach, packet: Packet, others: list[Machine]) -> bool:
    service = packet.protocol * PORTS + packet.port
    by_group = any(
        packet.peer in other.addresses and service in found.groups.get(str(other.group), Numbers()) for other in others
    )
    return by_group or _in_region(found.region, packet)


# --- what must hold


@settings(deadline=None, max_examples=40)
@given(WORLDS)
def test_what_is_compiled_is_what_gce_allows(world: tuple[list[dict[str, Any]], list[Machine]]) -> None:
    firewalls, machines = world
    rules, members = [rule(entry) for entry in firewalls], [machine.member for machine in machines]
    me = machines[0]
    for way in (INGRESS, EGRESS):
        found = reach(rules, way, me.member, members)
        for packet in PACKETS:
            assert _in_reach(found, packet, machines) == gce_allows(firewalls, packet, me, machines, way), (
                way,
                packet,
            )


@settings(deadline=None, max_examples=40)
@given(WORLDS)
def test_what_every_member_gets_is_never_more_than_each_may(
    world: tuple[list[dict[str, Any]], list[Machine]],
) -> None:
    firewalls, machines = world
    rules, members = [rule(entry) for entry in firewalls], [machine.member for machine in machines]
    for way in (INGRESS, EGRESS):
        shared = reach(rules, way, None, members)
        for me in machines:
            mine = reach(rules, way, me.member, members)
            left = mine - shared
            for packet in PACKETS:
                allowed = gce_allows(firewalls, packet, me, machines, way)
                assert allowed or not _in_reach(shared, packet, machines)
                both = _in_reach(shared, packet, machines) or _in_reach(left, packet, machines)
                assert both == allowed


@settings(deadline=None, max_examples=40)
@given(WORLDS)
def test_group_rules_open_what_gce_allows_and_never_more(
    world: tuple[list[dict[str, Any]], list[Machine]],
) -> None:
    firewalls, machines = world
    rules, members = [rule(entry) for entry in firewalls], [machine.member for machine in machines]
    me = machines[0]
    into, lost_in = group_rules(reach(rules, INGRESS, me.member, members), INGRESS, "tenant")
    out, lost_out = egress_rules(reach(rules, EGRESS, me.member, members).region)
    for way, said, lost in ((INGRESS, into, lost_in), (EGRESS, out, lost_out)):
        for packet in PACKETS:
            allowed = gce_allows(firewalls, packet, me, machines, way)
            opened = cloudstack_allows(said, packet, machines, way)
            if said == {SENTINEL} and packet.peer == "255.255.255.255":
                continue
            assert allowed or not opened, (way, packet)
            assert opened or not allowed or lost, (way, packet)


@settings(deadline=None, max_examples=40)
@given(WORLDS)
def test_no_group_rule_can_be_left_out(world: tuple[list[dict[str, Any]], list[Machine]]) -> None:
    firewalls, machines = world
    rules, members = [rule(entry) for entry in firewalls], [machine.member for machine in machines]
    found = reach(rules, INGRESS, machines[0].member, members)
    said = [entry for entry in group_rules(found, INGRESS, "tenant")[0] if entry.account is None]
    corners = {entry: _corners(entry, said) for entry in said}
    for entry in said:
        others = frozenset(other for other in said if other != entry)
        assert any(not cloudstack_allows(others, packet, machines, INGRESS) for packet in corners[entry])


def _corners(entry: GroupRule, said: list[GroupRule]) -> list[Packet]:
    """Packets that ``entry`` allows, one in each piece that the ends of all rules cut it into."""
    low, high = block(ip_network(entry.peer))
    ends = {low} | {
        end for other in said for end in (block(ip_network(other.peer))[0], block(ip_network(other.peer))[1] + 1)
    }
    numbers = sorted(number for number in ends if low <= number <= high)
    base = 1 << 32 if ":" in entry.peer else 0
    kind = ip_address(entry.peer.split("/")[0]).__class__
    peers = [str(kind(number - base)) for number in numbers]
    if entry.protocol == "all":
        protocols, ports = [0, 99, *PACKET_PROTOCOLS], [*PORT_NUMBERS, 23, 50, 999]
    else:
        number = {"tcp": TCP, "udp": UDP, "icmp": ICMP}.get(entry.protocol)
        protocols = [int(entry.protocol) if number is None else number]
        cuts = {end for other in said for end in (other.first, other.last + 1)} | {entry.first}
        ports = [port for port in cuts if entry.first <= port <= entry.last] if number in (TCP, UDP) else [0]
    return [Packet(peer, number, port) for peer in peers for number in protocols for port in ports]


def _one(**members: Any) -> Rule:
    return rule({"name": "fw", "direction": INGRESS, "priority": 1000, "sourceRanges": ["0.0.0.0/0"]} | members)


ME = Member("me", frozenset({"web"}), frozenset(), addresses(["10.0.0.1"]), "own-me")


def test_an_untouched_firewall_is_one_rule() -> None:
    ssh = _one(allowed=[{"IPProtocol": "tcp", "ports": ["22"]}])
    said, lost = group_rules(reach([ssh], INGRESS, None), INGRESS)
    assert said == {GroupRule(INGRESS, "tcp", 22, 22, "0.0.0.0/0")}
    assert not lost


def test_overlapping_port_ranges_keep_their_shape() -> None:
    rules = [
        _one(allowed=[{"IPProtocol": "tcp", "ports": ["22"]}]),
        _one(allowed=[{"IPProtocol": "tcp", "ports": ["20-30"]}], sourceRanges=["10.0.0.0/8"]),
    ]
    assert group_rules(reach(rules, INGRESS, None), INGRESS)[0] == {
        GroupRule(INGRESS, "tcp", 22, 22, "0.0.0.0/0"),
        GroupRule(INGRESS, "tcp", 20, 30, "10.0.0.0/8"),
    }


def test_all_from_everywhere_is_two_rules() -> None:
    both = _one(allowed=[{"IPProtocol": "all"}], sourceRanges=["0.0.0.0/0", "::/0"])
    assert group_rules(reach([both], INGRESS, None), INGRESS)[0] == {
        GroupRule(INGRESS, "all", 0, 0, "0.0.0.0/0"),
        GroupRule(INGRESS, "all", 0, 0, "::/0"),
    }


def test_a_source_tag_names_the_own_group_of_each_peer() -> None:
    peers = [Member(f"p{n}", frozenset({"web"}), addresses=addresses([f"10.0.0.{n}"]), group=f"g{n}") for n in (1, 2)]
    found = reach([_one(allowed=[{"IPProtocol": "tcp"}], sourceRanges=[], sourceTags=["web"])], INGRESS, ME, peers)
    assert group_rules(found, INGRESS, "tenant")[0] == {
        GroupRule(INGRESS, "tcp", 0, 65535, "g1", "tenant"),
        GroupRule(INGRESS, "tcp", 0, 65535, "g2", "tenant"),
    }


def test_a_peer_whose_address_is_unknown_is_not_let_in_by_name() -> None:
    stranger = Member("new", frozenset({"web"}), group="g-new")
    rules = [_one(allowed=[{"IPProtocol": "tcp"}], sourceRanges=[], sourceTags=["web"])]
    assert reach(rules, INGRESS, ME, [stranger]) == Reach()


def test_a_peer_with_an_ipv6_address_is_let_in_by_its_addresses_and_not_the_network_around() -> None:
    both = ["10.0.0.2", "2001:db8::2"]
    peer = Member("two", frozenset({"web"}), addresses=addresses(both), group="g-two")
    rules = [_one(allowed=[{"IPProtocol": "tcp"}], sourceRanges=[], sourceTags=["web"])]
    found = reach(rules, INGRESS, ME, [peer])
    assert not found.groups
    assert found.region.at(TCP * PORTS + 80) == addresses(both)


def test_a_tag_that_is_denied_is_cut_out_of_the_ranges() -> None:
    bad = Member("bad", frozenset({"bad"}), addresses=addresses(["10.0.0.9"]), group="g-bad")
    rules = [
        _one(allowed=[{"IPProtocol": "tcp"}]),
        _one(denied=[{"IPProtocol": "all"}], sourceRanges=[], sourceTags=["bad"], priority=1),
    ]
    found = reach(rules, INGRESS, ME, [bad])
    assert addresses(["10.0.0.9"]).intervals[0][0] not in found.region.at(TCP * PORTS + 80)
    assert not found.groups


def test_a_peer_of_two_addresses_that_may_not_do_the_same_is_let_in_by_address() -> None:
    two = Member("two", frozenset({"web"}), addresses=addresses(["10.0.0.2", "2001:db8::2"]), group="g-two")
    one = Member("one", frozenset({"web"}), addresses=addresses(["10.0.0.3"]), group="g-one")
    rules = [
        _one(allowed=[{"IPProtocol": "tcp"}], sourceRanges=[], sourceTags=["web"]),
        _one(denied=[{"IPProtocol": "tcp"}], sourceRanges=["2001:db8::/32"], priority=1),
    ]
    found = reach(rules, INGRESS, ME, [two, one])
    assert set(found.groups) == {"g-one"}
    assert found.region.at(TCP * PORTS + 80) == addresses(["10.0.0.2"])


def test_service_accounts_target_and_name_sources() -> None:
    peer = Member("p", accounts=frozenset({"a@x"}), addresses=addresses(["10.0.0.2"]), group="g")
    mine = Member("m", accounts=frozenset({"b@x"}), addresses=addresses(["10.0.0.3"]), group="h")
    rules = [
        _one(
            allowed=[{"IPProtocol": "tcp"}],
            sourceRanges=[],
            sourceServiceAccounts=["a@x"],
            targetServiceAccounts=["b@x"],
        )
    ]
    assert set(reach(rules, INGRESS, mine, [peer, mine]).groups) == {"g"}
    assert reach(rules, INGRESS, peer, [peer, mine]) == Reach(NOWHERE)


def test_egress_is_open_until_something_is_denied() -> None:
    assert reach([], EGRESS, ME).region == EVERYWHERE
    assert egress_rules(EVERYWHERE) == (frozenset(), frozenset())


def test_denying_all_egress_leaves_a_rule_that_matches_nothing() -> None:
    deny = _one(
        direction=EGRESS,
        denied=[{"IPProtocol": "all"}],
        sourceRanges=[],
        destinationRanges=["0.0.0.0/0", "::/0"],
    )
    assert egress_rules(reach([deny], EGRESS, ME).region)[0] == {SENTINEL}


@pytest.mark.parametrize(
    ("allowed", "sentence"),
    [
        ({"IPProtocol": "sctp", "ports": ["5000"]}, grouprules.PARTLY.format(132)),
        ({"IPProtocol": "tcp", "ports": ["0"]}, grouprules.PORT_ZERO),
        ({"IPProtocol": "0"}, grouprules.PROTOCOL_ZERO),
    ],
)
def test_what_cloudstack_cannot_say_stays_closed_and_is_named(allowed: dict[str, Any], sentence: str) -> None:
    said, lost = group_rules(reach([_one(allowed=[allowed])], INGRESS, ME), INGRESS)
    assert not said
    assert lost == {sentence}


def test_all_but_one_port_opens_the_common_protocols_and_says_so() -> None:
    rules = [
        _one(allowed=[{"IPProtocol": "all"}]),
        _one(denied=[{"IPProtocol": "tcp", "ports": ["25"]}], priority=1),
    ]
    said, lost = group_rules(reach(rules, INGRESS, ME), INGRESS)
    named = {(entry.protocol, entry.first, entry.last) for entry in said if not entry.protocol.isdigit()}
    assert named == {("tcp", 0, 24), ("tcp", 26, 65535), ("udp", 0, 65535), ("icmp", -1, -1)}
    assert grouprules.TOO_MANY in lost
    assert len(said) < 20


def test_icmp_over_ipv6_is_left_out_because_it_would_mean_another_protocol() -> None:
    icmp = _one(allowed=[{"IPProtocol": "icmp"}], sourceRanges=["::/0", "10.0.0.0/8"])
    assert group_rules(reach([icmp], INGRESS, ME), INGRESS)[0] == {GroupRule(INGRESS, "icmp", -1, -1, "10.0.0.0/8")}
