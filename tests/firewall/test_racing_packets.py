"""What happens at once ends right: packets arrive where GCE would let them, whoever was first.

Apart from the other stories for the second half of them: without the turns that operations of one process take, as it
is between several hosts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from gstack.firewall import security_groups
from tests.conftest import Gateway
from tests.firewall.scenes import KINDS, Scene, staged

JOB_SECONDS = 0.01
DENIED = [{"IPProtocol": "all"}]


def tcp(*ports: str) -> list[dict[str, object]]:
    return [{"IPProtocol": "tcp", "ports": list(ports)}]


@pytest.fixture(params=[(kind, turns) for kind in KINDS for turns in ("in turn", "from several hosts")], ids=", ".join)
def scene(request: pytest.FixtureRequest, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Each kind of zone, with two instances and three firewalls; jobs take a moment."""
    kind, turns = request.param
    with staged(gateway, kind) as made:
        made.instance("one", "web")
        made.instance("two", "db")
        made.firewall("a", allowed=tcp("22"))
        made.firewall("b", allowed=tcp("80"), targetTags=["web"])
        made.firewall("c", allowed=tcp("443"), sourceTags=["db"])
        if turns != "in turn":
            monkeypatch.setattr(security_groups, "_turn", lambda writer: nullcontext())
        gateway.simulator.job_seconds = JOB_SECONDS
        yield made


def test_firewalls_that_change_at_once_all_take_effect(scene: Scene) -> None:
    scene.together(
        lambda mine: mine.change("a", allowed=tcp("22", "443"), sourceRanges=["9.0.0.0/8"]),
        lambda mine: mine.change("b", allowed=tcp("80"), sourceTags=["db"], targetTags=["db"]),
        lambda mine: mine.delete("c"),
        lambda mine: mine.firewall("d", denied=DENIED, sourceRanges=["9.9.9.9/32"], priority=5, targetTags=["web"]),
    )
    scene.check()


def test_an_instance_made_while_firewalls_and_tags_change_obeys_them(scene: Scene) -> None:
    scene.together(
        lambda mine: mine.instance("three", "web"),
        lambda mine: mine.change("b", allowed=tcp("80", "443"), sourceRanges=["8.0.0.0/8"], targetTags=["web"]),
        lambda mine: mine.tag("two", "web"),
        lambda mine: mine.remove("one"),
        lambda mine: mine.firewall(
            "d", direction="EGRESS", denied=tcp("443"), destinationRanges=["0.0.0.0/0"], targetTags=["web"]
        ),
    )
    scene.check()
