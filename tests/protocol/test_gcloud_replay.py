"""Every request of 618 recorded gcloud commands, asked again of a seeded gateway; docs/gcloud.md is what came out.

``tests/recordings/gcloud_commands.jsonl.gz`` is cut from the project's recordings. A command finds the machines, disks
and firewalls that it names, and leaves the world as it was. The surprising thing: the page is compared with what the
replay finds, so a method that is served from now on fails this test until ``python tools/make_gcloud.py`` was run.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from gstack.protocol.pathforms import canonical_path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "gcloud.md"
COMMANDS = [
    json.loads(line)
    for line in gzip.decompress((ROOT / "tests/recordings/gcloud_commands.jsonl.gz").read_bytes()).splitlines()
]
# The recorded names and ours. Longer ones first: some begin like others.
NAMES = {
    "us-central1-a": "ch-gva-2",
    "us-central1-b": "ch-gva-2",
    "europe-west1-b": "de-fra-1",
    "europe-west1": "de-fra",
    "us-central1": "ch-gva",
    "debian-cloud/global/images/debian-12-v1": "debian-cloud/global/images/linux-debian-12-64-bit",
    # Images of the project's own: nobody has made any here.
    "demo-proj/global/images/debian-12-v1": "debian-cloud/global/images/linux-debian-12-64-bit",
    "demo-proj/global/images/img1": "debian-cloud/global/images/linux-debian-12-64-bit",
    "demo-proj/global/images/family/debian-12": "debian-cloud/global/images/family/debian-12",
    "networks/net1": "networks/default",
    "networks/bn": "networks/default",
    "demo-proj": "tenant",
    "https://127.0.0.1:18443": "https://gateway.test",
}
NAMED = re.compile("|".join(map(re.escape, NAMES)))
MISSING = re.compile("missing-|BadName|other-proj|forbid-proj|operation-77")
OPERATION = re.compile(r"operation-\d+-abc")
SEEDED = re.compile(r"/(instances|disks|firewalls|snapshots)/([a-z][-a-z0-9]*)")
# Where each fingerprint of a request's body is found in what the client read before.
FINGERPRINTS = {"setTags": ("tags", "fingerprint"), "setMetadata": ("metadata", "fingerprint")}


@dataclass
class Outcome:
    """How one command went: what it asked of this API, and what stood in its way, by kind."""

    asked: int = 0
    unserved: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    over: bool = False  # gcloud would have stopped here


class World:
    """The simulated cloud, with what one command needs, and back again."""

    def __init__(self, gateway: Any, process: Any) -> None:
        self.gateway, self.catalogues = gateway, process.catalogues
        self.simulator = gateway.simulator
        self.tables = {name: table for name, table in vars(self.simulator.world).items() if hasattr(table, "rows")}
        # Pickled, as a copy takes seven times as long.
        self.saved = pickle.dumps({name: vars(table) for name, table in self.tables.items()})
        self.chosen = {
            "zoneid": gateway.zone_id,
            "templateid": gateway.template_id(),
            "serviceofferingid": gateway.offering_id(),
        }
        self.disk_offering = gateway.cloudstack("listDiskOfferings")[0]["id"]

    def reset(self) -> None:
        """As at first; what the gateway remembers of offerings is as good as before."""
        saved = pickle.loads(self.saved)
        for name, table in self.tables.items():
            vars(table).update(saved[name])
        self.simulator.roots = {}
        for catalogue in self.catalogues:
            for key in [key for key in catalogue._entries if key[1] == "networks"]:
                del catalogue._entries[key]

    def seed(self, command: dict[str, Any]) -> bool:
        """Make what the command's requests name, unless it makes it itself or found that it is not there."""
        made: set[str] = set()
        for request in command["requests"]:
            if request["method"] == "POST" and isinstance(request.get("body"), dict):
                made.add(str(request["body"].get("name")))
            for kind, name in SEEDED.findall(f"{request['path']} {json.dumps(request['body'])}"):
                if name not in made and request.get("status") == 200:
                    made.add(name)
                    self._make(kind, name)
        return bool(made)

    def _make(self, kind: str, name: str) -> None:
        if kind == "instances" and name != "bulkInsert":
            self.gateway.cloudstack("deployVirtualMachine", name=name, **self.chosen)
            self.simulator.settle()
        elif kind == "disks":
            where = {"zoneid": self.chosen["zoneid"], "diskofferingid": self.disk_offering}
            self.gateway.cloudstack("createVolume", name=name, **where)
            self.simulator.settle()
        elif kind == "snapshots":
            machine = self.gateway.cloudstack("deployVirtualMachine", name=f"of-{name}", **self.chosen)["id"]
            self.simulator.settle()
            volume = self.gateway.cloudstack("listVolumes", virtualmachineid=machine)[0]["id"]
            self.gateway.cloudstack("createSnapshot", volumeid=volume, name=name)
            self.simulator.settle()
        elif kind == "firewalls":
            self.gateway.cloudstack("createSecurityGroup", name=name)


def _ours(text: str) -> str:
    return NAMED.sub(lambda found: NAMES[found[0]], text)


def _with_what_was_read(body: Any, path: str, read: dict[str, Any]) -> Any:
    """The body with the fingerprints, and network tags, of what was read here, where the client read them there."""
    if isinstance(body, dict):
        body = dict(body)
        if path.endswith("/setTags"):
            body["items"] = sorted({*body.get("items", ()), *read.get("tags", {}).get("items", ())})
        for name in {"fingerprint", "labelFingerprint"} & body.keys():
            found: Any = read
            for member in FINGERPRINTS.get(path.rsplit("/", 1)[-1], (name,)):
                found = found.get(member, {}) if isinstance(found, dict) else {}
            body[name] = found or body[name]
    return body


def _replay(gateway: Any, command: dict[str, Any]) -> Outcome:
    """Send the command's requests. ``gateway.call`` fails for what is no JSON or does not fit its schema.

    What comes after a refused request is sent as well, but says nothing about the command: gcloud would have stopped.
    """
    outcome, read, operation, token = Outcome(), {}, "operation-1-abc", ""
    for request in command["requests"]:
        path = OPERATION.sub(operation, canonical_path(_ours(request["path"])))
        if not path.startswith("/compute/"):
            continue
        body = _with_what_was_read(json.loads(_ours(json.dumps(request["body"]))), path, read)
        query = dict(parse_qsl(_ours(request.get("query", "")), keep_blank_values=True))
        if "pageToken" in query:
            query["pageToken"] = token  # empty where ours was the last page: then it counts as absent
        answer = gateway.call(request["method"], path, body, status=None, **query)
        assert gateway.status not in (500, 503), (command["command"], path, answer)
        read = answer if request["method"] == "GET" and gateway.status == 200 else read
        token = answer.get("nextPageToken", "")
        operation = answer["name"] if answer.get("kind") == "compute#operation" else operation
        if not outcome.over:
            method = gateway._method(request["method"], path)
            _judge(outcome, request, gateway.status, answer, str(method.id).removeprefix("compute."))
        outcome.asked += 1
    return outcome


def _judge(outcome: Outcome, request: dict[str, Any], status: int, answer: dict[str, Any], method: str) -> None:
    """The recording's server found what has "missing" in its name, or is not ours, in some of its commands."""
    outcome.over = status >= 400 or "error" in answer
    if status == 501:
        outcome.unserved.add(method)
    elif outcome.over and request["status"] < 400 and not MISSING.search(f"{request['path']} {request['body']}"):
        failed = answer["error"]["errors"][0]
        reason = failed.get("location") or failed["message"].partition(" (CloudStack")[0]
        outcome.refused.add(re.sub(r"\[\d+\]", "[]", reason.removeprefix("resource.")))


@pytest.fixture
def outcomes(gateway: Any, gateway_process: Any) -> dict[str, list[Outcome]]:
    """Every command's outcome, by its surface (``compute instances create``)."""
    world = World(gateway, gateway_process)
    found: dict[str, list[Outcome]] = defaultdict(list)
    for command in COMMANDS:
        changes = world.seed(command) or any(request["method"] != "GET" for request in command["requests"])
        outcome = _replay(gateway, command)
        if outcome.asked:
            found[command["surface"]].append(outcome)
        if changes:
            world.reset()
    return found


def _state(outcomes: list[Outcome]) -> str:
    served = sum(not (outcome.unserved or outcome.refused) for outcome in outcomes)
    if served == len(outcomes):
        return "served"
    if served:
        return f"partly: {served} of {len(outcomes)}"
    return "not yet" if any(outcome.unserved for outcome in outcomes) else "refused"


def _page(outcomes: dict[str, list[Outcome]]) -> str:
    states = {surface: _state(found) for surface, found in sorted(outcomes.items())}
    counted = Counter(state.partition(":")[0] for state in states.values())
    lines = [
        "# gcloud, command by command",
        "<!-- Made by tools/make_gcloud.py; changes here are overwritten. -->",
        "",
        f"What {len(COMMANDS)} recorded uses of gcloud 528 asked was asked again of this gateway.",
        f"Of {len(states)} commands (GA, beta and alpha) {counted['served']} are served, {counted['partly']} partly,",
        f"{counted['refused']} are refused, {counted['not yet']} do not work yet. *Partly* counts the uses that work.",
        "What is missing is a method that answers 501, a field that is refused by name ([fields](fields.md) says why),",
        "or in words what the gateway answered. The cloud behind it was a basic zone with security groups.",
        "",
        "| command | state | missing |",
        "|---|---|---|",
    ]
    for surface, state in states.items():
        missing = sorted({text for outcome in outcomes[surface] for text in outcome.unserved | outcome.refused})
        lines.append(f"| `{surface or 'other'}` | {state} | {', '.join(f'`{text}`' for text in missing)} |")
    return "\n".join([*lines, ""])


def test_the_page_says_what_the_replay_of_all_commands_found(outcomes: dict[str, list[Outcome]]) -> None:
    """Every answer of the replay was checked on the way: JSON as Google shapes it, and never a 500."""
    page = _page(outcomes)
    if "GSTACK_WRITE_PAGES" in os.environ:
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "run: python tools/make_gcloud.py"


def test_the_recording_is_whole() -> None:
    assert len(COMMANDS) == 618
    assert sum(len(command["requests"]) for command in COMMANDS) > 1400
