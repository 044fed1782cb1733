"""The installed gcloud with disks, snapshots and images; what it did is looked at in CloudStack.

Each test is a story, because a command costs about a second and its state is what the next one needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gstack.cloudstack.client import Cloud

Gcloud = Callable[..., Any]
Fresh = Callable[[str], str]
IMAGE = ("--image-family=debian-12", "--image-project=debian-cloud")


def test_a_disk_is_created_resized_labelled_and_deleted(gcloud: Gcloud, cloudstack: Cloud, fresh: Fresh) -> None:
    name = fresh("data")
    made = gcloud("compute", "disks", "create", name, "--size=10GB", "--type=pd-ssd", "--labels=tier=gold")
    assert made.status == 0, made.err
    assert made.out.splitlines()[-1].split()[:1] == [name]
    row = cloudstack.first("listVolumes", name=name)
    assert row is not None and row["size"] == 10 * 2**30

    grown = gcloud("compute", "disks", "resize", name, "--size=12GB")
    assert grown.status == 0, grown.err
    labelled = gcloud("compute", "disks", "add-labels", name, "--labels=tier=silver")
    assert labelled.status == 0, labelled.err
    described = gcloud("compute", "disks", "describe", name, as_json=True).json
    assert (described["sizeGb"], described["labels"]) == ("12", {"tier": "silver"})
    assert described["type"].endswith("/diskTypes/pd-ssd")

    smaller = gcloud("compute", "disks", "resize", name, "--size=5GB")
    assert smaller.status == 1 and "must be larger than existing size '12'" in smaller.err
    never = gcloud("compute", "disks", "snapshot", name, f"--snapshot-names={name}")
    assert never.status == 1 and "has never been attached" in never.err
    gone = gcloud("compute", "disks", "delete", name)
    assert gone.status == 0, gone.err
    assert cloudstack.first("listVolumes", name=name) is None


def test_a_machine_becomes_a_snapshot_a_disk_and_an_image(gcloud: Gcloud, cloudstack: Cloud, fresh: Fresh) -> None:
    name = fresh("golden")
    made = gcloud("compute", "instances", "create", name, "--machine-type=micro", *IMAGE)
    assert made.status == 0, made.err
    used = gcloud("compute", "disks", "delete", name)
    assert used.status == 1 and "is already being used by" in used.err

    taken = gcloud("compute", "disks", "snapshot", name, f"--snapshot-names={name}", "--description=of mine")
    assert taken.status == 0, taken.err
    second = gcloud("compute", "snapshots", "create", f"{name}-2", f"--source-disk={name}", "--labels=tier=gold")
    assert second.status == 0, second.err
    rows = [row for row in cloudstack.list("listSnapshots") if row["name"] in (name, f"{name}-2")]
    assert [row["state"] for row in rows] == ["BackedUp", "BackedUp"]
    described = gcloud("compute", "snapshots", "describe", name, as_json=True).json
    assert (described["status"], described["description"]) == ("READY", "of mine")
    assert described["sourceDisk"].endswith(f"/disks/{name}")

    copied = gcloud("compute", "disks", "create", f"{name}-copy", f"--source-snapshot={name}")
    assert copied.status == 0, copied.err
    assert cloudstack.first("listVolumes", name=f"{name}-copy") is not None

    running = gcloud("compute", "images", "create", name, f"--source-disk={name}")
    assert running.status == 1 and "is already being used by" in running.err
    imaged = gcloud(
        "compute", "images", "create", name, f"--source-snapshot={name}", f"--family={name}", "--labels=tier=gold"
    )
    assert imaged.status == 0, imaged.err
    assert [row["name"] for row in cloudstack.list("listTemplates", templatefilter="self", name=name)] == [name]
    family = gcloud("compute", "images", "describe-from-family", name, as_json=True).json
    assert (family["name"], family["labels"]) == (name, {"tier": "gold"})

    updated = gcloud("compute", "images", "update", name, "--description=of ours", "--update-labels=tier=silver")
    assert updated.status == 0, updated.err
    deprecated = gcloud("compute", "images", "deprecate", name, "--state=DEPRECATED")
    assert deprecated.status == 0, deprecated.err
    described = gcloud("compute", "images", "describe", name, as_json=True).json
    assert (described["description"], described["labels"]) == ("of ours", {"tier": "silver"})
    assert described["deprecated"]["state"] == "DEPRECATED"

    assert gcloud("compute", "images", "delete", name).status == 0
    assert gcloud("compute", "snapshots", "delete", name, f"{name}-2").status == 0
    assert gcloud("compute", "disks", "delete", f"{name}-copy").status == 0
    assert cloudstack.list("listTemplates", templatefilter="self", name=name) == []
    assert not [row for row in cloudstack.list("listSnapshots") if row["name"].startswith(name)]
    assert gcloud("compute", "instances", "delete", name).status == 0
