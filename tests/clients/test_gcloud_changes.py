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


def test_labels_tags_metadata_and_protection_of_an_instance_change(
    gcloud: Gcloud, done: Gcloud, cloudstack: Cloud
) -> None:
    done("instances", "create", "changing", "--machine-type=micro", "--labels=env=test", *IMAGE)
    try:
        done("instances", "add-labels", "changing", "--labels=team=red")
        done("instances", "remove-labels", "changing", "--labels=env")
        done("instances", "add-tags", "changing", "--tags=http,https")
        done("instances", "remove-tags", "changing", "--tags=https")
        assert _tags(cloudstack, "changing") == {"team": "red", "gstack-tag:http": "true"}

        done("firewall-rules", "create", "changing", f"--allow=tcp:{PORT}", "--target-tags=http")
        own = [row["id"] for row in _machine(cloudstack, "changing")["securitygroup"]]
        rules = [
            rule["startport"]
            for group in own
            for rule in cloudstack.first("listSecurityGroups", id=group)["ingressrule"]  # type: ignore[index]
        ]
        assert PORT in rules
        done("firewall-rules", "delete", "changing")

        done("instances", "add-metadata", "changing", "--metadata=startup-script=echo hello,foo=bar")
        assert "echo hello" in _user_data(cloudstack, "changing")
        done("instances", "remove-metadata", "changing", "--keys=startup-script")
        assert "echo hello" not in _user_data(cloudstack, "changing")

        done("instances", "update", "changing", "--deletion-protection")
        assert gcloud("compute", "instances", "delete", "changing").status != 0
        done("instances", "update", "changing", "--no-deletion-protection")
        done("instances", "set-scheduling", "changing", "--no-restart-on-failure")
        said = gcloud("compute", "instances", "describe", "changing", as_json=True).json
        assert (said["scheduling"]["automaticRestart"], said["deletionProtection"]) == (False, False)
        assert done("instances", "get-serial-port-output", "changing").out.strip() == ""
        refused = gcloud("compute", "instances", "suspend", "changing")
        assert refused.status != 0 and "is not supported" in refused.err
    finally:
        gcloud("compute", "instances", "update", "changing", "--no-deletion-protection")
        gcloud("compute", "instances", "delete", "changing")


def test_a_spot_instance_becomes_a_standard_one_while_it_is_stopped(gcloud: Gcloud, done: Gcloud) -> None:
    spot = ("--provisioning-model=SPOT", "--instance-termination-action=STOP")
    done("instances", "create", "spot", "--machine-type=micro", *spot, *IMAGE)
    try:
        listed = gcloud("compute", "instances", "list", "--filter=name=spot", as_json=True).json[0]["scheduling"]
        assert (listed["preemptible"], listed["provisioningModel"]) == (True, "SPOT")
        done("instances", "set-scheduling", "spot", "--clear-instance-termination-action")
        said = gcloud("compute", "instances", "describe", "spot", as_json=True).json["scheduling"]
        assert said["provisioningModel"] == "SPOT" and "instanceTerminationAction" not in said
        refused = gcloud("compute", "instances", "set-scheduling", "spot", "--provisioning-model=STANDARD")
        assert refused.status != 0 and "while the instance is stopped" in refused.err
        done("instances", "stop", "spot")
        done("instances", "set-scheduling", "spot", "--provisioning-model=STANDARD")
        said = gcloud("compute", "instances", "describe", "spot", as_json=True).json["scheduling"]
        assert (said["preemptible"], said["provisioningModel"]) == (False, "STANDARD")
    finally:
        gcloud("compute", "instances", "delete", "spot")


def test_size_account_name_and_disks_of_an_instance_change(gcloud: Gcloud, done: Gcloud, cloudstack: Cloud) -> None:
    done("instances", "create", "sizing", "--machine-type=micro", "--create-disk=name=sizing-2,size=1", *IMAGE)
    try:
        done("instances", "detach-disk", "sizing", "--disk=sizing-2")
        (volume,) = cloudstack.list("listVolumes", name="sizing-2")
        assert "virtualmachineid" not in volume
        done("instances", "attach-disk", "sizing", "--disk=sizing-2", "--device-name=more")
        (volume,) = cloudstack.list("listVolumes", name="sizing-2")
        assert volume["vmname"] == "sizing"
        done("instances", "set-disk-auto-delete", "sizing", "--disk=sizing-2", "--auto-delete")

        done("instances", "stop", "sizing")
        done("instances", "set-machine-type", "sizing", "--machine-type=small")
        account = "robot@example.iam.gserviceaccount.com"
        flags = (f"--service-account={account}", "--scopes=compute-rw")
        done("instances", "set-service-account", "sizing", *flags)
        done("instances", "set-name", "sizing", "--new-name=sized")
        assert _machine(cloudstack, "sized")["serviceofferingname"] == "Small"

        said = gcloud("compute", "instances", "describe", "sized", as_json=True).json
        assert said["serviceAccounts"][0]["email"] == account
        assert [(disk["deviceName"], disk["autoDelete"]) for disk in said["disks"]][1] == ("more", True)
        assert said["disks"][0]["source"].endswith("/disks/sizing")
    finally:
        for name in ("sizing", "sized"):
            gcloud("compute", "instances", "delete", name)
    assert cloudstack.list("listVolumes", name="sizing-2") == []


def test_what_a_project_tells_all_its_instances_reaches_new_ones(
    gcloud: Gcloud, done: Gcloud, cloudstack: Cloud
) -> None:
    key = "ada:ssh-ed25519 AAAAada ada@laptop"
    done("project-info", "add-metadata", f"--metadata=ssh-keys={key},foo=bar")
    try:
        said = gcloud("compute", "project-info", "describe", as_json=True).json["commonInstanceMetadata"]["items"]
        assert {item["key"]: item["value"] for item in said} == {"ssh-keys": key, "foo": "bar"}
        done("instances", "create", "keyed", "--machine-type=micro", *IMAGE)
        assert "AAAAada" in _user_data(cloudstack, "keyed")
    finally:
        gcloud("compute", "instances", "delete", "keyed")
        done("project-info", "remove-metadata", "--all")
