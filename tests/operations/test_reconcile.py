"""gstack reconcile: drift is shown, mended, and then gone."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from gstack import cli
from gstack.store.db import db
from gstack.store.operations import Operation
from gstack.store.overlay import Overlay
from tests.conftest import Gateway

TCP_22 = [{"IPProtocol": "tcp", "ports": ["22"]}]
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"


@pytest.fixture
def run(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command with the gateway's settings: its exit status and output."""
    monkeypatch.setattr(cli, "load", lambda path: gateway.settings)

    def reconcile(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli.main, ["reconcile", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result.exit_code, result.output

    return reconcile


def make(gateway: Gateway, zone: str) -> None:
    """An instance with ssh open, made through the gateway."""
    gateway.run("POST", "global/firewalls", {"name": "ssh", "allowed": TCP_22})
    gateway.run("POST", f"zones/{zone}/instances", instance())


def instance() -> dict[str, Any]:
    return {
        "name": "web",
        "machineType": "tiny",
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}],
        "networkInterfaces": [{"accessConfigs": [{"name": "nat"}]}],
    }


def test_a_rule_that_another_tool_took_away_comes_back(gateway: Gateway, run: Any) -> None:
    make(gateway, "ch-gva-2")
    groups = [row for row in gateway.cloudstack("listSecurityGroups") if row["name"].startswith("gstack:network:")]
    gateway.cloudstack("revokeSecurityGroupIngress", id=groups[0]["ingressrule"][0]["ruleid"])
    gateway.simulator.settle()
    status, output = run("--dry-run")
    assert status == 1
    assert "authorizeSecurityGroupIngress" in output
    assert run()[0] == 0
    assert run("--dry-run")[0] == 0


def test_a_rule_that_another_tool_put_on_our_address_goes(gateway: Gateway, run: Any) -> None:
    make(gateway, "de-fra-1")
    (row,) = gateway.cloudstack("listPublicIpAddresses", isstaticnat="true")
    gateway.cloudstack("createFirewallRule", ipaddressid=row["id"], protocol="udp", startport=53, endport=53)
    gateway.simulator.settle()
    status, output = run("--dry-run")
    assert (status, "deleteFirewallRule" in output) == (1, True)
    status, output = run()
    assert (status, "1 changed" in output) == (0, True)
    assert [rule["protocol"] for rule in gateway.cloudstack("listFirewallRules")] == ["tcp"]


def test_drift_in_a_zone_with_groups_and_in_what_leaves_an_isolated_network_is_shown_and_mended(
    gateway: Gateway, run: Any
) -> None:
    make(gateway, "at-vie-1")
    gateway.run("POST", "zones/de-fra-1/instances", instance())
    (own,) = [row for row in gateway.cloudstack("listSecurityGroups") if row["name"].startswith("gstack:network:")]
    open_ = {"protocol": "tcp", "startport": 1, "endport": 9, "cidrlist": "0.0.0.0/0"}
    gateway.cloudstack("authorizeSecurityGroupIngress", securitygroupid=own["id"], **open_)
    (egress,) = gateway.cloudstack("listEgressFirewallRules")
    gateway.cloudstack("deleteEgressFirewallRule", id=egress["id"])
    gateway.simulator.settle()
    status, output = run("--dry-run")
    assert status == 1
    assert "revokeSecurityGroupIngress" in output
    assert "createEgressFirewallRule" in output
    assert run()[0] == 0
    assert run("--dry-run")[0] == 0


def test_an_item_that_another_tool_changed_in_a_tiers_access_list_is_mended(gateway: Gateway, run: Any) -> None:
    choice = {"resourceManagerTags": {"gstack-network-model": "vpc"}}
    gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False, "params": choice})
    piece = {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.1.0.0/24"}
    gateway.run("POST", "regions/de-fra/subnetworks", piece)
    (tier,) = [row for row in gateway.cloudstack("listNetworks") if row.get("vpcid")]
    (item,) = gateway.cloudstack("listNetworkACLs", aclid=tier["aclid"])
    gateway.cloudstack("updateNetworkACLItem", id=item["id"], action="Deny")
    gateway.simulator.settle()
    status, output = run("--dry-run")
    assert (status, "createNetworkACL" in output, "deleteNetworkACL" in output) == (1, True, True)
    assert run()[0] == 0
    assert [row["action"] for row in gateway.cloudstack("listNetworkACLs", aclid=tier["aclid"])] == ["Allow"]
    assert run("--dry-run")[0] == 0


def test_members_that_another_tool_took_are_mended_and_balancers_of_its_own_left_alone(
    gateway: Gateway, run: Any
) -> None:
    make(gateway, "de-fra-1")
    instance = "zones/de-fra-1/instances/web"
    gateway.run("POST", "global/firewalls", {"name": "web", "allowed": [{"IPProtocol": "tcp", "ports": ["80"]}]})
    gateway.run("POST", "regions/de-fra/targetPools", {"name": "pool", "instances": [instance]})
    pool = {"target": "regions/de-fra/targetPools/pool"}
    gateway.run("POST", "regions/de-fra/forwardingRules", {"name": "rule", **pool, "ports": None, "portRange": "80"})
    (ours,) = gateway.cloudstack("listLoadBalancerRules")
    (machine,) = gateway.cloudstack("listVirtualMachines")
    foreign = gateway.cloudstack("associateIpAddress", networkid=ours["networkid"])["id"]
    common = {"name": "theirs", "algorithm": "source", "privateport": 81, "publicport": 81, "protocol": "tcp"}
    theirs = gateway.cloudstack("createLoadBalancerRule", publicipid=foreign, **common)["id"]
    extra = gateway.cloudstack("createLoadBalancerRule", publicipid=ours["publicipid"], **common)["id"]
    gateway.cloudstack("removeFromLoadBalancerRule", id=ours["id"], virtualmachineids=machine["id"])
    gateway.simulator.settle()
    status, output = run("--dry-run")
    assert (status, "deleteLoadBalancerRule" in output, "assignToLoadBalancerRule" in output) == (1, False, True)
    assert f"The balancer 'theirs' on {ours['publicip']}, port 81," in output
    assert run()[0] == 0
    rules = {row["id"] for row in gateway.cloudstack("listLoadBalancerRules")}
    assert rules == {ours["id"], theirs, extra}
    assert len(gateway.cloudstack("listLoadBalancerRuleInstances", id=ours["id"])) == 1
    assert run("--dry-run")[0] == 0


def test_balancers_whose_rules_the_store_has_lost_are_found_and_left_alone(gateway: Gateway, run: Any) -> None:
    make(gateway, "de-fra-1")
    body = {"name": "pool", "instances": ["zones/de-fra-1/instances/web"]}
    gateway.run("POST", "regions/de-fra/targetPools", body)
    rule = {"name": "rule", "target": "regions/de-fra/targetPools/pool", "portRange": "80"}
    gateway.run("POST", "regions/de-fra/forwardingRules", rule)
    (balancer,) = gateway.cloudstack("listLoadBalancerRules")
    with gateway.app.app_context():
        db.session.query(Overlay).delete()
        db.session.commit()
    status, output = run()
    said = f"{balancer['publicip']} is of 'regions/de-fra/forwardingRules/rule', which this gateway does not know."
    assert (status, said in output, "rule-80" in output) == (0, True, True)
    assert [row["id"] for row in gateway.cloudstack("listLoadBalancerRules")] == [balancer["id"]]


def test_a_cloudstack_that_does_not_answer_is_trouble(gateway: Gateway, run: Any) -> None:
    gateway.get("global/networks")
    gateway.simulator.faults.add("cut", times=None)
    for arguments in ((), ("--dry-run",)):
        status, output = run(*arguments)
        assert status == 1
        assert f"/{gateway.user}: not reached" in output
        assert "listProjects" in output


def test_a_credential_that_cloudstack_refuses_is_left_out(gateway: Gateway, run: Any) -> None:
    gateway.get("global/networks")
    gateway.simulator.faults.add("status", "listProjects", times=None, code=401)
    said = "CloudStack accepts no credential here. Make one: gstack credentials create\n"
    assert run() == (0, said)


def test_operations_that_wait_for_an_operator_are_listed(gateway: Gateway, run: Any) -> None:
    gateway.run("POST", "global/firewalls", {"name": "ssh", "allowed": TCP_22})
    with gateway.app.app_context():
        row = db.session.query(Operation).one()
        name, row.status, row.blocked = row.name, "RUNNING", "No credential works."
        db.session.commit()
    _, output = run()
    assert f"operation {name}" in output
    assert "No credential works." in output
    with gateway.app.app_context():
        db.session.query(Operation).one().status = "DONE"
        db.session.commit()
