"""Snapshots: taken of disks in both of GCE's ways, read, labelled, deleted; and those of other tools."""

from __future__ import annotations

from typing import Any

import pytest

DISKS = "zones/{zone}/disks"
SNAPSHOTS = "global/snapshots"


def taken(gateway: Any, name: str = "snap", **body: Any) -> dict[str, Any]:
    """A snapshot of the boot disk ``web``, as it is read back."""
    gateway.run("POST", f"{DISKS}/web/createSnapshot", {"name": name, **body})
    return dict(gateway.get(f"{SNAPSHOTS}/{name}"))


@pytest.fixture
def web(gateway: Any) -> Any:
    """The gateway, with an instance ``web``."""
    gateway.deploy("web", rootdisksize=20)
    return gateway


def foreign(gateway: Any, **params: Any) -> dict[str, Any]:
    """A snapshot of ``web`` that another tool took; its row."""
    volume = gateway.cloudstack("listVolumes", type="ROOT")[0]["id"]
    made = gateway.cloudstack("createSnapshot", volumeid=volume, **params)
    gateway.simulator.settle()
    return dict(gateway.cloudstack("listSnapshots", id=made["id"])[0])


def test_a_disks_snapshot_is_cloudstacks_and_reads_back_as_it_was_asked_for(web: Any) -> None:
    snapshot = taken(web, description="before the change", labels={"tier": "gold", "empty": ""})
    (row,) = web.cloudstack("listSnapshots")
    assert (row["name"], row["state"]) == ("snap", "BackedUp")
    assert (snapshot["status"], snapshot["diskSizeGb"], snapshot["description"]) == (
        "READY",
        "20",
        "before the change",
    )
    assert snapshot["labels"] == {"tier": "gold", "empty": ""}
    disk = web.get(f"{DISKS}/web")
    assert (snapshot["sourceDisk"], snapshot["sourceDiskId"]) == (disk["selfLink"], disk["id"])
    assert snapshot["storageLocations"] == ["ch-gva"]


def test_a_snapshot_may_be_asked_for_where_cloudstack_keeps_it(web: Any) -> None:
    assert taken(web, storageLocations=["ch-gva"])["storageLocations"] == ["ch-gva"]
    body = {"name": "far", "storageLocations": ["ch-gva", "de-fra"]}
    message = web.refuse("POST", f"{DISKS}/web/createSnapshot", body)
    assert "'ch-gva, de-fra'. CloudStack keeps a snapshot near its disk, in ch-gva." in message


def test_a_disks_snapshot_is_an_operation_on_the_disk(web: Any) -> None:
    operation = web.run("POST", f"{DISKS}/web/createSnapshot", {"name": "snap"})
    assert operation["operationType"] == "createSnapshot"
    assert operation["targetLink"].endswith("/zones/ch-gva-2/disks/web")
    assert operation["targetId"] == web.get(f"{DISKS}/web")["id"]


def test_an_inserted_snapshot_is_an_operation_on_the_snapshot(web: Any) -> None:
    body = {"name": "snap", "sourceDisk": "projects/tenant/zones/ch-gva-2/disks/web"}
    operation = web.run("POST", SNAPSHOTS, body)
    assert (operation["operationType"], operation["targetLink"].rpartition("/projects/")[2]) == (
        "insert",
        "tenant/global/snapshots/snap",
    )
    assert operation["targetId"] == web.get(f"{SNAPSHOTS}/snap")["id"]


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"sourceDisk": "zones/ch-gva-2/disks/web"}, 400, "'resource.name' not specified"),
        ({"name": "Snap", "sourceDisk": "zones/ch-gva-2/disks/web"}, 400, "'resource.name': 'Snap'"),
        ({"name": "snap"}, 400, "'resource.sourceDisk' not specified"),
        ({"name": "snap", "sourceDisk": "zones/ch-gva-2/disks/none"}, 404, "disks/none' was not found"),
        ({"name": "snap", "sourceDisk": "projects/other/zones/ch-gva-2/disks/web"}, 400, "another project"),
        ({"name": "snap", "sourceDisk": "zones/ch-gva-2/disks/web", "guestFlush": True}, 400, "guestFlush"),
        ({"name": "snap", "sourceDisk": "zones/ch-gva-2/disks/web", "snapshotType": "ARCHIVE"}, 400, "snapshotType"),
        (
            {"name": "snap", "sourceDisk": "zones/ch-gva-2/disks/web", "storageLocations": ["eu"]},
            400,
            "storageLocations",
        ),
    ],
)
def test_what_a_snapshot_cannot_be_is_refused_by_name(web: Any, body: dict[str, Any], status: int, part: str) -> None:
    assert part in web.refuse("POST", SNAPSHOTS, body, status=status)
    assert web.cloudstack("listSnapshots") == []


def test_a_disk_that_was_never_attached_has_nothing_to_take_a_snapshot_of(gateway: Any) -> None:
    gateway.run("POST", DISKS, {"name": "data", "sizeGb": "10"})
    message = gateway.refuse("POST", f"{DISKS}/data/createSnapshot", {"name": "snap"})
    assert "has never been attached" in message


def test_the_body_may_name_the_disk_of_the_url_again_and_no_other(web: Any) -> None:
    disk = web.get(f"{DISKS}/web")["selfLink"]
    assert taken(web, sourceDisk=disk)["sourceDisk"] == disk
    assert taken(web, name="bare", sourceDisk="web", zone="ch-gva-2")["sourceDisk"] == disk
    web.deploy("other")
    body = {"name": "second", "sourceDisk": disk.replace("/web", "/other")}
    assert "The URL names another disk, web." in web.refuse("POST", f"{DISKS}/web/createSnapshot", body)


def test_the_type_is_shown_to_those_who_named_it(web: Any) -> None:
    assert "snapshotType" not in taken(web)
    assert taken(web, name="named", snapshotType="STANDARD")["snapshotType"] == "STANDARD"


def test_a_quiet_guest_cannot_be_asked_for(web: Any) -> None:
    body = {"name": "snap"}
    assert "guestFlush" in web.refuse("POST", f"{DISKS}/web/createSnapshot", body, guestFlush="true")


def test_two_snapshots_of_one_name_cannot_be_taken(web: Any) -> None:
    taken(web)
    message = web.refuse("POST", f"{DISKS}/web/createSnapshot", {"name": "snap"}, status=409)
    assert message.endswith("global/snapshots/snap' already exists")


def test_a_snapshot_whose_answer_is_lost_is_taken_once(web: Any) -> None:
    web.simulator.faults.add("lose", "createSnapshot")
    assert taken(web)["status"] == "READY"
    assert len(web.cloudstack("listSnapshots")) == 1


def test_a_snapshot_that_fails_leaves_nothing(web: Any) -> None:
    web.simulator.faults.add("fail-job", "createSnapshot", text="no luck")
    assert "no luck" in web.fail("POST", f"{DISKS}/web/createSnapshot", {"name": "snap"})["message"]
    assert web.names(SNAPSHOTS) == []
    assert taken(web)["name"] == "snap"


def test_a_snapshot_outlives_its_disk(web: Any) -> None:
    before = taken(web)
    web.run("DELETE", "zones/{zone}/instances/web")
    assert web.get(f"{SNAPSHOTS}/snap") == before


def test_a_snapshot_survives_the_loss_of_the_database(web: Any) -> None:
    before = taken(web, labels={"tier": "gold"})
    web.forget_everything()
    assert web.get(f"{SNAPSHOTS}/snap") == before


def test_a_snapshot_of_another_tool_is_shown_with_its_disk(web: Any) -> None:
    foreign(web)
    (snapshot,) = web.get(SNAPSHOTS)["items"]
    assert snapshot["sourceDisk"].endswith("/disks/web")
    assert web.get(f"{SNAPSHOTS}/{snapshot['name']}") == web.get(f"{SNAPSHOTS}/{snapshot['id']}") == snapshot


def test_snapshots_of_one_name_can_all_be_reached(web: Any) -> None:
    for name in ("snap", "snap", "Snap"):
        foreign(web, name=name)
    names = web.names(SNAPSHOTS)
    assert len(set(names)) == 3
    assert len({web.get(f"{SNAPSHOTS}/{name}")["id"] for name in names}) == 3


def test_a_get_and_a_list_cost_one_call(web: Any) -> None:
    taken(web)
    web.get(f"{SNAPSHOTS}/snap")
    assert web.upstream == ["listSnapshots"]
    assert web.names(SNAPSHOTS) == ["snap"]
    assert web.upstream == ["listSnapshots"]


def test_nobody_sees_the_snapshots_of_others(web: Any) -> None:
    taken(web)
    other = web.as_user("other")
    assert other.names(SNAPSHOTS) == []
    other.refuse("GET", f"{SNAPSHOTS}/snap", status=404)


def test_labels_of_a_snapshot_are_changed(web: Any) -> None:
    snapshot = taken(web, labels={"tier": "gold"})
    body = {"labels": {"tier": "silver"}, "labelFingerprint": snapshot["labelFingerprint"]}
    web.run("POST", f"{SNAPSHOTS}/snap/setLabels", body)
    assert web.get(f"{SNAPSHOTS}/snap")["labels"] == {"tier": "silver"}
    web.refuse("POST", f"{SNAPSHOTS}/snap/setLabels", body, status=412)


@pytest.mark.parametrize("fault", ["lose", None])
def test_a_snapshot_is_deleted(web: Any, fault: str | None) -> None:
    taken(web, description="of mine")
    if fault:
        web.simulator.faults.add(fault, "deleteSnapshot")
    operation = web.run("DELETE", f"{SNAPSHOTS}/snap")
    assert operation["operationType"] == "delete"
    assert web.cloudstack("listSnapshots") == []
    web.refuse("DELETE", f"{SNAPSHOTS}/snap", status=404)
