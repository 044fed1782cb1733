"""Random stories: whatever clients do with firewalls and instances, packets arrive where GCE would let them.

Apart from the told stories for what each of these takes: a gateway of its own. Whatever a run finds belongs among the
told ones. ``GSTACK_TEST_STORIES=200`` tells more.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import Process, renewed
from tests.firewall.scenes import KINDS, Scene, staged

STORIES = int(os.environ.get("GSTACK_TEST_STORIES", "3"))
STEPS = 7
TAGS, ACCOUNTS = ("web", "db"), ("app@x.example", "job@x.example")
INSTANCES, FIREWALLS = ("one", "two", "three"), ("a", "b", "c", "d")
RANGES = ("0.0.0.0/0", "9.0.0.0/8", "8.8.8.8/32", "10.0.0.0/8", "10.1.0.0/24", "203.0.113.0/24", "128.0.0.0/1")
SERVED: tuple[dict[str, Any], ...] = (
    {"IPProtocol": "all"},
    {"IPProtocol": "tcp"},
    {"IPProtocol": "tcp", "ports": ["22"]},
    {"IPProtocol": "tcp", "ports": ["80-443"]},
    {"IPProtocol": "udp", "ports": ["1-100"]},
    {"IPProtocol": "icmp"},
    {"IPProtocol": "sctp"},
)


def some(values: tuple[str, ...], least: int = 0) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=2, unique=True)


@st.composite
def firewalls(draw: st.DrawFn) -> dict[str, Any]:
    ingress = draw(st.integers(0, 2)) > 0
    kind, words = draw(st.sampled_from((("Tags", TAGS), ("Tags", TAGS), ("ServiceAccounts", ACCOUNTS))))
    peers, own = ("sourceRanges", "destinationRanges")[:: 1 if ingress else -1]
    members = {
        draw(st.sampled_from(("allowed", "denied"))): draw(st.lists(st.sampled_from(SERVED), min_size=1, max_size=2)),
        "direction": "INGRESS" if ingress else "EGRESS",
        "priority": draw(st.integers(0, 3)),
        "disabled": draw(st.integers(0, 9)) == 0,
        f"target{kind}": draw(st.one_of(st.just([]), some(words))),
        f"source{kind}": draw(some(words)) if ingress else [],
        peers: draw(some(RANGES)),
        own: draw(st.one_of(st.just([]), st.just([]), some(RANGES))),
    }
    return {key: value for key, value in members.items() if value != []}


STEP = st.one_of(
    st.tuples(st.just("instance"), st.sampled_from(INSTANCES), some(TAGS), st.sampled_from((None, *ACCOUNTS))),
    st.tuples(st.just("tag"), st.sampled_from(INSTANCES), some(TAGS)),
    st.tuples(st.just("firewall"), st.sampled_from(FIREWALLS), firewalls()),
    st.tuples(st.just("firewall"), st.sampled_from(FIREWALLS), firewalls()),
    st.tuples(st.just("delete"), st.sampled_from(FIREWALLS)),
    st.tuples(st.just("remove"), st.sampled_from(INSTANCES)),
    st.tuples(st.just("power"), st.sampled_from(INSTANCES), st.sampled_from((None, *ACCOUNTS))),
)


class Story:
    """What a scene has so far; steps that make no sense there are left out."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.instances: set[str] = set()
        self.directions: dict[str, str] = {}

    def instance(self, name: str, tags: list[str], account: str | None) -> None:
        if name not in self.instances:
            self.instances.add(name)
            self.scene.instance(name, *tags, account=account)

    def tag(self, name: str, tags: list[str]) -> None:
        if name in self.instances:
            self.scene.tag(name, *tags)

    def remove(self, name: str) -> None:
        if name in self.instances:
            self.instances.remove(name)
            self.scene.remove(name)

    def power(self, name: str, account: str | None) -> None:
        if name in self.instances:
            self.scene.power(name)
            if account and not self.scene.runs(name):
                self.scene.employ(name, account)

    def firewall(self, name: str, members: dict[str, Any]) -> None:
        if name not in self.directions:
            self.directions[name] = members["direction"]
            self.scene.firewall(name, **members)
        elif self.directions[name] == members["direction"]:
            self.scene.change(name, **members)

    def delete(self, name: str) -> None:
        if self.directions.pop(name, None):
            self.scene.delete(name)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_clients_do_packets_arrive_where_gce_would_let_them(gateway_process: Process, kind: str) -> None:
    @settings(
        max_examples=STORIES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        derandomize=STORIES < 10,
    )
    @given(st.lists(STEP, min_size=STEPS, max_size=STEPS))
    def tell(steps: list[tuple[Any, ...]]) -> None:
        with renewed(gateway_process) as gateway, staged(gateway, kind) as scene:
            story = Story(scene)
            story.instance("one", ["web"], ACCOUNTS[0])
            story.instance("two", ["db"], None)
            for verb, *arguments in steps:
                getattr(story, verb)(*arguments)
                scene.check()

    tell()
