"""The installed gcloud, through the life of a firewall and of instances, with no flags beyond the ordinary.

Each test is a story, because a command costs about a second and its state is what the next one needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.demo import Demo

Gcloud = Callable[..., Any]
Fresh = Callable[[str], str]
IMAGE = ("--image-family=debian-12", "--image-project=debian-cloud")


def _machine(cloudstack: Cloud, name: str) -> dict[str, Any] | None:
    rows = cloudstack.list("listVirtualMachines", name=name)
    return next((row for row in rows if row["name"] == name and row["state"] != "Destroyed"), None)


def test_a_firewall_named_ssh_is_a_security_group_named_ssh(gcloud: Gcloud, cloudstack: Cloud) -> None:
    made = gcloud("compute", "firewall-rules", "create", "ssh", "--allow=tcp:22")
    assert made.status == 0, made.err
    assert made.out.splitlines()[-1].split()[:4] == ["ssh", "default", "INGRESS", "1000"]

    group = cloudstack.first("listSecurityGroups", securitygroupname="ssh")
    assert group is not None
    rules = [(rule["protocol"], rule["startport"], rule["endport"], rule["cidr"]) for rule in group["ingressrule"]]
    assert rules == [("tcp", 22, 22, "0.0.0.0/0")]

    described = gcloud("compute", "firewall-rules", "describe", "ssh", as_json=True).json
    assert described["allowed"] == [{"IPProtocol": "tcp", "ports": ["22"]}]
    assert described["sourceRanges"] == ["0.0.0.0/0"]
    assert described["network"].endswith("/global/networks/default")
    listed = gcloud("compute", "firewall-rules", "list", "--filter=name=ssh", as_json=True).json
    assert listed == [described]

    assert gcloud("compute", "firewall-rules", "delete", "ssh").status == 0
    assert cloudstack.first("listSecurityGroups", securitygroupname="ssh") is None


def test_an_instance_lives_from_create_to_delete(gcloud: Gcloud, cloudstack: Cloud, demo: Demo) -> None:
    made = gcloud("compute", "instances", "create", "foobar", "--machine-type=micro", *IMAGE)
    assert made.status == 0, made.err
    header, row = made.out.splitlines()
    assert header.split()[:3] == ["NAME", "ZONE", "MACHINE_TYPE"]
    assert row.split()[:3] == ["foobar", demo.environment["GSTACK_ZONE"], "micro"]
    assert row.split()[-1] == "RUNNING"
    machine = _machine(cloudstack, "foobar")
    assert machine is not None
    assert (machine["state"], machine["serviceofferingname"]) == ("Running", "Micro")

    listed = gcloud("compute", "instances", "list", "--filter=name=foobar", as_json=True).json
    described = gcloud("compute", "instances", "describe", "foobar", as_json=True).json
    assert listed == [described]
    assert described["networkInterfaces"][0]["networkIP"] == machine["nic"][0]["ipaddress"]
    assert described["machineType"].endswith("/machineTypes/micro")
    assert described["disks"][0]["boot"] is True

    assert gcloud("compute", "instances", "stop", "foobar").status == 0
    assert _machine(cloudstack, "foobar")["state"] == "Stopped"  # type: ignore[index]
    status = gcloud("compute", "instances", "describe", "foobar", "--format=value(status)").out
    assert status.strip() == "TERMINATED"
    assert gcloud("compute", "instances", "start", "foobar").status == 0
    assert _machine(cloudstack, "foobar")["state"] == "Running"  # type: ignore[index]
    assert gcloud("compute", "instances", "reset", "foobar").status == 0

    disks = gcloud("compute", "disks", "list", "--filter=name=foobar", as_json=True).json
    assert [disk["status"] for disk in disks] == ["READY"]
    kinds = gcloud("compute", "operations", "list", "--filter=targetLink:foobar", "--format=value(operationType)")
    assert {"insert", "stop", "start", "reset"} <= set(kinds.out.split())

    gone = gcloud("compute", "instances", "delete", "foobar")
    assert gone.status == 0, gone.err
    assert _machine(cloudstack, "foobar") is None
    assert gcloud("compute", "instances", "list", "--filter=name=foobar", as_json=True).json == []


def test_three_instances_are_made_and_deleted_in_one_batch(gcloud: Gcloud, cloudstack: Cloud, fresh: Fresh) -> None:
    names = [fresh("batch") for _ in range(3)]
    made = gcloud("compute", "instances", "create", *names, "--machine-type=micro", *IMAGE, as_json=True)
    assert sorted(row["name"] for row in made.json) == sorted(names)
    assert all(_machine(cloudstack, name) for name in names)

    new = fresh("new")
    again = gcloud("compute", "instances", "create", new, names[0], "--machine-type=micro", *IMAGE)
    assert again.status == 1
    assert f"/instances/{names[0]}' already exists" in again.err
    assert _machine(cloudstack, new), "the good one of two is made"

    assert gcloud("compute", "instances", "delete", *names, new).status == 0
    assert not any(_machine(cloudstack, name) for name in [*names, new])


def test_a_stopped_instance_keeps_its_labels_tags_and_metadata(gcloud: Gcloud, fresh: Fresh) -> None:
    name = fresh("told")
    made = gcloud(
        "compute", "instances", "create", name, "--machine-type=micro", *IMAGE,
        "--labels=team=blue", "--tags=web", "--metadata=greeting=hello",
    )  # fmt: skip
    assert made.status == 0, made.err
    described = gcloud("compute", "instances", "describe", name, as_json=True).json
    assert described["labels"] == {"team": "blue"}
    assert described["tags"]["items"] == ["web"]
    assert {"key": "greeting", "value": "hello"} in described["metadata"]["items"]
    assert gcloud("compute", "instances", "delete", name).status == 0
