"""The strictness of every client, one rule each, held against answers of every kind: docs/clients/index.md.

Apart from the other quirks because each rule is about all answers. A rule walks an answer beside its schema, so that
it sees what kind of value stands where.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gstack.protocol.discovery import document

FAMILY = "projects/debian-cloud/global/images/family/debian-12"
ANSWERS = {
    "": "Project",
    "zones": "ZoneList",
    "regions": "RegionList",
    "Z/machineTypes": "MachineTypeList",
    "aggregated/machineTypes": "MachineTypeAggregatedList",
    "Z/diskTypes": "DiskTypeList",
    "Z/instances": "InstanceList",
    "Z/instances/strict": "Instance",
    "aggregated/instances": "InstanceAggregatedList",
    "Z/disks": "DiskList",
    "global/images": "ImageList",
    "global/snapshots": "SnapshotList",
    "global/firewalls": "FirewallList",
    "global/networks": "NetworkList",
    "aggregated/subnetworks": "SubnetworkAggregatedList",
    "aggregated/addresses": "AddressAggregatedList",
    "global/routes": "RouteList",
    "global/operations": "OperationList",
    "aggregated/operations": "OperationAggregatedList",
}
Seen = list[tuple[str, dict[str, Any], Any]]


def _walk(schema: dict[str, Any], value: Any, path: str) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """(path, schema, value) of an answer and of everything in it."""
    schema = document().schemas[schema["$ref"]] if "$ref" in schema else schema
    yield path, schema, value
    if isinstance(value, list):
        for entry in value:
            yield from _walk(schema["items"], entry, f"{path}[]")
    elif isinstance(value, dict):
        for name, entry in value.items():
            member = schema.get("properties", {}).get(name) or schema["additionalProperties"]
            yield from _walk(member, entry, f"{path}.{name}")


@pytest.fixture(scope="module")
def instance(api: Any) -> Iterator[None]:
    """An instance, so that lists have something to show."""
    disk = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": FAMILY}}
    body = {
        "name": "strict",
        "machineType": "zones/ch-gva-2/machineTypes/micro",
        "labels": {"stage": "test"},
        "disks": [disk],
        "networkInterfaces": [{"network": "global/networks/default"}],
    }
    assert "error" not in api.done("POST", "Z/instances", json=body)
    yield
    api.done("DELETE", "Z/instances/strict")


@pytest.fixture(scope="module")
def seen(api: Any, instance: None) -> Seen:
    """Every value of every answer."""
    values = [
        part for path, schema in ANSWERS.items() for part in _walk({"$ref": schema}, api.get(path), path or "project")
    ]
    assert len(values) > 1000
    return values


def _of(seen: Seen, fits: Callable[[str, dict[str, Any]], bool]) -> Seen:
    found = [part for part in seen if fits(part[0], part[1])]
    assert found, "no answer has such a value"
    return found


def test_an_id_is_a_decimal_string_that_fits_63_bits(seen: Seen) -> None:
    wrong = [
        part
        for part in _of(seen, lambda path, schema: path.endswith(".id") and schema.get("format") == "uint64")
        if not (isinstance(part[2], str) and re.fullmatch(r"[1-9][0-9]{0,18}", part[2]) and int(part[2]) < 2**63)
    ]
    assert wrong == []


@pytest.mark.parametrize("path", [path for path, schema in ANSWERS.items() if schema.endswith("List")])
@pytest.mark.usefixtures("instance")
def test_a_lists_id_is_a_string(api: Any, path: str) -> None:
    assert isinstance(api.get(path)["id"], str)


def test_a_64_bit_number_is_text(seen: Seen) -> None:
    numbers = _of(seen, lambda path, schema: schema.get("format") in ("int64", "uint64"))
    assert [part for part in numbers if not (isinstance(part[2], str) and re.fullmatch("-?[0-9]+", part[2]))] == []


def test_a_32_bit_number_is_a_whole_number(seen: Seen) -> None:
    numbers = _of(seen, lambda path, schema: schema.get("format") in ("int32", "uint32"))
    assert [part for part in numbers if type(part[2]) is not int] == []


def test_a_boolean_is_no_text(seen: Seen) -> None:
    values = _of(seen, lambda path, schema: schema.get("type") == "boolean")
    assert [part for part in values if type(part[2]) is not bool] == []


def test_a_word_of_an_enum_is_one_that_clients_know(seen: Seen) -> None:
    words = _of(seen, lambda path, schema: "enum" in schema)
    assert [part for part in words if part[2] not in part[1]["enum"]] == []


def test_a_time_is_rfc_3339(seen: Seen) -> None:
    times = _of(seen, lambda path, schema: path.endswith(("Timestamp", "Time")))
    form = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}([+-]\d\d:\d\d|Z)"
    assert [part for part in times if not re.fullmatch(form, part[2])] == []


def test_a_fingerprint_is_base64(seen: Seen) -> None:
    prints = _of(seen, lambda path, schema: path.lower().endswith("fingerprint"))
    assert [part for part in prints if not re.fullmatch(r"[-_A-Za-z0-9]{10,}=", part[2])] == []


def test_every_link_is_whole_and_https(seen: Seen, api: Any) -> None:
    texts = [(path, value) for path, _, value in seen if isinstance(value, str) and "/projects/" in value]
    assert texts
    begin = f"{api.root}/compute/v1/projects/"
    assert [part for part in texts if not part[1].startswith(begin)] == []


def test_nothing_is_null(seen: Seen) -> None:
    assert [part for part in seen if part[2] is None] == []


def test_nothing_is_named_that_the_schema_does_not_know(api: Any, instance: None) -> None:
    for path, schema in ANSWERS.items():
        known = document().schemas[schema]["properties"]
        assert set(api.get(path)) <= set(known), path


@pytest.mark.parametrize("path", ["zones", "regions", "Z/machineTypes", "global/networks"])
def test_lists_that_libcloud_reads_unchecked_have_items(api: Any, path: str) -> None:
    assert api.get(path)["items"]


def test_an_error_has_code_message_and_errors(api: Any) -> None:
    answer = api("GET", "Z/instances/nobody")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, 404)
    assert error["message"] == error["errors"][0]["message"]
    assert (error["errors"][0]["domain"], error["errors"][0]["reason"]) == ("global", "notFound")


def test_an_answer_is_compressed_for_those_who_ask_and_for_no_other(api: Any) -> None:
    packed = api("GET", "Z/machineTypes", headers={"Accept-Encoding": "gzip"}, stream=True)
    body = packed.raw.read(decode_content=False)
    assert packed.headers["Content-Encoding"] == "gzip"
    plain = api("GET", "Z/machineTypes", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert json.loads(gzip.decompress(body))["items"] == plain.json()["items"]
