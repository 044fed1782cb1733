"""Too little quota and too little room, as GCE says it."""

from __future__ import annotations

import pytest

from gstack.cloudstack.errors import cloudstack_error
from gstack.errors import GceError
from gstack.operations.shortages import explained
from gstack.protocol.responses import check_response

ZONE = "projects/p/zones/ch-gva-2/instances/web"
EXCEEDED = (
    "Maximum amount of resources of Type = '{}', tag = 'null' for Account Name = other in Domain Id = 2 is exceeded: "
    "Account Resource Limit = {}, Current Account Resource Amount = 0, Current Account Resource Reservation = 0, "
    "Requested Resource Amount = 1."
)


def quota(kind: str, limit: str, target: str = ZONE) -> GceError:
    return explained(cloudstack_error("deployVirtualMachine", 535, EXCEEDED.format(kind, limit)), target)


@pytest.mark.parametrize(
    ("kind", "limit", "said"),
    [
        ("user_vm", "20", "Quota 'INSTANCES' exceeded.  Limit: 20.0 in region ch-gva."),
        ("cpu", "1", "Quota 'CPUS' exceeded.  Limit: 1.0 in region ch-gva."),
        ("primary_storage", "(5.00 GB) 5368709120", "Quota 'DISKS_TOTAL_GB' exceeded.  Limit: 5.0 in region ch-gva."),
        ("snapshot", "3", "Quota 'SNAPSHOTS' exceeded.  Limit: 3.0 globally."),
        ("memory", "100", "Maximum amount of resources of Type = 'memory'"),
    ],
)
def test_a_quota_is_named_with_its_limit_and_cloudstacks_words(kind: str, limit: str, said: str) -> None:
    error = quota(kind, limit)
    assert error.message.startswith(said) and "Account Resource Limit" in error.message
    assert error.details[0]["quotaInfo"]["limit"] == float(limit.rpartition(" ")[2]) / (
        2**30 if "storage" in kind else 1
    )
    assert check_response("QuotaExceededInfo", error.details[0]["quotaInfo"]) == []


def test_a_quota_that_is_said_otherwise_goes_through_as_it_is() -> None:
    error = GceError("quotaExceeded", "Too many rules.")
    assert explained(error, ZONE) is error


def test_a_zone_without_room_is_named() -> None:
    error = explained(cloudstack_error("startVirtualMachine", 533, "No destination found"), ZONE)
    assert error.message.startswith("The zone 'projects/p/zones/ch-gva-2' does not have enough resources")
    assert "No destination found" in error.message
    info, words = error.details
    assert (
        info["errorInfo"]["metadatas"] == {"zone": "ch-gva-2"} and words["localizedMessage"]["message"] == error.message
    )
