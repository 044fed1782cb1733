"""Answers against the schemas, as the strictest clients read them."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.protocol.responses import check_response

GOOD: dict[str, Any] = {
    "kind": "compute#instance",
    "id": "9223372036854775807",
    "creationTimestamp": "2026-11-21T08:00:00.000-08:00",
    "name": "vm-1",
    "selfLink": "https://gw/compute/v1/projects/p/zones/z-a/instances/vm-1",
    "status": "RUNNING",
    "canIpForward": False,
    "labelFingerprint": "42WmSpB8rSM=",
    "metadata": {"fingerprint": "8_ywcQ9xOSw="},
    "labels": {},
    "disks": [{"diskSizeGb": "20", "index": 0, "boot": True}],
}


def test_a_good_answer_passes() -> None:
    assert check_response("Instance", GOOD) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"description": None}, "Instance.description is null"),
        ({"guestAccelerators": []}, "Instance.guestAccelerators is an empty list"),
        ({"nmae": "x"}, "Instance.nmae is not in the schema"),
        ({"id": 5}, "Instance.id is 5: uint64 must be a decimal string"),
        ({"id": "-5"}, "Instance.id is '-5': out of range for uint64"),
        (
            {"disks": [{"diskSizeGb": 20}]},
            "Instance.disks[0].diskSizeGb is 20: int64 must be a decimal string",
        ),
        ({"disks": [{"index": "0"}]}, "Instance.disks[0].index is '0': int32 must be a number"),
        ({"disks": [{"index": 2.5}]}, "Instance.disks[0].index is 2.5: int32 must be a number"),
        ({"canIpForward": "false"}, "Instance.canIpForward is 'false': Must be true or false."),
        ({"labelFingerprint": "f!"}, "Instance.labelFingerprint is 'f!': Must be base64."),
        ({"labels": {"a": 1}}, "Instance.labels.a is 1: Must be a string."),
        ({"disks": {}}, "Instance.disks is no list"),
        ({"metadata": "x"}, "Instance.metadata is no object"),
        (
            {"creationTimestamp": "yesterday"},
            "Instance.creationTimestamp is 'yesterday': no RFC 3339 timestamp",
        ),
        ({"selfLink": "projects/p"}, "Instance.selfLink is 'projects/p': not absolute"),
    ],
)
def test_what_would_break_a_client_is_told(change: dict[str, Any], problem: str) -> None:
    assert check_response("Instance", GOOD | change) == [problem]


def test_an_enum_and_a_pattern_are_held_in_answers_too() -> None:
    problems = check_response("Instance", {"status": "Running", "name": "VM"})
    assert [problem.split(" ")[0] for problem in problems] == ["Instance.status", "Instance.name"]


def test_a_number_as_text_is_told() -> None:
    assert check_response("Quota", {"limit": "8.0"}) == ["Quota.limit is '8.0': a number as text"]
    assert check_response("Quota", {"limit": 8.0, "usage": 1}) == []


def test_any_value_fits_googles_any() -> None:
    value = {"type": "x", "value": [1, {"a": None}]}
    assert check_response("ErrorInfo", {"metadatas": {"a": "b"}}) == []
    assert check_response("ExchangedPeeringRoutesList", {"warning": {"data": [{"key": "a", "value": "b"}]}}) == []
    assert check_response("Status", {"details": [value]}) == []
