"""The installed gcloud changes an instance in every way it knows; the effect is looked for in CloudStack.

Few and long, because a command costs about a second and its state is what the next one needs.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from gstack.cloudstack.client import Cloud

Gcloud = Callable[..., Any]
IMAGE = ("--image-family=debian-12", "--image-project=debian-cloud")
PORT = 8123


def _machine(cloudstack: Cloud, name: str) -> dict[str, Any]:
    rows = cloudstack.list("listVirtualMachines", name=name)
    return next(row for row in rows if row["name"] == name and row["state"] != "Destroyed")


def _tags(cloudstack: Cloud, name: str) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in _machine(cloudstack, name)["tags"]}


def _user_data(cloudstack: Cloud, name: str) -> str:
    machine = _machine(cloudstack, name)["id"]
    answer = cloudstack.call("getVirtualMachineUserData", virtualmachineid=machine)
    return base64.b64decode(answer["virtualmachineuserdata"]["userdata"]).decode()


def _well(gcloud: Gcloud, *words: str) -> str:
    ran = gcloud("compute", *words)
    assert ran.status == 0, ran.err
    return str(ran.out)


def test_labels_tags_metadata_and_protection_of_an_instance_change(gcloud: Gcloud, cloudstack: Cloud) -> None:
    _well(gcloud, "instances", "create", "changing", "--machine-type=micro", "--labels=env=test", *IMAGE)
    try:
        _well(gcloud, "instances", "add-labels", "changing", "--labels=team=red")
        _well(gcloud, "instances", "remove-labels", "changing", "--labels=env")
        _well(gcloud, "instances", "add-tags", "changing", "--tags=http,https")
        _well(gcloud, "instances", "remove-tags", "changing", "--tags=https")
        assert _tags(cloudstack, "changing") == {"team": "red", "gstack-tag:http": "true"}

        _well(gcloud, "firewall-rules", "create", "changing", f"--allow=tcp:{PORT}", "--target-tags=http")
        own = [row["id"] for row in _machine(cloudstack, "changing")["securitygroup"]]
        rules = [
            rule["startport"]
            for group in own
            for rule in cloudstack.first("listSecurityGroups", id=group)["ingressrule"]  # type: ignore[index]
        ]
        assert PORT in rules
        _well(gcloud, "firewall-rules", "delete", "changing")

        _well(gcloud, "instances", "add-metadata", "changing", "--metadata=startup-script=echo hello,foo=bar")
        assert "echo hello" in _user_data(cloudstack, "changing")
        _well(gcloud, "instances", "remove-metadata", "changing", "--keys=startup-script")
        assert "echo hello" not in _user_data(cloudstack, "changing")

        _well(gcloud, "instances", "update", "changing", "--deletion-protection")
        assert gcloud("compute", "instances", "delete", "changing").status != 0
        _well(gcloud, "instances", "update", "changing", "--no-deletion-protection")
        _well(gcloud, "instances", "set-scheduling", "changing", "--no-restart-on-failure")
        said = gcloud("compute", "instances", "describe", "changing", as_json=True).json
        assert (said["scheduling"]["automaticRestart"], said["deletionProtection"]) == (False, False)
        assert _well(gcloud, "instances", "get-serial-port-output", "changing").strip() == ""
        refused = gcloud("compute", "instances", "suspend", "changing")
        assert refused.status != 0 and "is not supported" in refused.err
    finally:
        gcloud("compute", "instances", "update", "changing", "--no-deletion-protection")
        gcloud("compute", "instances", "delete", "changing")


def test_size_account_name_and_disks_of_an_instance_change(gcloud: Gcloud, cloudstack: Cloud) -> None:
    _well(gcloud, "instances", "create", "sizing", "--machine-type=micro", "--create-disk=name=sizing-2,size=1", *IMAGE)
    try:
        _well(gcloud, "instances", "detach-disk", "sizing", "--disk=sizing-2")
        (volume,) = cloudstack.list("listVolumes", name="sizing-2")
        assert "virtualmachineid" not in volume
        _well(gcloud, "instances", "attach-disk", "sizing", "--disk=sizing-2", "--device-name=more")
        (volume,) = cloudstack.list("listVolumes", name="sizing-2")
        assert volume["vmname"] == "sizing"
        _well(gcloud, "instances", "set-disk-auto-delete", "sizing", "--disk=sizing-2", "--auto-delete")

        _well(gcloud, "instances", "stop", "sizing")
        _well(gcloud, "instances", "set-machine-type", "sizing", "--machine-type=small")
        account = "robot@example.iam.gserviceaccount.com"
        flags = (f"--service-account={account}", "--scopes=compute-rw")
        _well(gcloud, "instances", "set-service-account", "sizing", *flags)
        _well(gcloud, "instances", "set-name", "sizing", "--new-name=sized")
        assert _machine(cloudstack, "sized")["serviceofferingname"] == "Small"

        said = gcloud("compute", "instances", "describe", "sized", as_json=True).json
        assert said["serviceAccounts"][0]["email"] == account
        assert [(disk["deviceName"], disk["autoDelete"]) for disk in said["disks"]][1] == ("more", True)
        assert said["disks"][0]["source"].endswith("/disks/sizing")
    finally:
        for name in ("sizing", "sized"):
            gcloud("compute", "instances", "delete", name)
    assert cloudstack.list("listVolumes", name="sizing-2") == []


def test_what_a_project_tells_all_its_instances_reaches_new_ones(gcloud: Gcloud, cloudstack: Cloud) -> None:
    key = "ada:ssh-ed25519 AAAAada ada@laptop"
    _well(gcloud, "project-info", "add-metadata", f"--metadata=ssh-keys={key},foo=bar")
    try:
        said = gcloud("compute", "project-info", "describe", as_json=True).json["commonInstanceMetadata"]["items"]
        assert {item["key"]: item["value"] for item in said} == {"ssh-keys": key, "foo": "bar"}
        _well(gcloud, "instances", "create", "keyed", "--machine-type=micro", *IMAGE)
        assert "AAAAada" in _user_data(cloudstack, "keyed")
    finally:
        gcloud("compute", "instances", "delete", "keyed")
        _well(gcloud, "project-info", "remove-metadata", "--all")
