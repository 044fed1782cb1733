"""Names, sizes and states of volumes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstack.translate import volumes
from gstack.translate.names import is_label

MACHINE = "9543b30d-82b9-41de-85fd-b0a9f6dc5a92"


def root(**members: Any) -> dict[str, Any]:
    return volume(type="ROOT", name="ROOT-11", virtualmachineid=MACHINE, vmname="web", vmdisplayname="web") | members


def volume(**members: Any) -> dict[str, Any]:
    return {
        "id": "a" * 36,
        "name": "data",
        "type": "DATADISK",
        "state": "Ready",
        "size": 10 * 2**30,
        "created": "2026-11-21T08:37:02+0000",
    } | members


def marked(**marks: str) -> list[dict[str, str]]:
    return [{"key": f"gstack:{key.replace('_', '-')}", "value": value} for key, value in marks.items()]


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (root(), "web"),
        (root(vmname="Web"), "web"),
        (root(vmname=f"gone-{MACHINE}"), "web"),
        (root(tags=marked(name="root")), "root"),
        (root(vmname="web-0a1b2"), "web"),
        (volume(), "data"),
        (volume(name="ROOT-11", type="ROOT"), "root-11"),
        (volume(name="dätä ✓"), "d-t"),
        (volume(tags=marked(name="mine")), "mine"),
    ],
)
def test_a_disk_is_called_by_its_mark_its_machine_or_its_own_name(row: dict[str, Any], name: str) -> None:
    assert volumes.gce_names_of([row]) == {row["id"]: name}


def test_marks_win_over_boot_disks_and_those_over_the_rest_whatever_their_age() -> None:
    rows = [
        volume(id="a" * 36, name="web", created="2020-01-01T00:00:00+0000"),
        root(id="b" * 36, created="2021-01-01T00:00:00+0000"),
        volume(id="c" * 36, tags=marked(name="web"), created="2026-01-01T00:00:00+0000"),
    ]
    names = volumes.gce_names_of(rows)
    assert names["c" * 36] == "web"
    assert volumes.gce_names_of(rows[:2])["b" * 36] == "web"


@given(
    st.lists(
        st.builds(
            lambda id, kind, name, day: (root if kind == "root" else volume)(
                id=id,
                created=f"2026-11-{day:02}T00:00:00+0000",
                **({"vmname": name, "virtualmachineid": id} if kind == "root" else {}),
                **({"name": name} if kind == "plain" else {}),
                **({"tags": marked(name="web")} if kind == "marked" else {}),
            ),
            st.uuids().map(str),
            st.sampled_from(["root", "plain", "marked"]),
            st.sampled_from(["web", "Web", "web 1", "web-1", ""]),
            st.integers(1, 28),
        ),
        max_size=6,
        unique_by=lambda row: row["id"],
    )
)
def test_every_disk_has_a_name_of_its_own_in_any_order(rows: list[dict[str, Any]]) -> None:
    names = volumes.gce_names_of(rows)
    assert len(set(names.values())) == len(rows)
    assert all(is_label(name) for name in names.values())
    assert volumes.gce_names_of(rows[::-1]) == names


def test_marked_and_boot_disks_are_named_without_looking_at_others() -> None:
    assert volumes.names_are_certain([root(), volume(tags=marked(name="data"))])
    assert not volumes.names_are_certain([root(), volume()])


def test_volumes_of_destroyed_machines_are_hidden() -> None:
    gone = [root(vmstate="Destroyed"), root(vmstate="Expunging"), volume(state="Destroy"), volume(state="Expunged")]
    assert volumes.visible([*gone, volume()]) == [volume()]


@pytest.mark.parametrize(("size", "gigabytes"), [(0, 1), (1, 1), (2**30, 1), (2**30 + 1, 2), (10 * 2**30, 10)])
def test_sizes_are_gibibytes_rounded_up(size: int, gigabytes: int) -> None:
    assert volumes.size_gb(volume(size=size)) == gigabytes


@pytest.mark.parametrize(
    ("row", "goes"),
    [
        (root(), True),
        (root(tags=marked(auto_delete="false")), False),
        (volume(), False),
        (volume(tags=marked(auto_delete="true")), True),
    ],
)
def test_boot_disks_go_with_their_instance_and_others_stay_unless_marked(row: dict[str, Any], goes: bool) -> None:
    assert volumes.auto_delete(row) is goes


@pytest.mark.parametrize("boot", [True, False])
@pytest.mark.parametrize("goes", [True, False])
def test_only_what_differs_from_the_rule_is_marked(boot: bool, goes: bool) -> None:
    marks = volumes.marks(auto_delete=goes, boot=boot)
    row = root() if boot else volume()
    assert (
        volumes.auto_delete(row | {"tags": marked(**{key.replace("-", "_"): value for key, value in marks.items()})})
        is goes
    )
    assert (marks == {}) is (boot is goes)


def test_a_disk_type_is_remembered_until_the_offering_is_changed() -> None:
    mark = volumes.type_mark("pd-ssd", "d258760a-086c")
    assert volumes.marked_type(volume(tags=marked(disk_type=mark), diskofferingid="d258760a-086c")) == "pd-ssd"
    assert volumes.marked_type(root(tags=marked(disk_type=mark))) == "pd-ssd"
    assert volumes.marked_type(volume(tags=marked(disk_type=mark), diskofferingid="other")) is None


@pytest.mark.parametrize(
    ("state", "status"),
    [("Ready", "READY"), ("Allocated", "READY"), ("Creating", "CREATING"), ("UploadError", "FAILED"), ("New", "READY")],
)
def test_every_state_has_a_status(state: str, status: str) -> None:
    assert volumes.status(volume(state=state)) == status
