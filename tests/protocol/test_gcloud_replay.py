"""Every request of 618 recorded gcloud commands, asked again of a seeded gateway; docs/gcloud.md is what came out.

``tests/recordings/gcloud_commands.jsonl.gz`` is the project's recording as it is. A command finds the objects that it
names (``gcloud_world.py``), and leaves the world as it was. The surprising thing: the page is compared with what the
replay finds, so a method that is served from now on fails this test until ``python tools/make_gcloud.py`` was run.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from gstack.protocol.methods import HANDLERS, REFUSED
from gstack.protocol.pathforms import canonical_path
from tests.protocol.gcloud_world import ISOLATED, SHARED, Place, World

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "gcloud.md"
COMMANDS = [
    json.loads(line)
    for line in gzip.decompress((ROOT / "tests/recordings/gcloud_commands.jsonl.gz").read_bytes()).splitlines()
]
OPERATION = re.compile(r"operation-\d+-abc")
# Where each fingerprint of a request's body is found in what the client read before.
FINGERPRINTS = {
    "setTags": ("tags", "fingerprint"),
    "setMetadata": ("metadata", "fingerprint"),
    "setCommonInstanceMetadata": ("commonInstanceMetadata", "fingerprint"),
}
# What the recording's server found although its name says that it is not there, or answered as it was told to.
MISSING = re.compile("missing-|BadName|other-proj|forbid-proj|forbid1|operation-77")
VALUE = re.compile(r"Invalid value for field '[^']*': '[^']*'\. (?=\S)")
NOT_FOUND = re.compile(r"The resource '([^']+)' (?:of type 'Guest Attribute' )?was not found\.?")
# Refusals that are about the state of something, or about no field: each as it begins, and why that is right.
STATES = {
    "The network 'projects/tenant/global/networks/": "networks of other tools are theirs to delete",
    "The resource 'projects/tenant/zones/": "it is in use, or in a state that forbids the request",
}


@dataclass
class Outcome:
    """How one command went: what it asked of this API, and what stood in its way, by kind."""

    asked: int = 0
    unserved: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    inexact: list[str] = field(default_factory=list)
    over: bool = False  # gcloud would have stopped here
    place: Place = SHARED

    @property
    def served(self) -> bool:
        """Whether nothing stood in its way."""
        return not (self.unserved or self.refused or self.absent)


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


def _replay(gateway: Any, command: dict[str, Any], place: Place, seeded: frozenset[str]) -> Outcome:
    """Send the command's requests. ``gateway.call`` fails for what is no JSON or does not fit its schema.

    What comes after a refused request is sent as well, but says nothing about the command: gcloud would have stopped.
    """
    outcome, read, operation, token = Outcome(place=place), {}, "operation-1-abc", ""
    for request in command["requests"]:
        path = OPERATION.sub(operation, canonical_path(place.ours(request["path"])))
        if request.get("host") or not path.startswith("/compute/"):
            continue
        body = _with_what_was_read(json.loads(place.ours(json.dumps(request["body"]))), path, read)
        query = dict(parse_qsl(place.ours(request.get("query", "")), keep_blank_values=True))
        if "pageToken" in query:
            query["pageToken"] = token  # empty where ours was the last page: then it counts as absent
        answer = gateway.call(request["method"], path, body, status=None, **query)
        assert gateway.status not in (500, 503), (command["command"], path, answer)
        read = answer if request["method"] == "GET" and gateway.status == 200 else read
        token = answer.get("nextPageToken", "")
        operation = answer["name"] if answer.get("kind") == "compute#operation" else operation
        if not outcome.over:
            method = str(gateway._method(request["method"], path).id)
            _judge(outcome, request, gateway.status, answer, method, seeded)
        outcome.asked += 1
    return outcome


def _judge(
    outcome: Outcome,
    request: dict[str, Any],
    status: int,
    answer: dict[str, Any],
    method: str,
    seeded: frozenset[str],
) -> None:
    """What is answered otherwise than with a success is exact in one of four ways, or noted as inexact."""
    outcome.over = status >= 400 or "error" in answer
    if not outcome.over:
        return
    first = answer["error"]["errors"][0]
    message = first["message"]
    told = f"{request['method']} {request['path']} {status}: {message}"
    counts = request["status"] < 400 and not MISSING.search(f"{request['path']} {request['body']}")
    if status == 501:
        why = REFUSED.get(method, "")
        exact = f"The method {method} is not supported" in message and why in message and method not in HANDLERS
        short = f"`{method.removeprefix('compute.')}`"
        if method in HANDLERS:  # what this cloud's CloudStack, or the user's role in it, does not have
            exact, why = "needs CloudStack's command" in message, message
        outcome.unserved.add(f"{short}: {why}" if why else short)
    elif status == 404:
        found = NOT_FOUND.fullmatch(message)
        named = found[1].rsplit("/", 2)[-2:] if found else []
        exact = bool(named) and "/".join(named) not in seeded
        if counts:
            outcome.absent.add(message)
        elif request["status"] == 404:
            exact = exact and found is not None and found[1] in canonical_path(outcome.place.ours(request["path"]))
    else:
        location = first.get("location")
        exact = bool(location) or message.startswith(tuple(STATES))
        if counts:
            outcome.refused.add(f"`{_field(location)}`: {_words(message)}" if location else _words(message))
    if not exact:
        outcome.inexact.append(told)


def _field(location: str) -> str:
    return re.sub(r"\[\d+\]", "[]", location.removeprefix("resource."))


def _words(message: str) -> str:
    """What the gateway says of a refusal, without what CloudStack said and without random numbers."""
    return VALUE.sub("", message.partition(" (CloudStack")[0]).replace("|", "/")


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list[Outcome]]:
    """Every command's outcome, by its surface (``compute instances create``); filled by the one replay of a run."""
    return defaultdict(list)


@pytest.fixture
def replayed(gateway: Any, gateway_process: Any, outcomes: dict[str, list[Outcome]]) -> dict[str, list[Outcome]]:
    """The outcomes, after the replay. What is refused in one place is asked in the other."""
    if not outcomes:
        world = World(gateway, gateway_process)
        for command in COMMANDS:
            outcome = _asked(world, command, world.shared)
            if outcome.refused or outcome.absent:
                second = _asked(world, command, ISOLATED)
                outcome = second if second.served else outcome
            if outcome.asked:
                outcomes[command["surface"]].append(outcome)
    return outcomes


def _asked(world: World, command: dict[str, Any], place: Place) -> Outcome:
    seeded = world.seed(command, place)
    outcome = _replay(world.gateway, command, place, seeded)
    if seeded or any(request["method"] != "GET" for request in command["requests"]):
        world.reset()
    return outcome


def _state(outcomes: list[Outcome]) -> str:
    served = sum(outcome.served for outcome in outcomes)
    if served == len(outcomes):
        return "served"
    if served:
        return f"partly: {served} of {len(outcomes)}"
    if any(outcome.unserved for outcome in outcomes):
        return "not yet"
    return "refused" if any(outcome.refused for outcome in outcomes) else "not found"


def _page(outcomes: dict[str, list[Outcome]]) -> str:
    states = {surface: _state(found) for surface, found in sorted(outcomes.items())}
    counted = Counter(state.partition(":")[0] for state in states.values())
    lines = [
        "# gcloud, command by command",
        "<!-- Made by tools/make_gcloud.py; changes here are overwritten. -->",
        "",
        f"What {len(COMMANDS)} recorded uses of gcloud 528 asked was asked again of this gateway: in {SHARED.title},",
        f"and where that refuses, in {ISOLATED.title}.",
        f"Of {len(states)} commands (GA, beta and alpha) {counted['served']} are served, {counted['partly']} partly,",
        f"{counted['refused']} are refused, {counted['not yet']} do not work yet, {counted['not found']} ask for what "
        "nobody can make here. *Partly* counts the uses that work.",
        "What stands in the way is a method that answers 501, with the reason where it is refused by design; a field",
        "that is refused by name, with what the gateway says of it; or something that is not there.",
        "",
        "| command | state | what stands in the way |",
        "|---|---|---|",
    ]
    for surface, state in states.items():
        why = sorted({text for outcome in outcomes[surface] for text in outcome.unserved | outcome.refused})
        why += sorted({text for outcome in outcomes[surface] for text in outcome.absent})
        lines.append(f"| `{surface or 'other'}` | {state} | {'<br>'.join(why)} |")
    return "\n".join([*lines, ""])


def test_the_page_says_what_the_replay_of_all_commands_found(replayed: dict[str, list[Outcome]]) -> None:
    """Every answer of the replay was checked on the way: JSON as Google shapes it, and never a 500."""
    page = _page(replayed)
    if "GSTACK_WRITE_PAGES" in os.environ:
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "run: python tools/make_gcloud.py"


def test_what_is_no_success_is_the_exact_501_or_404_or_names_the_field(replayed: dict[str, list[Outcome]]) -> None:
    assert [told for found in replayed.values() for outcome in found for told in outcome.inexact] == []


def test_the_recording_is_whole() -> None:
    assert len(COMMANDS) == 618
    assert sum(len(command["requests"]) for command in COMMANDS) == 1453
    assert {"note", "command", "surface", "exit", "requests"} <= COMMANDS[0].keys()
