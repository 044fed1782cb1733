"""Request bodies against the schemas."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.errors import GceError, error_body
from gstack.protocol.bodies import check_body

INSERT = "compute.instances.insert"


def _instance(**members: Any) -> dict[str, Any]:
    return check_body("Instance", {"name": "vm-1", **members}, INSERT)


def _refused(**members: Any) -> GceError:
    with pytest.raises(GceError) as caught:
        _instance(**members)
    assert caught.value.http == 400
    return caught.value


def _disk(**members: Any) -> dict[str, Any]:
    return {"disks": [{"initializeParams": members}]}


@pytest.mark.parametrize(
    ("schema", "body", "longest"),
    [
        ("Disk", lambda text: {"description": text}, 2048),
        ("Instance", lambda text: _disk(description=text), 2048),
        ("HealthCheck", lambda text: {"tcpHealthCheck": {"request": text}}, 1024),
        ("HealthCheck", lambda text: {"httpHealthCheck": {"response": text}}, 1024),
    ],
)
def test_texts_are_as_long_as_gce_lets_them_be(schema: str, body: Any, longest: int) -> None:
    whole = {"name": "x", "type": "TCP"} if schema == "HealthCheck" else {"name": "x"}
    check_body(schema, whole | body("ü" * longest), "compute.none.patch")
    with pytest.raises(GceError, match=f"Must be at most {longest} characters long"):
        check_body(schema, whole | body("x" * (longest + 1)), "compute.none.patch")


@pytest.mark.parametrize("size", ["20", 20, 20.0])
def test_64_bit_integers_may_be_strings_or_numbers(size: Any) -> None:
    checked = _instance(**_disk(diskSizeGb=size))
    assert checked["disks"][0]["initializeParams"]["diskSizeGb"] == 20
    assert isinstance(checked["disks"][0]["initializeParams"]["diskSizeGb"], int)


@pytest.mark.parametrize("size", ["20GB", "", True, 1.5, [20], "9" * 30, 2**63, "-9223372036854775809"])
def test_what_is_no_64_bit_integer_is_refused_by_its_path(size: Any) -> None:
    error = _refused(**_disk(diskSizeGb=size))
    assert error.problems[0].location == "resource.disks[0].initializeParams.diskSizeGb"


def test_a_name_against_its_pattern_gets_gces_sentence() -> None:
    assert _refused(name="Foo").message == (
        "Invalid value for field 'resource.name': 'Foo'. "
        "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'"
    )


def test_an_unknown_member_gets_googles_sentence() -> None:
    error = _refused(tags={"itmes": ["a"]})
    assert error.message == (
        "Invalid JSON payload received. Unknown name \"itmes\" at 'resource.tags': Cannot find field."
    )
    violation = error_body(error)["error"]["details"][0]["fieldViolations"][0]
    assert violation == {"field": "resource.tags.itmes", "description": error.message}


def test_all_problems_are_told_at_once() -> None:
    error = _refused(name="Foo", canIpForward="yes", disks=[{"mode": "RO"}], nope=1)
    assert [problem.location for problem in error.problems] == [
        "resource.name",
        "resource.canIpForward",
        "resource.disks[0].mode",
        "resource.nope",
    ]
    assert error.message.count("\n") == 3


def test_an_enum_lists_what_it_may_be() -> None:
    assert _refused(disks=[{"mode": "RO"}]).message == (
        "Invalid value for field 'resource.disks[0].mode': 'RO'. Must be one of READ_ONLY, READ_WRITE."
    )


def test_output_only_members_and_kind_are_dropped_unseen() -> None:
    echoed = {
        "kind": 7,
        "id": {},
        "selfLink": 1,
        "status": "NEVER",
        "disks": [{"kind": "x", "index": "0", "boot": True}],
    }
    assert _instance(**echoed) == {"name": "vm-1", "disks": [{"boot": True}]}


def test_nulls_are_absent() -> None:
    assert _instance(description=None, labels={"a": None, "b": ""}) == {"name": "vm-1", "labels": {"b": ""}}


def test_null_entries_of_a_list_are_absent() -> None:
    assert _instance(scheduling={"nodeAffinities": [None]}) == {"name": "vm-1", "scheduling": {"nodeAffinities": []}}


def test_an_enum_s_empty_text_is_absent() -> None:
    given = {"onHostMaintenance": "", "provisioningModel": "", "preemptible": False}
    assert _instance(description="", scheduling=given) == {
        "name": "vm-1",
        "description": "",
        "scheduling": {"preemptible": False},
    }


def test_a_missing_member_is_named() -> None:
    with pytest.raises(GceError) as caught:
        check_body("Instance", {"description": "x"}, INSERT)
    assert (caught.value.kind, caught.value.message) == (
        "required",
        "Required field 'resource.name' not specified",
    )


def test_an_empty_body_where_one_is_required_gets_gces_sentence() -> None:
    with pytest.raises(GceError, match="Required field 'resource' not specified"):
        check_body("Instance", {}, INSERT)


def test_members_are_required_of_some_methods_only() -> None:
    assert check_body("Instance", {}, "compute.instances.update") == {}


def test_the_same_annotation_counts_at_depth() -> None:
    error = _refused(metadata={"items": [{"value": "x"}]})
    assert error.message == "Required field 'resource.metadata.items[0].key' not specified"


def test_maps_hold_values_of_one_type() -> None:
    assert _instance(labels={"a": "b"})["labels"] == {"a": "b"}
    assert _refused(labels={"a": 1}).problems[0].location == "resource.labels.a"


@pytest.mark.parametrize("value", ["abc=", "8_yw-Q==", "", "Zm9v"])
def test_base64_of_either_alphabet_is_accepted(value: str) -> None:
    assert _instance(tags={"fingerprint": value})["tags"]["fingerprint"] == value


def test_what_is_no_base64_is_refused() -> None:
    assert "Must be base64." in _refused(tags={"fingerprint": "a!"}).message


@pytest.mark.parametrize(("member", "value"), [("disks", {}), ("scheduling", []), ("tags", "x"), ("name", 1)])
def test_a_value_of_another_shape_is_refused(member: str, value: Any) -> None:
    assert _refused(**{member: value}).problems[0].location == f"resource.{member}"


def test_keys_and_metadata_values_are_not_echoed() -> None:
    error = _refused(disks=[{"diskEncryptionKey": {"rawKey": 42}}], metadata={"items": [{"key": "a", "value": 43}]})
    assert "42" not in error.message
    assert "43" not in error.message


def test_long_values_are_cut_short() -> None:
    assert len(_refused(name="X" * 10_000).message) < 300


def test_a_flood_of_problems_is_cut_off() -> None:
    assert len(_refused(**{f"x{number}": 1 for number in range(500)}).problems) == 20
