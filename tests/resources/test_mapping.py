"""From which field of CloudStack each field of a resource comes, found out by changing one and reading again.

What is found is docs/mapping.json, which docs/fields.md is made of. The surprising thing: nothing here knows the code.
A member of CloudStack's answer is changed or taken away on its way to the gateway, and what then reads otherwise comes
from it. ``python tools/make_mapping.py`` writes the file anew.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gstack.cloudstack.client import Cloud
from gstack.protocol.methods import HANDLERS
from gstack.resources import load_handlers

load_handlers()
PAGE = Path(__file__).parents[2] / "docs" / "mapping.json"
WRITES = os.environ.get("GSTACK_WRITE_PAGES") == "1"
KNOWN: dict[str, dict[str, list[str]]] = json.loads(PAGE.read_text()) if PAGE.exists() else {}
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
SCHEDULE = {
    "schedule": {"dailySchedule": {"daysInCycle": 1, "startTime": "04:00"}},
    "retentionPolicy": {"maxRetentionDays": 7},
}
INSTANCE = {
    "name": "web",
    "machineType": "tiny",
    "labels": {"tier": "gold"},
    "tags": {"items": ["http"]},
    "disks": [{"boot": True, "initializeParams": {"sourceImage": DEBIAN}}],
    "networkInterfaces": [{"accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}],
}
MADE = (
    ("zones/{zone}/instances", INSTANCE),
    ("regions/ch-gva/resourcePolicies", {"name": "nightly", "snapshotSchedulePolicy": SCHEDULE}),
    (
        "zones/{zone}/disks",
        {
            "name": "data",
            "sizeGb": "10",
            "labels": {"a": "b"},
        },
    ),
    ("zones/{zone}/instances/web/attachDisk", {"source": "zones/ch-gva-2/disks/data"}),
    ("zones/{zone}/disks/web/createSnapshot", {"name": "snap", "labels": {"a": "b"}}),
    (
        "zones/{zone}/disks",
        {
            "name": "of-snap",
            "sourceSnapshot": "global/snapshots/snap",
            "resourcePolicies": ["regions/ch-gva/resourcePolicies/nightly"],
        },
    ),
    ("zones/{zone}/disks", {"name": "of-web", "sourceDisk": "zones/ch-gva-2/disks/web"}),
    (
        "global/images",
        {"name": "golden", "sourceSnapshot": "global/snapshots/snap", "family": "mine", "labels": {"a": "b"}},
    ),
    ("global/firewalls", {"name": "ssh", "network": "global/networks/default", "allowed": [{"IPProtocol": "tcp"}]}),
    ("global/networks", {"name": "net", "autoCreateSubnetworks": False}),
    ("regions/de-fra/subnetworks", {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.1.0.0/24"}),
    ("regions/de-fra/addresses", {"name": "address", "labels": {"a": "b"}}),
)
# Where each collection is read: as a list, so that nothing has to be found by what was changed.
READS = {
    "acceleratorTypes": "zones/{zone}/acceleratorTypes",
    "addresses": "regions/de-fra/addresses",
    "diskTypes": "zones/{zone}/diskTypes",
    "disks": "zones/{zone}/disks",
    "firewalls": "global/firewalls",
    "images": "global/images",
    "instances": "zones/{zone}/instances",
    "machineTypes": "zones/{zone}/machineTypes",
    "networks": "global/networks",
    "projects": "",
    "regions": "regions",
    "resourcePolicies": "regions/ch-gva/resourcePolicies",
    "routers": "regions/de-fra/routers",
    "routes": "global/routes",
    "snapshots": "global/snapshots",
    "subnetworks": "regions/de-fra/subnetworks",
    "zones": "zones",
}
# Links and hashes follow what they are made of; the rest is the same of everything.
FOLLOWERS = ("selfLink", "fingerprint", "Fingerprint", "kind")
GONE = object()
STATES = ("Creating", "Stopped", "Implementing")  # words that mean something to one or the other


class Changer:
    """Changes one member of what CloudStack answers to one command, everywhere in the answer."""

    def __init__(self) -> None:
        self.command: str | None = None
        self.path: tuple[str, ...] = ()
        self.value: Any = None
        self.seen: dict[str, set[tuple[str, ...]]] = {}

    def __call__(self, command: str, answer: Any) -> Any:
        rows = [row for value in answer.values() if isinstance(value, list) for row in value if isinstance(row, dict)]
        self.seen.setdefault(command, set()).update(path for row in rows for path in _members(row))
        if command != self.command:
            return answer
        answer = copy.deepcopy(answer)
        for value in answer.values():
            for row in value if isinstance(value, list) else ():
                _change(row, self.path, self.value)
        return answer


def _members(row: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in row.items():
        yield (*above, name)
        if isinstance(value, list) and value and isinstance(value[0], dict) and not above:
            yield from _members(value[0], (name,))


def _change(row: Any, path: tuple[str, ...], value: Any) -> None:
    if not isinstance(row, dict) or path[0] not in row:
        return
    if len(path) > 1:
        for inner in row[path[0]] if isinstance(row[path[0]], list) else ():
            _change(inner, path[1:], value)
    elif value is GONE:
        del row[path[0]]
    elif value is not None:
        row[path[0]] = value
    else:
        row[path[0]] = _other(row[path[0]])


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 3 + (1 if value < 2**20 else 2**32)
    if isinstance(value, str):
        return str(int(value) + 7) if value.isdecimal() else f"{value}-x"
    return []


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its path; lists of plain values are leaves."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _leaves(entry, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict | list):
        for index, entry in enumerate(value):
            yield from _leaves(entry, f"{path}[{index}]")
    else:
        yield path, value


def _differences(before: Any, after: Any) -> set[str]:
    if _ids(before) == _ids(after):  # what is changed may be what rows are sorted by
        before, after = _by_id(before), _by_id(after)
    old, new = dict(_leaves(before)), dict(_leaves(after))
    found = {_general(path) for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    found = {"labels" if path.startswith("labels.") else path for path in found}
    return {path for path in found if not path.endswith(FOLLOWERS)}


def _by_id(answer: Any) -> Any:
    return sorted(answer, key=lambda row: str(row.get("id"))) if isinstance(answer, list) else answer


def _ids(answer: Any) -> set[str] | None:
    return {str(row.get("id")) for row in answer} if isinstance(answer, list) else None


def _general(path: str) -> str:
    return re.sub(r"\[\d+\]", "[]", path).removeprefix("[].")


@pytest.fixture
def changer(gateway: Any, gateway_process: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A gateway with something in every collection; ``changer.read(collection)`` reads it with nothing cached."""
    for path, body in MADE:
        gateway.run("POST", path, body)
    offering = gateway.cloudstack("listDiskOfferings", name="ssd-10")[0]["id"]
    gateway.cloudstack("createVolume", zoneid=gateway.zone_id, name="theirs", diskofferingid=offering)
    found = Changer()
    opened = Cloud._opened
    monkeypatch.setattr(Cloud, "_opened", lambda self, spec, response: found(spec.name, opened(self, spec, response)))

    def read(collection: str) -> Any:
        for catalogue in gateway_process.catalogues:
            for key in [key for key in catalogue._entries if key[1] != "apis"]:
                del catalogue._entries[key]
        # Not by gateway.call: some changes are so odd that no CloudStack would answer so, and neither is the answer.
        path = f"/compute/v1/projects/tenant/{READS[collection]}".replace("{zone}", gateway.zone).rstrip("/")
        headers = {"Authorization": f"Bearer {gateway.token}"}
        response = gateway.client.get(path, base_url=f"https://{gateway.host}", headers=headers)
        return response.json.get("items", response.json) if response.status_code == 200 else None

    found.read = read  # type: ignore[attr-defined]
    return found


def _sources(changer: Any, collection: str) -> dict[str, list[str]]:
    """GCE's field -> ``command.field`` of CloudStack."""
    changer.command, changer.seen = None, {}
    before = changer.read(collection)
    found: dict[str, set[str]] = {}
    for command, members in sorted(changer.seen.items()):
        for path in sorted(members):
            for changed in _changed(changer, collection, before, command, path):
                found.setdefault(changed, set()).add(f"{command}.{'[].'.join(path)}")
    return {field: _plain(sources) for field, sources in sorted(found.items())}


def _plain(sources: set[str]) -> list[str]:
    """Tags as one, and of a list and what is in it the latter."""
    found = {source.partition(".tags[]")[0] + ".tags" if ".tags[]" in source else source for source in sources}
    return sorted(source for source in found if not any(other.startswith(f"{source}[]") for other in found))


def _changed(changer: Any, collection: str, before: Any, command: str, path: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for value in (None, GONE, *(STATES if path[-1] == "state" else ())):
        changer.command, changer.path, changer.value = command, path, value
        after = changer.read(collection)
        changer.command = None
        if after is not None and isinstance(after, list) == isinstance(before, list) and len(after) == len(before):
            found |= _differences(before, after)
    return found


@pytest.mark.skipif(not WRITES, reason="writes docs/mapping.json, which takes minutes")
def test_the_mapping_is_found_out_and_written(changer: Any) -> None:
    found = {collection: _sources(changer, collection) for collection in READS}
    assert found["disks"]["sizeGb"] == ["listVolumes.size"]
    PAGE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


@pytest.mark.parametrize("collection", ["disks", "snapshots"])
def test_what_the_mapping_says_is_so(changer: Any, collection: str) -> None:
    before = changer.read(collection)
    for field, (source, *_) in KNOWN[collection].items():
        command, _, name = source.partition(".")
        path = tuple(name.split("[]."))
        paths = [path, (*path, "key"), (*path, "value")] if path[-1] == "tags" else [path]
        changed = [_changed(changer, collection, before, command, one) for one in paths]
        assert field in set().union(*changed), (field, source)


def test_every_collection_that_is_read_here_is_in_the_mapping() -> None:
    assert set(KNOWN) == set(READS)
    assert set(READS) <= {name.split(".")[1] for name in HANDLERS}
