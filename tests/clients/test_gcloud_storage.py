"""The installed gcloud with snapshot schedules, copies of disks, images of elsewhere, and what says who may do what.

Each test is a story, because a command costs about a second and its state is what the next one needs. What it did is
looked at in CloudStack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gstack.cloudstack.client import Cloud

Gcloud = Callable[..., Any]
Fresh = Callable[[str], str]
IMAGE = ("--image-family=debian-12", "--image-project=debian-cloud")
REGION = "--region=ch-gva"


def _policies(cloudstack: Cloud, disk: str) -> list[dict[str, Any]]:
    row = cloudstack.first("listVolumes", name=disk)
    assert row is not None
    return cloudstack.list("listSnapshotPolicies", volumeid=row["id"])


@pytest.mark.long
def test_a_snapshot_schedule_is_made_put_on_disks_changed_and_deleted(
    gcloud: Gcloud, done: Gcloud, cloudstack: Cloud, fresh: Fresh
) -> None:
    name, disk, web = fresh("nightly"), fresh("data"), fresh("web")
    policies = ("resource-policies",)
    made = ("--daily-schedule", "--start-time=04:00", "--max-retention-days=5", "--snapshot-labels=by=clock")
    done(*policies, "create", "snapshot-schedule", name, REGION, *made)
    described = gcloud("compute", *policies, "describe", name, REGION, as_json=True).json
    assert described["snapshotSchedulePolicy"]["schedule"]["dailySchedule"]["startTime"] == "04:00"
    assert name in [row["name"] for row in gcloud("compute", *policies, "list", as_json=True).json]

    empty = gcloud("compute", "disks", "create", disk, "--size=10GB", f"--resource-policies={name}")
    assert empty.status == 1 and "has never been attached" in empty.err
    done("instances", "create", web, "--machine-type=micro", *IMAGE)
    done("disks", "create", disk, f"--source-disk={web}", f"--resource-policies={name}")
    (row,) = _policies(cloudstack, disk)
    assert (row["schedule"], row["maxsnaps"]) == ("00:04", 5)
    assert {"by": "clock"}.items() <= {tag["key"]: tag["value"] for tag in row["tags"]}.items()
    used = gcloud("compute", *policies, "delete", name, REGION)
    assert used.status == 1 and "already being used by" in used.err

    done(*policies, "update", "snapshot-schedule", name, REGION, "--max-retention-days=3")
    assert [row["maxsnaps"] for row in _policies(cloudstack, disk)] == [3]
    done("disks", "remove-resource-policies", disk, f"--resource-policies={name}")
    assert _policies(cloudstack, disk) == []
    done("disks", "add-resource-policies", disk, f"--resource-policies={name}")
    shown = gcloud("compute", "disks", "describe", disk, as_json=True).json
    assert [link.rpartition("/")[2] for link in shown["resourcePolicies"]] == [name]

    done("disks", "delete", disk)
    done("instances", "delete", web)
    done(*policies, "delete", name, REGION)
    assert name not in [row["name"] for row in gcloud("compute", *policies, "list", as_json=True).json]


def test_what_no_schedule_of_cloudstack_is_is_refused_by_name(gcloud: Gcloud, fresh: Fresh) -> None:
    create = ("compute", "resource-policies", "create")
    every = ("--hourly-schedule=4", "--start-time=00:00", "--max-retention-days=1")
    refused = gcloud(*create, "snapshot-schedule", fresh("hourly"), REGION, *every)
    assert refused.status == 1 and "hoursInCycle" in refused.err
    refused = gcloud(*create, "group-placement", fresh("group"), REGION, "--vm-count=2", "--collocation=COLLOCATED")
    assert refused.status == 1 and "groupPlacementPolicy" in refused.err


def test_a_disk_is_copied_and_its_policy_read(gcloud: Gcloud, done: Gcloud, cloudstack: Cloud, fresh: Fresh) -> None:
    name = fresh("web")
    done("instances", "create", name, "--machine-type=micro", *IMAGE)
    done("disks", "create", f"{name}-copy", f"--source-disk={name}", "--size=60GB")
    row = cloudstack.first("listVolumes", name=f"{name}-copy")
    assert row is not None and (row["state"], row["size"]) == ("Ready", 60 * 2**30)
    assert not [row for row in cloudstack.list("listSnapshots") if row["name"].startswith("copy-")]
    shown = gcloud("compute", "disks", "describe", f"{name}-copy", as_json=True).json
    assert shown["sourceDisk"].endswith(f"/disks/{name}")
    assert gcloud("compute", "disks", "get-iam-policy", f"{name}-copy", as_json=True).json["version"] == 1
    done("disks", "update", f"{name}-copy", "--update-labels=tier=gold")
    labelled = gcloud("compute", "disks", "describe", f"{name}-copy", as_json=True).json
    assert labelled["labels"] == {"tier": "gold"}
    regional = gcloud("compute", "disks", "create", fresh("both"), REGION, "--replica-zones=ch-gva-1,ch-gva-2")
    assert regional.status == 1 and "CloudStack keeps a volume in one zone" in regional.err
    done("disks", "delete", f"{name}-copy")
    done("instances", "delete", name)


@pytest.mark.long
def test_images_come_from_urls_and_from_images(gcloud: Gcloud, done: Gcloud, cloudstack: Cloud, fresh: Fresh) -> None:
    """gcloud takes URLs of Google's storage only; other clients name any."""
    name, url = fresh("golden"), "https://storage.googleapis.com/images/golden.qcow2"
    done("images", "create", name, "--source-uri=gs://images/golden.qcow2")
    done("images", "create", f"{name}-copy", f"--source-image={name}", f"--family={name}")
    for image in (name, f"{name}-copy"):
        rows = cloudstack.list("listTemplates", templatefilter="self", name=image)
        assert {row["url"] for row in rows} == {url}
    shown = gcloud("compute", "images", "describe-from-family", name, as_json=True).json
    assert shown["sourceImage"].endswith(f"/images/{name}")
    assert gcloud("compute", "images", "get-iam-policy", name, as_json=True).json["version"] == 1
    done("images", "delete", name, f"{name}-copy")
    assert cloudstack.list("listTemplates", templatefilter="self", name=name) == []


def test_what_the_cloud_does_not_have_is_empty_or_refused(gcloud: Gcloud, done: Gcloud) -> None:
    assert gcloud("compute", "accelerator-types", "list", as_json=True).json == []
    bucket = gcloud("compute", "project-info", "set-usage-bucket", "--bucket=gs://b")
    assert bucket.status == 1 and "There are no buckets here" in bucket.err
    done("project-info", "update", "--default-network-tier=PREMIUM")
    standard = gcloud("compute", "project-info", "update", "--default-network-tier=STANDARD")
    assert standard.status == 1 and "networkTier" in standard.err
    quotas = gcloud("compute", "project-info", "describe", as_json=True).json["quotas"]
    assert {"SNAPSHOTS", "IMAGES"} <= {quota["metric"] for quota in quotas}
