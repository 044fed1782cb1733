"""What a boot disk's size and type come to in CloudStack's words."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.errors import GceError
from gstack.translate.disk_types import DiskType
from gstack.translate.images import Image
from gstack.translate.instance_disks import _derived, _root_disk
from gstack.translate.machine_types import MachineType
from gstack.translate.names import is_label

IMAGE = Image("debian", "debian-cloud", {"id": "t", "size": 10 * 2**30}, frozenset({"z"}))
CUSTOM = DiskType("ssd-custom", {"id": "custom"}, 0, custom_size=True)
FIXED = DiskType("ssd-100", {"id": "fixed"}, 100, custom_size=False)


def size(**offering: Any) -> MachineType:
    return MachineType("tiny", {"id": "o", **offering}, 1, 1024, 1000)


@pytest.mark.parametrize(
    ("machine", "kind", "gigabytes", "expected"),
    [
        (size(), None, None, {}),
        (size(), None, 20, {"rootdisksize": 20}),
        (size(rootdisksize=50), None, None, {}),
        (size(rootdisksize=50), None, 50, {}),
        (size(), CUSTOM, None, {"overridediskofferingid": "custom", "rootdisksize": 10}),
        (size(), CUSTOM, 30, {"overridediskofferingid": "custom", "rootdisksize": 30}),
        (size(), FIXED, None, {"overridediskofferingid": "fixed"}),
        (size(), FIXED, 100, {"overridediskofferingid": "fixed"}),
    ],
)
def test_a_boot_disk_says_no_more_than_it_must(
    machine: MachineType, kind: DiskType | None, gigabytes: int | None, expected: dict[str, Any]
) -> None:
    assert _root_disk(IMAGE, machine, kind, gigabytes, "f") == expected


@pytest.mark.parametrize(
    ("machine", "kind", "gigabytes", "words"),
    [
        (size(), None, 9, "smaller than the image size (10 GB)"),
        (size(rootdisksize=50), None, 20, "comes with a boot disk of 50 GB"),
        (size(rootdisksize=50), None, 60, "comes with a boot disk of 50 GB"),
        (size(diskofferingstrictness=True), CUSTOM, 20, "no other disk type"),
        (size(), FIXED, 20, "have 100 GB"),
        (size(), DiskType("small", {"id": "s"}, 5, custom_size=False), None, "have 5 GB"),
    ],
)
def test_a_boot_disk_that_cannot_be_is_refused(
    machine: MachineType, kind: DiskType | None, gigabytes: int | None, words: str
) -> None:
    with pytest.raises(GceError) as error:
        _root_disk(IMAGE, machine, kind, gigabytes, "resource.disks[0].initializeParams.diskSizeGb")
    assert words in error.value.message


@pytest.mark.parametrize("name", ["web", "x" * 63, "x" * 60 + "-ab"])
def test_a_disk_without_a_name_gets_one_that_gce_would_accept(name: str) -> None:
    assert is_label(_derived(name, 12))
