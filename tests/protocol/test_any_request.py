"""Whatever is sent, the answer is a 2xx that fits its schema, a well-formed 4xx, or a 501: never a 500.

Requests are made from Google's own description, or from what real clients were recorded to send: mostly of the right
types, with names that exist here, and something wrong in every other one. Hypothesis gives the seeds, so that a failure
is found again; CI sends a few thousand, and ``make fuzz`` 50,000: then every method that is served was asked.
"""

from __future__ import annotations

import copy
import gzip
import json
import os
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gstack.protocol.discovery import Method, document
from gstack.protocol.methods import HANDLERS

REQUESTS = int(os.environ.get("GSTACK_ANY_REQUESTS", "2000"))
BATCH = 20
DEEPEST = 5
DOMAINS = ("global", "usageLimits")
ERRORS = {400, 401, 403, 404, 405, 409, 412, 413, 429, 501}

NAMES = [
    "vm1",
    "vm2",
    "web",
    "default",
    "default-allow-ssh",
    "ch-gva-2",
    "ch-gva",
    "de-fra-1",
    "tenant",
    "debian-cloud",
    "linux-debian-12-64-bit",
    "debian-12",
    "e2-small",
    "n1-standard-1",
    "pd-standard",
    "disk-1",
    "snap-1",
    "img-1",
    "net-1",
    "sub-1",
    "addr-1",
    "nightly",
    "nic0",
    "new-thing",
]
REFERENCES = [
    "zones/ch-gva-2/machineTypes/e2-small", "global/networks/default", "regions/ch-gva/subnetworks/default",
    "projects/debian-cloud/global/images/family/debian-12", "https://www.googleapis.com/compute/v1/projects/tenant",
    "projects/tenant/zones/ch-gva-2/disks/vm1", "//", "zones/ch-gva-2/disks/disk-1", "global/snapshots/snap-1",
    "global/images/img-1", "global/networks/net-1", "regions/de-fra/subnetworks/sub-1",
    "regions/ch-gva/resourcePolicies/nightly", "projects//", "zones/ch-gva-2/diskTypes/pd-standard",
]  # fmt: skip
ODD = [
    "",
    " ",
    "\x00",
    "a" * 300,
    "ü" * 70,
    "-x",
    "X",
    "../..",
    "%2e",
    "{{7*7}}",
    "';--",
    "\ud7ff",
    "0",
    "-1",
    "1e400",
    "null",
    "9" * 25,
    "true",
    "10.1.1.0/24",
    "10.0.0.300",
    "::/0",
    "name eq .*",
    "name=a AND",
    "((((",
    "\u202e",
    "a\nb",
]
NUMBERS = [0, 1, -1, 2**31, 2**63, -(2**63) - 1, 10**30, 65536, 1000, 10, 1.5, -0.0]
WRONG: list[Any] = [None, True, 0, "x", [], {}, [None], [[]], {"a": {}}, [1, "a"], {"": None}]

OURS = {
    "us-central1-a": "ch-gva-2",
    "us-central1": "ch-gva",
    "demo-proj": "tenant",
    "projects/p1": "projects/tenant",
    "networks/net1": "networks/default",
    "networks/tf-net": "networks/default",
    "networks/bn": "networks/default",
}


def _recorded() -> dict[str, list[Any]]:
    """Bodies that clients were recorded to send, by method id, with our names."""
    found: dict[str, list[Any]] = defaultdict(list)
    text = gzip.decompress((Path(__file__).parent.parent / "recordings/client_requests.jsonl.gz").read_bytes()).decode()
    for name, ours in OURS.items():
        text = text.replace(name, ours)
    for request in map(json.loads, text.splitlines()):
        if request["body"]:
            found[request["method"]].append(request["body"])
    return found


RECORDED = _recorded()


class Maker:
    """Makes requests from one seed."""

    def __init__(self, seed: int, served: list[Method], others: list[Method]) -> None:
        self.random = random.Random(seed)
        self.served, self.others = served, others

    def request(self) -> tuple[Method, str, dict[str, str], Any]:
        """A method, a path, its query and its body."""
        chance = self.random
        wanted = [method for method in self.served if method.request] if chance.random() < 0.4 else self.served
        method = chance.choice(wanted if chance.random() < 0.9 else self.others)
        broken = chance.random() < 0.5
        query = {
            name: str(self._value(described, 0, broken)).lower()[:200]
            for name, described in method.parameters.items()
            if described["location"] == "query"
            and name not in ("access_token", "oauth_token", "alt")
            and chance.random() < (0.1 if broken else 0.02)
        }
        if broken and chance.random() < 0.05:
            query[chance.choice(ODD)[:20] or "x"] = "1"
        body = self._body(method, broken) if method.request else None
        if broken and chance.random() < 0.1:
            body = chance.choice(WRONG)
        return method, self._path(method), query, body

    def _body(self, method: Method, broken: bool) -> Any:
        if not RECORDED.get(method.id) or self.random.random() < 0.4:
            return self._object(document().schemas[str(method.request)], 0, broken)
        body = copy.deepcopy(self.random.choice(RECORDED[method.id]))
        if "name" in body:
            body["name"] = self.random.choice(NAMES)
        return self._changed(body) if broken else body

    def _changed(self, value: Any) -> Any:
        """One member, at any depth, is something else."""
        inner = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
        if not inner or self.random.random() < 0.15:
            return self.random.choice([*WRONG, *ODD, *NUMBERS, *REFERENCES])
        key = self.random.choice(inner)
        value[key] = self._changed(value[key])
        return value

    def _path(self, method: Method) -> str:
        def fill(name: str) -> str:
            if name == "project":
                return self.random.choice(["tenant"] * 30 + ["debian-cloud", "nobody"])
            if name in ("zone", "region"):
                real = {"zone": ["ch-gva-2", "de-fra-1"], "region": ["ch-gva", "de-fra"]}[name]
                return self.random.choice(real[:1] * 14 + real[1:] * 7 + ODD[1:4])
            return self.random.choice(NAMES * 4 + ODD)

        parts = []
        for part in method.path.split("/"):
            name = part.strip("<>").removeprefix("path:")
            parts.append(quote(fill(name), safe="") if part.startswith("<") else part)
        return "/compute/v1/" + "/".join(parts)

    def _object(self, schema: Mapping[str, Any], depth: int, broken: bool) -> dict[str, Any]:
        members = schema.get("properties", {})
        few = min(1.0, 5 / (len(members) + 1))
        found = {
            name: self._value(member, depth + 1, broken)
            for name, member in members.items()
            if self.random.random() < (0.8 if name in ("name", "network", "allowed", "disks", "machineType") else few)
        }
        if broken and self.random.random() < 0.1:
            found[self.random.choice(ODD)] = self.random.choice(WRONG)
        return found

    def _value(self, schema: Mapping[str, Any], depth: int, broken: bool) -> Any:
        chance = self.random
        if broken and chance.random() < 0.1:
            return chance.choice([*WRONG, *ODD, *NUMBERS])
        if "$ref" in schema:
            return self._object(document().schemas[schema["$ref"]], depth, broken) if depth < DEEPEST else {}
        kinds: dict[str, Callable[[], Any]] = {
            "array": lambda: [
                self._value(schema["items"], depth + 1, broken) for _ in range(chance.choice([0, 1, 1, 2]))
            ],
            "object": lambda: {
                chance.choice(NAMES + ODD): self._value(schema.get("additionalProperties", {}), depth + 1, broken)
                for _ in range(2)
            },
            "boolean": lambda: chance.random() < 0.5,
            "integer": lambda: chance.choice(NUMBERS if broken else NUMBERS[:2]),
            "number": lambda: chance.choice(NUMBERS),
        }
        made = kinds.get(schema.get("type", ""))
        return made() if made else self._text(schema, broken)

    def _text(self, schema: Mapping[str, Any], broken: bool) -> Any:
        chance = self.random
        if "enum" in schema and chance.random() < 0.9:
            return chance.choice(schema["enum"])
        if schema.get("format") in ("int64", "uint64"):
            return chance.choice([str(number) for number in NUMBERS] + [10])
        return chance.choice(NAMES + REFERENCES + (ODD if broken else []))


@pytest.fixture
def served(gateway: Any) -> list[Method]:
    """What is served, in a world with one of most things."""
    gateway.deploy("vm1")
    gateway.cloudstack("stopVirtualMachine", id=gateway.deploy("vm2")["id"])
    gateway.simulator.settle()
    gateway.cloudstack("createSecurityGroup", name="web")
    gateway.run("POST", "zones/ch-gva-2/disks", {"name": "disk-1", "sizeGb": "10"})
    gateway.run("POST", "zones/ch-gva-2/disks/vm2/createSnapshot", {"name": "snap-1"})
    gateway.run("POST", "global/images", {"name": "img-1", "sourceDisk": "zones/ch-gva-2/disks/vm2"})
    gateway.run("POST", "global/networks", {"name": "net-1", "autoCreateSubnetworks": False})
    piece = {"name": "sub-1", "network": "global/networks/net-1", "ipCidrRange": "10.1.0.0/24"}
    gateway.run("POST", "regions/de-fra/subnetworks", piece)
    gateway.run("POST", "regions/de-fra/addresses", {"name": "addr-1"})
    # wait blocks for what never ends.
    return [handler.method for handler in HANDLERS.values() if handler.method.verb != "wait"]


def _send(gateway: Any, method: Method, path: str, query: dict[str, str], body: Any) -> None:
    told = f"{method.id} {path} {query} {json.dumps(body)}"
    answer = gateway.call(method.http_method, path, body, status=None, **_keywords(query))
    assert gateway.status in ERRORS or gateway.status < 300, f"{told}: {answer}"
    if gateway.status >= 400:
        assert answer["error"]["status"] and answer["error"]["errors"][0]["domain"] in DOMAINS, told


# Threads of the operations' worker use the random module while a seed is drawn.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
def test_no_request_is_answered_by_a_500(gateway: Any, served: list[Method]) -> None:
    others = list(document().methods.values())
    asked: set[str] = set()

    @settings(max_examples=max(1, REQUESTS // BATCH), deadline=None, phases=[Phase.generate], database=None)
    @given(seed=st.integers(0, 2**63))
    def every_batch(seed: int) -> None:
        maker = Maker(seed, served, others)
        for _ in range(BATCH):
            request = maker.request()
            asked.add(request[0].id)
            _send(gateway, *request)

    every_batch()
    assert 20 * len(served) > REQUESTS or asked >= {method.id for method in served}


def _keywords(query: dict[str, str]) -> dict[str, str]:
    """``gateway.call`` has these names for itself."""
    return {name: value for name, value in query.items() if name not in ("method", "path", "body", "status")}
