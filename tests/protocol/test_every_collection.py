"""What holds for every collection that is served, whoever serves it: found by name and number, links that lead back,
pages, masks and empty results alike. A collection is tested here as soon as its methods are bound.
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlsplit

import pytest

from gstack.protocol.discovery import document
from gstack.protocol.methods import HANDLERS
from gstack.resources import load_handlers

load_handlers()
LISTS = sorted(
    name
    for name in HANDLERS
    if name.endswith((".list", ".aggregatedList")) and document().methods[name].path.startswith("projects/<project>/")
)
HOLES = {"<project>": "tenant", "<zone>": "ch-gva-2", "<region>": "ch-gva"}
CHECK = {"name": "check", "type": "TCP", "tcpHealthCheck": {"port": 80}}
FIREWALL = {"name": "web", "network": "global/networks/default", "allowed": [{"IPProtocol": "tcp"}]}


def _path(method_id: str) -> str:
    path = document().methods[method_id].path
    for hole, name in HOLES.items():
        path = path.replace(hole, name)
    return f"/compute/v1/{path}"


def _items(answer: dict[str, Any]) -> list[dict[str, Any]]:
    items = answer.get("items", [])
    if isinstance(items, list):
        return items
    members = [member for scope in items.values() for member in scope.values()]
    return [item for member in members if isinstance(member, list) for item in member]


def _members_of(method_id: str) -> set[str]:
    return set(document().schemas[str(document().methods[method_id].response)]["properties"])


@pytest.fixture
def full(gateway: Any) -> Any:
    """A gateway with something in most collections."""
    gateway.deploy("vm1")
    gateway.run("POST", "global/firewalls", FIREWALL)
    gateway.run("POST", "global/healthChecks", CHECK)
    gateway.run("POST", "zones/{zone}/instanceGroups", {"name": "group"})
    return gateway


def test_every_row_is_found_by_its_link_and_by_its_number(full: Any) -> None:
    read = 0
    for method_id in LISTS:
        if f"{method_id.rpartition('.')[0]}.get" in HANDLERS:
            for item in _items(full.get(_path(method_id)))[:2]:
                path = urlsplit(item["selfLink"]).path
                collection, _, last = path.rpartition("/")
                assert last == item["name"]
                assert full.get(path) == item, path
                assert full.get(f"{collection}/{item['id']}")["name"] == item["name"], path
                read += 1
    assert read > len(LISTS) / 2


def test_a_number_of_nothing_is_not_found_under_that_number(full: Any) -> None:
    for collection in ("zones", "regions", "zones/{zone}/machineTypes", "zones/{zone}/instances", "global/firewalls"):
        assert "/123456789' was not found" in full.refuse("GET", f"{collection}/123456789", status=404)


def test_pages_of_one_are_the_whole_in_order(full: Any) -> None:
    for method_id in LISTS:
        path = _path(method_id)
        whole = [item["selfLink"] for item in _items(full.get(path))]
        seen: list[str] = []
        token: dict[str, str] = {}
        for _ in range(len(whole) + 1):
            answer = full.get(path, maxResults=1, **token)
            seen += [item["selfLink"] for item in _items(answer)]
            if "nextPageToken" not in answer:
                break
            token = {"pageToken": answer["nextPageToken"]}
        assert seen == whole, method_id


def test_an_empty_result_has_the_shape_that_clients_expect(full: Any) -> None:
    for method_id in LISTS:
        answer = full.get(_path(method_id), filter="name = nothing-of-this-name")
        if method_id.endswith(".aggregatedList"):
            assert isinstance(answer["items"], dict), method_id
            assert {scope["warning"]["code"] for scope in answer["items"].values()} <= {"NO_RESULTS_ON_PAGE"}, method_id
        else:
            assert "items" not in answer, method_id
        assert {"kind", "id", "selfLink"} & _members_of(method_id) <= answer.keys(), method_id


@pytest.mark.parametrize(
    ("name", "bad", "said"),
    [
        ("maxResults", "501", "maxResults"),
        ("pageToken", "made-up", "pageToken"),
        ("orderBy", "size", "orderBy"),
        ("filter", "(name", "filter"),
        ("maxResult", "3", "maxResult"),
    ],
)
def test_every_way_to_ask_wrongly_is_refused_by_name(full: Any, name: str, bad: str, said: str) -> None:
    for method_id in LISTS:
        error = full.call("GET", _path(method_id), status=400, **{name: bad})["error"]
        assert error["errors"][0]["location"] == said, method_id


def test_a_mask_cuts_every_list(full: Any) -> None:
    for method_id in LISTS:
        assert set(full.get(_path(method_id), fields="id,nextPageToken")) == {"id"}, method_id


def test_every_fingerprint_is_base64_and_stays_while_nothing_changes(full: Any) -> None:
    """gcloud decodes each of them, and crashes where it cannot."""
    for method_id in LISTS:
        items = _items(full.get(_path(method_id)))
        found = [value for name, value in _members(items) if name.lower().endswith("fingerprint")]
        assert all(len(base64.urlsafe_b64decode(value)) == 8 for value in found), method_id
        assert _items(full.get(_path(method_id))) == items, method_id


def _members(value: Any) -> Any:
    """Every member at any depth, with its name."""
    if isinstance(value, list):
        for entry in value:
            yield from _members(entry)
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield name, entry
            yield from _members(entry)
