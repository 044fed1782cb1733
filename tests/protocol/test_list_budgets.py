"""How often a list asks CloudStack, once what is kept of catalogues is there: a table that holds for every list.

Apart from the tests of each collection because the budget is one: nothing for what is kept, at most two calls a page.
"""

from __future__ import annotations

from typing import Any

import pytest

from gstack.protocol.discovery import document
from gstack.protocol.methods import HANDLERS
from gstack.resources import load_handlers

load_handlers()
# The commands of one page of up to 500 rows; what is not named here asks for nothing.
CALLS = {
    "addresses": ["listPublicIpAddresses", "listPublicIpAddresses"],
    "disks": ["listVolumes"],
    "firewalls": ["listSecurityGroups"],
    "images": ["listTemplates"],
    "instances": ["listVirtualMachines", "listVolumes"],
    "networks": ["listNetworks"],
    "regions": ["listAccounts"],
    "resourcePolicies": ["listTags"],
    "routers": ["listNetworks"],
    "routes": ["listNetworks"],
    "snapshots": ["listSnapshots", "listVolumes"],
    "subnetworks": ["listNetworks"],
}
KEPT = {
    "targetPools",
    "backendServices",
    "regionBackendServices",
    "instanceGroupManagers",
    "regionInstanceGroupManagers",
    "regionInstanceGroups",
    "instanceGroups",  # and one call where a group has members: see tests/resources/test_instance_groups.py
    "acceleratorTypes",
    "diskTypes",
    "forwardingRules",
    "globalAddresses",
    "globalOperations",
    "healthChecks",
    "httpHealthChecks",
    "httpsHealthChecks",
    "regionHealthChecks",
    "instanceTemplates",
    "licenses",
    "machineImages",
    "machineTypes",
    "regionInstanceTemplates",
    "regionOperations",
    "zoneOperations",
    "zones",
}
QUERIES: list[dict[str, Any]] = [
    {},
    {"maxResults": 1},
    {"orderBy": "creationTimestamp desc"},
    {"filter": "name = x"},
    {"filter": "name eq x.*"},
    {"filter": "labels.env = prod AND id != 1"},
    {"fields": "nextPageToken"},
    {"returnPartialSuccess": True, "includeAllScopes": True},
]
LISTS = {
    name: HANDLERS[name]
    for name in sorted(HANDLERS)
    if name.endswith((".list", ".aggregatedList")) and document().methods[name].path.startswith("projects/")
}


@pytest.fixture
def warm(gateway: Any) -> Any:
    """A gateway that knows its catalogues, with a machine, a disk and a snapshot of other tools."""
    gateway.deploy("vm1")
    volume = gateway.cloudstack("listVolumes", type="ROOT")[0]["id"]
    gateway.cloudstack("createSnapshot", volumeid=volume, name="s")
    gateway.simulator.settle()
    for name in LISTS:
        gateway.get(_path(gateway, name))
    return gateway


def _path(gateway: Any, name: str) -> str:
    path = document().methods[name].path
    for hole, value in {"<project>": gateway.project, "<zone>": gateway.zone, "<region>": "ch-gva"}.items():
        path = path.replace(hole, value)
    return f"/compute/v1/{path}"


def _asks(method: str, query: dict[str, Any]) -> set[str]:
    return {name for name in query if name in document().methods[method].parameters or name == "fields"}


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_page_costs_no_more_than_the_table_says(warm: Any, query: dict[str, Any]) -> None:
    for name in LISTS:
        given = {key: query[key] for key in _asks(name, query)}
        warm.get(_path(warm, name), **given)
        allowed = list(CALLS.get(name.split(".")[1], ()))
        assert len(allowed) <= 2
        for command in warm.upstream:
            assert command in allowed, (name, warm.upstream)
            allowed.remove(command)


def test_the_table_names_every_list_and_without_a_filter_nothing_is_cheaper(warm: Any) -> None:
    assert {name.split(".")[1] for name in LISTS} == CALLS.keys() | KEPT
    for name in LISTS:
        warm.get(_path(warm, name))
        assert sorted(warm.upstream) == CALLS.get(name.split(".")[1], []), name


@pytest.mark.parametrize("project", ["debian-cloud", "ubuntu-os-cloud"])
def test_images_that_the_operator_offers_are_kept(warm: Any, project: str) -> None:
    path = f"/compute/v1/projects/{project}/global/images"
    warm.get(path)
    warm.get(path, maxResults=1)
    assert warm.upstream == []
