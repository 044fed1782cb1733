"""Packets, not rules: in each kind of zone the simulated cloud lets through what GCE would, after every change.

Told stories; scenes.py judges, and test_random_packets.py tells random ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Gateway
from tests.firewall.scenes import KINDS, NETWORK6, OUTSIDE, SERVICES, Scene, staged


@pytest.fixture(params=KINDS)
def scene(request: pytest.FixtureRequest, gateway: Gateway) -> Iterator[Scene]:
    """Each kind of zone."""
    with staged(gateway, request.param) as made:
        yield made


SSH = {"allowed": [{"IPProtocol": "tcp", "ports": ["22"]}]}
WEB = {"allowed": [{"IPProtocol": "tcp", "ports": ["80", "440-450"]}], "targetTags": ["web"]}
DNS = {"allowed": [{"IPProtocol": "udp"}], "sourceTags": ["web"]}


def test_firewalls_hold_for_instances_made_before_and_after_them(scene: Scene) -> None:
    scene.firewall("ssh", **SSH)
    scene.instance("one", "web")
    arrived = scene.check()
    scene.instance("two")
    scene.firewall("web", **WEB)
    scene.firewall("dns", **DNS)
    assert scene.check() > arrived
    scene.instance("three", "web")
    scene.check()


def test_tags_that_change_on_running_instances_change_what_arrives(scene: Scene) -> None:
    scene.instance("one", "web")
    scene.instance("two")
    scene.firewall("web", **WEB)
    scene.firewall("dns", **DNS)
    scene.check()
    scene.tag("one")
    scene.check()
    scene.tag("two", "web", "db")
    scene.check()


def test_denials_hold_by_their_priority_and_go(scene: Scene) -> None:
    scene.firewall("ssh", **SSH)
    scene.firewall("ping", allowed=[{"IPProtocol": "icmp"}], priority=100)
    scene.instance("one", "web")
    scene.instance("two")
    free = scene.check()
    scene.firewall("no", denied=[{"IPProtocol": "all"}], sourceRanges=["9.0.0.0/8"], priority=500)
    some = scene.check()
    assert some < free
    scene.firewall(
        "same", denied=[{"IPProtocol": "icmp"}], sourceRanges=["8.8.8.8/32"], priority=100, targetTags=["web"]
    )
    assert scene.check() < some
    scene.delete("same")
    scene.delete("no")
    assert scene.check() == free


def test_what_leaves_is_denied_to_whom_it_is_denied(scene: Scene) -> None:
    scene.instance("one", "locked")
    scene.instance("two")
    free = scene.check()
    egress = {"direction": "EGRESS", "denied": [{"IPProtocol": "all"}]}
    scene.firewall("no", **egress, destinationRanges=["8.0.0.0/8"], targetTags=["locked"])
    assert scene.check() < free
    scene.firewall("all", **egress, destinationRanges=["0.0.0.0/0"], priority=2000)
    web = {"direction": "EGRESS", "allowed": [{"IPProtocol": "tcp", "ports": ["443"]}]}
    scene.firewall("web", **web, destinationRanges=["203.0.113.0/24"])
    scene.check()
    for name in ("no", "all", "web"):
        scene.delete(name)
    assert scene.check() == free


def test_without_a_firewall_nothing_comes_in_from_outside(scene: Scene) -> None:
    scene.instance("one")
    scene.firewall("ssh", **SSH)
    scene.delete("ssh")
    assert scene.check() == len(SERVICES) * len(OUTSIDE)  # what leaves


def test_service_accounts_are_sources_and_targets(scene: Scene) -> None:
    scene.firewall("in", **SSH, targetServiceAccounts=["app@x.example"])
    scene.instance("one", account="app@x.example")
    scene.instance("two", account="job@x.example")
    scene.firewall("jobs", allowed=[{"IPProtocol": "tcp"}], sourceServiceAccounts=["job@x.example"])
    scene.check()
    scene.power("two")
    scene.employ("two", "app@x.example")
    scene.power("two")
    scene.check()
    scene.firewall("no", denied=[{"IPProtocol": "all"}], sourceServiceAccounts=["app@x.example"], priority=1)
    scene.check()


def test_instances_of_one_network_reach_one_another_as_the_firewalls_say(scene: Scene) -> None:
    scene.instance("one", "web")
    scene.instance("two", "db")
    scene.firewall("near", allowed=[{"IPProtocol": "tcp", "ports": ["80"]}], sourceRanges=["10.0.0.0/8"])
    scene.firewall("peers", allowed=[{"IPProtocol": "udp"}], sourceTags=["web"], targetTags=["db"])
    scene.check()
    scene.firewall("apart", denied=[{"IPProtocol": "udp"}], sourceTags=["web", "db"], priority=1)
    scene.firewall("mute", direction="EGRESS", denied=[{"IPProtocol": "tcp"}], destinationRanges=["10.0.0.0/8"])
    scene.check()


def test_packets_of_ipv6_arrive_where_gce_would_let_them(gateway: Gateway) -> None:
    with staged(gateway, "groups") as scene:
        (shared,) = [row for row in gateway.cloudstack("listNetworks") if row["zonename"] == gateway.zone]
        gateway.simulator.world.network[shared["id"]].row["ip6cidr"] = NETWORK6
        scene.instance("one", "web")
        scene.instance("two", "db")
        scene.firewall("near", allowed=[{"IPProtocol": "tcp"}], sourceTags=["web"])
        arrived = scene.check(ipv6=True)
        scene.firewall("far", allowed=[{"IPProtocol": "udp"}], sourceRanges=["2001:db8:2::/64"], targetTags=["db"])
        assert scene.check(ipv6=True) > arrived
        scene.firewall("no", denied=[{"IPProtocol": "tcp"}], sourceRanges=["2001:db8::/32"], priority=1)
        scene.check(ipv6=True)
        scene.firewall(
            "out",
            direction="EGRESS",
            denied=[{"IPProtocol": "all"}],
            destinationRanges=["2620:fe::/32"],
            targetTags=["db"],
        )
        scene.check(ipv6=True)
        scene.check()
