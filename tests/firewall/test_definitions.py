"""Security groups as firewalls and back, without a CloudStack."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gstack.firewall.bodies import completed
from gstack.firewall.definitions import definition_rules, firewalls, rules
from gstack.firewall.grouprules import GroupRule
from gstack.firewall.groups import UNFINISHED, Group, firewall_names
from gstack.firewall.marks import pack
from gstack.firewall.rules import EGRESS, INGRESS
from gstack.translate.tags import plan_own

SSH: dict[str, Any] = {"name": "ssh", "allowed": [{"IPProtocol": "tcp", "ports": ["22"]}]}


def _group(
    name: str, found: list[GroupRule] | None = None, content: dict[str, Any] | None = None, **more: Any
) -> Group:
    row: dict[str, Any] = {"id": f"id-{name}", "name": name, "account": "tenant", "ingressrule": [], "egressrule": []}
    for number, rule in enumerate(found or ()):
        entry: dict[str, Any] = {"ruleid": f"r{number}", "protocol": rule.protocol}
        first, last = ("icmptype", "icmpcode") if rule.protocol == "icmp" else ("startport", "endport")
        entry |= {first: rule.first, last: rule.last}
        peer = (
            {"cidr": rule.peer} if rule.account is None else {"securitygroupname": rule.peer, "account": rule.account}
        )
        row["ingressrule" if rule.direction == INGRESS else "egressrule"].append(entry | peer)
    if content:
        row["tags"] = plan_own((), pack("firewall", 1, content)).create
    return Group(row | more)


SERVICES = st.one_of(
    st.tuples(st.sampled_from(["tcp", "udp"]), st.integers(0, 9), st.integers(9, 12)),
    st.sampled_from([("all", 0, 0), ("icmp", -1, -1), ("47", 0, 0), ("50", 0, 0)]),
)
PEERS = st.sampled_from([("0.0.0.0/0", None), ("10.0.0.0/8", None), ("::/0", None), ("web", "tenant")])
RULES = st.builds(lambda said, peer: GroupRule(INGRESS, *said, *peer), SERVICES, PEERS)


@given(st.lists(RULES, min_size=1, max_size=8, unique=True))
def test_no_rule_of_another_tool_is_lost_or_invented(found: list[GroupRule]) -> None:
    shown = firewalls([_group("theirs", found)])
    again = set()
    for firewall in shown:
        for entry in firewall.members["allowed"]:
            for first, last in _ends(entry):
                word = {"esp": "50"}.get(entry["IPProtocol"], entry["IPProtocol"])
                for peer in firewall.members.get("sourceRanges", ()):
                    again.add((word, first, last, peer, None))
                for peer in firewall.members.get("sourceTags", ()):
                    again.add((word, first, last, peer, "tenant"))
    assert again == {(rule.protocol, rule.first, rule.last, rule.peer, rule.account) for rule in found}
    assert len({firewall.name for firewall in shown}) == len(shown)


def _ends(entry: dict[str, Any]) -> list[tuple[int, int]]:
    if "ports" in entry:
        return [(int(text.split("-")[0]), int(text.split("-")[-1])) for text in entry["ports"]]
    return {"icmp": [(-1, -1)], "tcp": [(0, 65535)], "udp": [(0, 65535)]}.get(entry["IPProtocol"], [(0, 0)])


@given(st.lists(RULES, min_size=2, max_size=8, unique=True), st.randoms())
def test_names_do_not_depend_on_the_order_of_rules(found: list[GroupRule], order: Any) -> None:
    mixed = list(found)
    order.shuffle(mixed)

    def shown(entries: list[GroupRule]) -> dict[str, Any]:
        return {one.name: one.members for one in firewalls([_group("theirs", entries)])}

    assert shown(found) == shown(mixed)


def test_a_definition_is_shown_as_it_was_accepted() -> None:
    content = completed(SSH, "default")
    (shown,) = firewalls([_group("ssh", list(definition_rules(content)), content)])
    assert shown.members == content
    assert shown.part is None


def test_two_rules_stay_two() -> None:
    body = {**SSH, "allowed": [{"IPProtocol": "tcp", "ports": ["20-30", "25-40"]}, {"IPProtocol": "icmp"}]}
    assert {(rule.protocol, rule.first, rule.last) for rule in definition_rules(completed(body, "default"))} == {
        ("tcp", 20, 30),
        ("tcp", 25, 40),
        ("icmp", -1, -1),
    }


def test_rules_that_were_all_taken_away_show_a_firewall_that_allows_nothing() -> None:
    (shown,) = firewalls([_group("ssh", [], completed(SSH, "default"))])
    assert "allowed" not in shown.members
    assert not rules([shown], "default")[0].services


def test_rules_added_to_an_empty_definition_are_firewalls_beside_it() -> None:
    content = completed({**SSH, "targetTags": ["web"]}, "default")
    own, beside = firewalls([_group("ssh", [GroupRule(INGRESS, "udp", 53, 53, "10.0.0.0/8")], content)])
    assert own.members == content
    assert beside.name.startswith("ssh-")
    assert beside.members["targetTags"] == ["ssh"]


def test_groups_of_other_accounts_are_not_compiled() -> None:
    (shown,) = firewalls([_group("db", [GroupRule(INGRESS, "tcp", 1, 1, "default", "other")])])
    assert shown.members["sourceTags"] == ["other-default"]
    assert rules([shown], "default") == []


def test_egress_to_a_group_is_shown_disabled() -> None:
    shown = firewalls([_group("db", [GroupRule(EGRESS, "tcp", 1, 1, "web", "tenant")])])
    by_priority = {one.members["priority"]: one for one in shown}
    assert by_priority[1000].members["disabled"] is True
    assert "web" in by_priority[1000].members["description"]
    assert [rule.allow for rule in rules(shown, "default")] == [False]


def test_unfinished_and_guarding_groups_are_no_firewalls() -> None:
    unfinished = _group("ssh", [GroupRule(INGRESS, "tcp", 1, 1, "::/0")], description=UNFINISHED)
    assert firewalls([unfinished, _group("gstack:network:default"), _group("default")]) == []


def test_what_is_a_gce_name_already_keeps_it() -> None:
    names = firewall_names([_group("Web Tier", id="a"), _group("web-tier", id="b")])
    assert names["b"] == "web-tier"
    assert names["a"] != "web-tier"


def test_firewalls_of_other_networks_are_not_compiled() -> None:
    shown = firewalls([_group("ssh", list(definition_rules(completed(SSH, "other"))), completed(SSH, "other"))])
    assert rules(shown, "default") == []
    assert len(rules(shown, "other")) == 1
