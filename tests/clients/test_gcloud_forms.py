"""The installed gcloud makes instances in every form: of disks, snapshots, templates, and many at once; the rest of its
verbs for one. The effect is looked for in CloudStack.

Few and long, because a command costs about a second and its state is what the next one needs.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gstack.cloudstack.client import Cloud

Gcloud = Callable[..., Any]
IMAGE = ("--image-family=debian-12", "--image-project=debian-cloud")


def _machine(cloudstack: Cloud, name: str) -> dict[str, Any]:
    return next(dict(row) for row in cloudstack.list("listVirtualMachines", name=name) if row["name"] == name)


def _root(cloudstack: Cloud, name: str) -> dict[str, Any]:
    (row,) = cloudstack.list("listVolumes", virtualmachineid=_machine(cloudstack, name)["id"], type="ROOT")
    return dict(row)


def _told(cloudstack: Cloud, name: str) -> str:
    answer = cloudstack.call("getVirtualMachineUserData", virtualmachineid=_machine(cloudstack, name)["id"])
    data = base64.b64decode(answer["virtualmachineuserdata"]["userdata"])
    return (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode()


def test_instances_boot_from_disks_and_snapshots(gcloud: Gcloud, done: Gcloud, cloudstack: Cloud) -> None:
    done("instances", "create", "forms-old", "--machine-type=micro", "--no-boot-disk-auto-delete", *IMAGE)
    try:
        volume = _root(cloudstack, "forms-old")["id"]
        done("disks", "snapshot", "forms-old", "--snapshot-names=forms-saved")
        done("instances", "delete", "forms-old")
        done("instances", "create", "forms-disk", "--machine-type=micro", "--disk=name=forms-old,boot=yes")
        assert (_root(cloudstack, "forms-disk")["id"], _machine(cloudstack, "forms-disk")["state"]) == (
            volume,
            "Running",
        )

        disk = "--create-disk=boot=yes,auto-delete=yes,source-snapshot=forms-saved,size=20"
        done("instances", "create", "forms-snapshot", "--machine-type=micro", disk)
        assert _root(cloudstack, "forms-snapshot")["size"] == 20 * 2**30
        done("instances", "delete", "forms-disk", "forms-snapshot")
        assert [row["id"] for row in cloudstack.list("listVolumes", id=volume)] == [volume]
    finally:
        gcloud("compute", "instances", "delete", "forms-old", "forms-disk", "forms-snapshot")
        gcloud("compute", "disks", "delete", "forms-old")
        gcloud("compute", "snapshots", "delete", "forms-saved")


def test_instances_are_made_of_a_template_one_and_many(gcloud: Gcloud, done: Gcloud, cloudstack: Cloud) -> None:
    flags = ("--machine-type=micro", "--labels=env=forms", "--metadata=foo=bar", *IMAGE)
    done("instance-templates", "create", "forms-small", *flags)
    try:
        listed = gcloud("compute", "instance-templates", "list", as_json=True).json
        assert [one["name"] for one in listed] == ["forms-small"]
        done("instances", "create", "forms-one", "--source-instance-template=forms-small")
        assert {"key": "env", "value": "forms"}.items() <= _machine(cloudstack, "forms-one")["tags"][0].items()
        many = ("--name-pattern=forms-#", "--count=2", "--zone=ch-gva-2", "--machine-type=micro", *IMAGE)
        made = gcloud("compute", "instances", "bulk", "create", *many)
        assert made.status == 0 and "forms-1" in made.out + made.err, made.err
        assert {_machine(cloudstack, f"forms-{number}")["state"] for number in (1, 2)} == {"Running"}
        names = ("--predefined-names=forms-3,forms-4", "--region=ch-gva", "--source-instance-template=forms-small")
        done("instances", "bulk", "create", *names)
        assert {_machine(cloudstack, f"forms-{number}")["state"] for number in (3, 4)} == {"Running"}
    finally:
        gcloud("compute", "instances", "delete", "forms-one", *(f"forms-{number}" for number in range(1, 5)))
        done("instance-templates", "delete", "forms-small")


def test_a_template_is_made_of_an_instance_and_an_instance_of_it(
    gcloud: Gcloud, done: Gcloud, cloudstack: Cloud
) -> None:
    disk = "--create-disk=name=forms-data,device-name=data,size=3,auto-delete=yes"
    done("instances", "create", "forms-model", "--machine-type=micro", "--labels=env=model", disk, *IMAGE)
    source = ("--source-instance=forms-model", "--source-instance-zone=ch-gva-2")
    without = "--configure-disk=device-name=data,instantiate-from=do-not-include"
    try:
        done("instance-templates", "create", "forms-like", *source, without)
        shown = gcloud("compute", "instance-templates", "describe", "forms-like", as_json=True).json
        assert shown["sourceInstance"].endswith("/zones/ch-gva-2/instances/forms-model")
        done("instances", "create", "forms-next", "--source-instance-template=forms-like")
        row = _machine(cloudstack, "forms-next")
        assert (row["serviceofferingname"], row["state"]) == ("Micro", "Running")
        assert [tag["value"] for tag in row["tags"] if tag["key"] == "env"] == ["model"]
        assert len(cloudstack.list("listVolumes", virtualmachineid=row["id"])) == 1
        assert _root(cloudstack, "forms-next")["templateid"] == _root(cloudstack, "forms-model")["templateid"]
    finally:
        gcloud("compute", "instances", "delete", "forms-model", "forms-next")
        done("instance-templates", "delete", "forms-like")


@pytest.mark.long
def test_an_instance_is_exported_edited_and_updated(
    gcloud: Gcloud, done: Gcloud, cloudstack: Cloud, tmp_path: Path
) -> None:
    done("instances", "create", "forms-edit", "--machine-type=micro", "--labels=env=a", *IMAGE)
    try:
        file = tmp_path / "instance.yaml"
        done("instances", "export", "forms-edit", f"--destination={file}")
        text = file.read_text()
        assert "env: a" in text and "machineTypes/micro" in text
        file.write_text(text.replace("env: a", "env: b").replace("machineTypes/micro", "machineTypes/small"))
        update = ("instances", "update-from-file", "forms-edit", f"--source={file}")
        refused = gcloud("compute", *update, "--most-disruptive-allowed-action=REFRESH")
        assert refused.status != 0 and "RESTART" in refused.err
        done(*update)
        row = _machine(cloudstack, "forms-edit")
        assert (row["serviceofferingname"], row["state"]) == ("Small", "Running")
        assert [tag["value"] for tag in row["tags"] if tag["key"] == "env"] == ["b"]
    finally:
        gcloud("compute", "instances", "delete", "forms-edit")


@pytest.mark.long
def test_keys_of_the_project_reach_an_instance_that_is_there(gcloud: Gcloud, done: Gcloud, cloudstack: Cloud) -> None:
    done("instances", "create", "forms-keys", "--machine-type=micro", *IMAGE)
    try:
        done("project-info", "add-metadata", "--metadata=ssh-keys=ada:ssh-ed25519 AAAAforms ada@laptop")
        assert "AAAAforms" in _told(cloudstack, "forms-keys")
        script = "--metadata=startup-script-url=https://example.com/start.sh"
        done("instances", "add-metadata", "forms-keys", script)
        assert "url=https://example.com/start.sh" in _told(cloudstack, "forms-keys")
        bucket = gcloud("compute", "instances", "add-metadata", "forms-keys", "--metadata=startup-script-url=gs://b/s")
        assert bucket.status != 0 and "https://" in bucket.err
    finally:
        gcloud("compute", "project-info", "remove-metadata", "--all")
        gcloud("compute", "instances", "delete", "forms-keys")


def test_ssh_brings_its_key_to_the_machine_before_it_connects(
    run: Gcloud, gcloud: Gcloud, done: Gcloud, installed_gcloud: str, cloudstack: Cloud, tools: str, tmp_path: Path
) -> None:
    connecting = tmp_path / "ssh"  # there is no guest to connect to
    connecting.write_text('#!/bin/sh\necho "connecting $*"\n')
    connecting.chmod(0o755)
    path, key = os.pathsep.join((str(tmp_path), tools)), tmp_path / "key"
    done("instances", "create", "forms-ssh", "--machine-type=micro", *IMAGE)
    try:
        words = (installed_gcloud, "--quiet", "compute", "ssh", "ada@forms-ssh", f"--ssh-key-file={key}")
        ran = run("env", f"PATH={path}", *words)
        assert ran.status == 0, ran.err
        assert f"ada@{_machine(cloudstack, 'forms-ssh')['nic'][0]['ipaddress']}" in ran.out
        told = _told(cloudstack, "forms-ssh")
        assert "\nuser ada <<" in told and key.with_suffix(".pub").read_text().split()[1] in told
    finally:
        gcloud("compute", "project-info", "remove-metadata", "--all")
        gcloud("compute", "instances", "delete", "forms-ssh")


def test_the_password_of_a_machine_is_told_as_that_of_windows_is(gcloud: Gcloud, done: Gcloud) -> None:
    image = ("--image=linux-ubuntu-24-04-lts-64-bit", "--image-project=ubuntu-os-cloud")  # password-enabled
    done("instances", "create", "forms-password", "--machine-type=micro", *image)
    try:
        told = gcloud("compute", "reset-windows-password", "forms-password", "--user=ada", as_json=True).json
        assert (told["username"], len(told["password"])) == ("ada", 6)
    finally:
        gcloud("compute", "instances", "delete", "forms-password")


@pytest.mark.long
def test_disks_are_made_with_an_instance_and_a_schedule(gcloud: Gcloud, done: Gcloud, cloudstack: Cloud) -> None:
    done(
        *("resource-policies", "create", "snapshot-schedule", "forms-daily", "--region=ch-gva"),
        *("--daily-schedule", "--start-time=04:00", "--max-retention-days=7"),
    )
    disk = "--create-disk=name=forms-data,size=10GB,auto-delete=yes,disk-resource-policy=forms-daily"
    try:
        done("instances", "create", "forms-daily", "--machine-type=micro", disk, *IMAGE)
        (volume,) = cloudstack.list("listVolumes", name="forms-data")
        (policy,) = cloudstack.list("listSnapshotPolicies", volumeid=volume["id"])
        assert (policy["schedule"], policy["maxsnaps"], volume["vmname"]) == ("00:04", 7, "forms-daily")
    finally:
        gcloud("compute", "instances", "delete", "forms-daily")
        gcloud("compute", "resource-policies", "delete", "forms-daily", "--region=ch-gva")


# What gcloud can ask of an instance and CloudStack cannot do, as its commands say it.
IMPOSSIBLE = [
    ("suspend", "forms-verbs"),
    ("resume", "forms-verbs"),
    ("simulate-maintenance-event", "forms-verbs"),
    ("get-screenshot", "forms-verbs"),
    ("send-diagnostic-interrupt", "forms-verbs"),
    ("update", "forms-verbs", "--shielded-secure-boot"),
    ("update", "forms-verbs", "--enable-display-device"),
]


@pytest.mark.long
def test_what_cloudstack_cannot_do_is_refused_and_the_rest_is_answered(
    gcloud: Gcloud, done: Gcloud, cloudstack: Cloud
) -> None:
    done("instances", "create", "forms-verbs", "--machine-type=micro", *IMAGE)
    try:
        for words in IMPOSSIBLE:
            refused = gcloud("compute", "instances", *words)
            assert refused.status != 0 and "is not supported" in refused.err, (words, refused.err)
        assert _machine(cloudstack, "forms-verbs")["state"] == "Running"
        assert json.loads(done("instances", "get-iam-policy", "forms-verbs", "--format=json").out)["etag"]
        attributes = gcloud("compute", "instances", "get-guest-attributes", "forms-verbs")
        assert attributes.status != 0 and "Guest Attribute" in attributes.err
        done("instances", "network-interfaces", "get-effective-firewalls", "forms-verbs")
    finally:
        gcloud("compute", "instances", "delete", "forms-verbs")
