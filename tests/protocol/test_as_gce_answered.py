"""Our answers beside those that GCE was recorded to give to the same requests: the same members, types and forms.

What differs is listed below with its reason; an entry that no longer differs has to go. Names, numbers and times are
random in both. A collection that is served from now on gets a line in ``OURS``.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXCHANGES = [
    json.loads(line)
    for line in gzip.decompress(
        (Path(__file__).parent.parent / "recordings" / "gce_exchanges.jsonl.gz").read_bytes()
    ).splitlines()
]
FORMS = {
    "time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[-+]\d\d:\d\d)"),
    "link": re.compile(r"https://\S+/compute/v1/projects/\S+"),
    "range": re.compile(r"[0-9.]+/\d+"),
    "address": re.compile(r"\d+(\.\d+){3}"),
    "number": re.compile(r"\d+"),
    "capitals": re.compile(r"[A-Z0-9_]+"),
    "fingerprint": re.compile(r"[A-Za-z0-9_-]{11}="),
}
# Placeholders of the recording stand for numbers here.
NUMBERS = ("id", "targetId")
FIREWALL = {"name": "web", "network": "global/networks/default", "allowed": [{"IPProtocol": "tcp"}]}

OURS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "compute.networks.get": lambda gateway: gateway.get("global/networks/default"),
    "compute.subnetworks.get": lambda gateway: gateway.get("regions/ch-gva/subnetworks/default"),
    "operation": lambda gateway: gateway.run("POST", "global/firewalls", FIREWALL),
}
# Members of GCE's that ours may lack, and the other way round, with the reason.
MISSING = {
    "compute.networks.get": {},
    "compute.subnetworks.get": {
        "enableFlowLogs": "there are no flow logs; GCE itself leaves it out of most",
        "allowSubnetCidrRoutesOverlap": "there are no custom routes",
        "reservedInternalRange": "asked for in one recording only",
        "secondaryIpRanges": "asked for in two recordings only",
        "role": "of proxy subnetworks only",
    },
    "operation": {
        "region": "of regional operations",
        "error": "of failed operations",
        "httpErrorMessage": "the same",
        "httpErrorStatusCode": "the same",
        "warnings": "where there is one",
    },
}
MORE = {
    "compute.networks.get": {"mtu", "peerings", "IPv4Range"},
    "compute.subnetworks.get": {"description", "ipv6CidrRange", "ipv6AccessType"},
    "operation": {"clientOperationId", "selfLinkWithId", "operationGroupId", "description"},
}


def _recorded(key: str) -> list[dict[str, Any]]:
    done = [exchange["response"] for exchange in EXCHANGES if exchange["status"] == 200]
    if key == "operation":
        return [one for one in done if one.get("kind") == "compute#operation" and one["status"] == "DONE"]
    found = [exchange for exchange in EXCHANGES if exchange["method"] == key and exchange["status"] == 200]
    return [exchange["response"] for exchange in found]


def _form(name: str, value: Any) -> str:
    if isinstance(value, list):
        return f"list of {_form(name, value[0])}"
    if not isinstance(value, str):
        return type(value).__name__
    if name in NUMBERS and value.startswith("${"):
        return "number"
    return next((form for form, pattern in FORMS.items() if pattern.fullmatch(value)), "text")


def _forms(resources: list[dict[str, Any]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for resource in resources:
        for name, value in resource.items():
            found[name].add(_form(name, value))
    return found


@pytest.mark.parametrize("key", sorted(OURS))
def test_an_answer_has_the_members_that_gce_gives(gateway: Any, key: str) -> None:
    theirs, ours = _forms(_recorded(key)), OURS[key](gateway)
    assert theirs
    assert theirs.keys() - ours.keys() - MISSING[key].keys() == set()
    assert ours.keys() - theirs.keys() - MORE[key] == set()


@pytest.mark.parametrize("key", sorted(OURS))
def test_every_member_has_the_type_and_the_form_that_gce_gives_it(gateway: Any, key: str) -> None:
    theirs, ours = _forms(_recorded(key)), _forms([OURS[key](gateway)])
    both = ours.keys() & theirs.keys()
    assert {name: (ours[name], theirs[name]) for name in both if not ours[name] & theirs[name]} == {}


@pytest.mark.parametrize("key", sorted(OURS))
def test_no_reason_outlives_its_difference(key: str, gateway: Any) -> None:
    given = OURS[key](gateway).keys()
    assert [name for name in MISSING[key] if name in given] == []


def test_what_is_not_found_is_said_as_gce_says_it(gateway: Any) -> None:
    """Byte for byte, but for ``status``, which GCE leaves out here: several commands of gcloud print it first."""
    recorded = next(
        exchange["response"]["error"]
        for exchange in EXCHANGES
        if exchange["method"] == "compute.networks.get" and exchange["status"] == 404
    )
    text = json.dumps(recorded).replace("${projectId}", "tenant").replace("${networkID}", "none")
    ours = gateway.call("GET", "global/networks/none", status=404)["error"]
    assert ours.pop("status") == "NOT_FOUND"
    assert ours == json.loads(text)
