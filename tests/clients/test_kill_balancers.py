"""``kill -9`` of a running gateway while it makes, changes and takes away a balancer: it ends well, and once.

Apart from the other stories of killing because a network with machines has to be there first, once for all of them.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.test_kill import Gateway, World, gateway, in_good_order, restart, world
from tests.waiting import until

pytestmark = pytest.mark.long
__all__ = ["gateway", "in_good_order", "world"]
REGION, ZONE = "regions/de-fra", "zones/de-fra-1"
DISK = {"boot": True, "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-12"}}


class Story:
    """Requests to the gateway, one done after the other."""

    def __init__(self, gateway: Gateway, world: World) -> None:
        self.gateway, self.world = gateway, world

    def start(self, verb: str, path: str, body: Any = None) -> str:
        """Ask for a change; the link of its operation."""
        answer = self.gateway.session.request(verb, f"{self.gateway.base}/{path}", json=body, timeout=30)
        assert answer.ok, answer.text
        return str(answer.json()["selfLink"]).partition(self.gateway.base)[2].lstrip("/")

    def ends(self, operation: str) -> None:
        done = until(lambda: self._done(operation), what=f"the end of {operation}")
        assert "error" not in done, done

    def _done(self, operation: str) -> dict[str, Any] | None:
        found = self.gateway.get(operation)
        return found if found["status"] == "DONE" else None

    def run(self, verb: str, path: str, body: Any = None) -> None:
        self.ends(self.start(verb, path, body))

    def killed(self, command: str, verb: str, path: str, body: Any = None) -> None:
        """A change in whose course the gateway is killed, while a job of ``command`` is under way."""
        self.world.slow_down(command)
        operation = self.start(verb, path, body)
        until(lambda: self.world.pending(command), what=f"a job of {command}")
        self.gateway.kill()
        restart(self.gateway)
        self.world.speed_up()
        self.ends(operation)

    def rows(self, command: str, **params: Any) -> list[dict[str, Any]]:
        """What CloudStack lists."""
        answer = self.world.cloud.do("tenant", command, **params)
        return next((value for value in answer.values() if isinstance(value, list)), [])

    def members(self) -> list[set[str]]:
        """The names of the members of each balancer."""
        found = []
        for rule in self.rows("listLoadBalancerRules"):
            found.append({row["name"] for row in self.rows("listLoadBalancerRuleInstances", id=rule["id"])})
        return found


@pytest.fixture(scope="module")
def made(gateway: Gateway, world: World) -> Story:
    """Two machines in a network, of which one is in a group behind a service."""
    story = Story(gateway, world)
    story.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False})
    piece = {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.1.0.0/24"}
    story.run("POST", f"{REGION}/subnetworks", piece)
    allowed = [{"IPProtocol": "tcp", "ports": ["80"]}]
    story.run("POST", "global/firewalls", {"name": "web", "network": "global/networks/net", "allowed": allowed})
    for name in ("one", "two"):
        nic = {"subnetwork": f"{REGION}/subnetworks/sub"}
        body = {"name": name, "machineType": f"{ZONE}/machineTypes/tiny", "disks": [DISK], "networkInterfaces": [nic]}
        story.run("POST", f"{ZONE}/instances", body)
    story.run("POST", f"{ZONE}/instanceGroups", {"name": "ig"})
    one = {"instances": [{"instance": f"{ZONE}/instances/one"}]}
    story.run("POST", f"{ZONE}/instanceGroups/ig/addInstances", one)
    body = {"name": "be", "protocol": "TCP", "backends": [{"group": f"{ZONE}/instanceGroups/ig"}]}
    story.run("POST", f"{REGION}/backendServices", body)
    return story


RULE = {"name": "rule", "backendService": f"{REGION}/backendServices/be", "ports": ["80"]}


@pytest.mark.parametrize("command", ["associateIpAddress", "createLoadBalancerRule", "assignToLoadBalancerRule"])
def test_a_killed_gateway_makes_one_balancer_with_its_member_and_takes_it_away(made: Story, command: str) -> None:
    made.killed(command, "POST", f"{REGION}/forwardingRules", RULE)
    assert made.members() == [{"one"}]
    assert len(made.rows("listFirewallRules")) == 1
    public = [row for row in made.rows("listPublicIpAddresses") if not row["issourcenat"]]
    assert len(public) == 1
    made.killed("deleteLoadBalancerRule", "DELETE", f"{REGION}/forwardingRules/rule")
    assert (made.members(), made.rows("listFirewallRules")) == ([], [])
    assert [row for row in made.rows("listPublicIpAddresses") if not row["issourcenat"]] == []


def test_a_killed_gateway_finishes_changes_of_a_group(made: Story) -> None:
    made.run("POST", f"{REGION}/forwardingRules", RULE)
    group, two = f"{ZONE}/instanceGroups/ig", {"instances": [{"instance": f"{ZONE}/instances/two"}]}
    made.killed("assignToLoadBalancerRule", "POST", f"{group}/addInstances", two)
    assert made.members() == [{"one", "two"}]
    made.killed("removeFromLoadBalancerRule", "POST", f"{group}/removeInstances", two)
    assert made.members() == [{"one"}]
    made.killed("destroyVirtualMachine", "DELETE", f"{ZONE}/instances/one")
    assert (made.members(), made.gateway.get(group)["size"]) == ([], 0)
