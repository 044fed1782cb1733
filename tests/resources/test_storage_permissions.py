"""testIamPermissions of disks, snapshots and images: what the caller's CloudStack role allows."""

from __future__ import annotations

from typing import Any


def held(gateway: Any, path: str, *permissions: str) -> list[str]:
    """Those of the permissions that the caller has."""
    answer = gateway.call("POST", f"{path}/testIamPermissions", {"permissions": list(permissions)})
    return list(answer.get("permissions", []))


def test_whoever_owns_a_disk_and_a_snapshot_may_change_them(gateway: Any) -> None:
    gateway.deploy("web")
    gateway.run("POST", "zones/{zone}/disks/web/createSnapshot", {"name": "snap"})
    asked = ("compute.disks.create", "compute.disks.delete", "compute.disks.fly", "compute.images.delete")
    assert held(gateway, "zones/{zone}/disks/web", *asked) == ["compute.disks.create", "compute.disks.delete"]
    asked = ("compute.snapshots.delete", "compute.disks.delete")
    assert held(gateway, "global/snapshots/snap", *asked) == ["compute.snapshots.delete"]


def test_a_public_image_may_be_read_only(gateway: Any) -> None:
    public = "/compute/v1/projects/debian-cloud/global/images"
    name = gateway.names(public)[0]
    asked = ("compute.images.get", "compute.images.delete")
    assert held(gateway, f"{public}/{name}", *asked) == ["compute.images.get"]


def test_permissions_on_what_is_not_there_are_not_found(gateway: Any) -> None:
    for path in ("zones/{zone}/disks/none", "global/snapshots/none", "global/images/none"):
        gateway.refuse("POST", f"{path}/testIamPermissions", {"permissions": []}, status=404)


def test_an_object_without_a_policy_shows_the_empty_one_and_takes_none(gateway: Any) -> None:
    gateway.deploy("web")
    gateway.run("POST", "zones/{zone}/disks/web/createSnapshot", {"name": "snap"})
    public = "/compute/v1/projects/debian-cloud/global/images"
    image = f"{public}/{gateway.names(public)[0]}"
    for path in ("zones/{zone}/disks/web", "global/snapshots/snap", image):
        assert gateway.get(f"{path}/getIamPolicy") == {"version": 1, "etag": "ACAB"}
        assert "CloudStack's roles" in gateway.refuse("POST", f"{path}/setIamPolicy", {}, status=501)


def test_the_policy_of_what_is_not_there_is_not_found(gateway: Any) -> None:
    for path in ("zones/{zone}/disks/none", "global/snapshots/none", "global/images/none"):
        gateway.refuse("GET", f"{path}/getIamPolicy", status=404)
