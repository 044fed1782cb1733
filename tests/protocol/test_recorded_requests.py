"""What real clients asked and what GCE answered, held against the checks.

The files in tests/recordings are cut from the project's recordings: ``client_requests`` (gcloud, Google's
SDKs, libcloud, Ansible, Terraform) and ``gce_exchanges`` (GCE's own answers, with placeholders for names and
ids).
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from gstack.errors import GceError
from gstack.protocol.bodies import check_body
from gstack.protocol.decoding import read_body
from gstack.protocol.discovery import document
from gstack.protocol.parameters import check_parameters
from gstack.protocol.responses import check_response

RECORDINGS = Path(__file__).parent.parent / "recordings"
ID = re.compile(r'"(?:0{21}|\$\{\w+\})"')


def _lines(name: str) -> list[str]:
    return gzip.decompress((RECORDINGS / f"{name}.jsonl.gz").read_bytes()).decode().splitlines()


def _exchanges() -> list[dict[str, Any]]:
    """Placeholders replaced: numbers where GCE has numbers, names elsewhere."""
    filled = []
    for line in _lines("gce_exchanges"):
        line = re.sub(r'("(?:id|targetId)": )"[^"]*"', r'\1"1234567890123456789"', line)
        filled.append(json.loads(re.sub(r"\$\{(\w+)\}", lambda hole: f"x{hole[1].lower()}", line)))
    return filled


def _refusals(recorded: dict[str, Any]) -> list[str]:
    method = document().methods[recorded["method"]]
    body = recorded["body"]
    data = b"" if body is None else json.dumps(body).encode()
    try:
        check_parameters(method, recorded["path"], parse_qsl(recorded["query"], keep_blank_values=True))
        read = read_body(data, {}, expects_body=method.request is not None)
        if method.request:
            check_body(method.request, read, method.id)
    except GceError as error:
        return [f"{recorded['client']} {method.id}: {error.message}"]
    return []


def test_no_recorded_client_request_is_refused() -> None:
    requests = [json.loads(line) for line in _lines("client_requests")]
    assert len(requests) > 400
    assert [refusal for recorded in requests for refusal in _refusals(recorded)] == []


def test_what_clients_send_is_read_whole() -> None:
    """Nothing but nulls, ``kind`` and output-only members is missing from what is read."""
    read_members = 0
    for recorded in map(json.loads, _lines("client_requests")):
        method = document().methods[recorded["method"]]
        if method.request and isinstance(recorded["body"], dict):
            members = document().schemas[method.request]["properties"]
            sent = {name for name, value in recorded["body"].items() if value is not None} - {"kind"}
            read = check_body(method.request, recorded["body"], method.id).keys()
            assert {name for name in sent - read if not members[name].get("readOnly")} == set(), method.id
            read_members += len(read)
    assert read_members > 500


def test_no_request_that_gce_took_is_refused() -> None:
    asked = [
        (document().methods[exchange["method"]], exchange["request"])
        for exchange in _exchanges()
        if exchange["request"]
    ]
    read = [check_body(method.request, body, method.id) for method, body in asked if method.request]
    assert len(read) > 50
    assert {} not in read


def test_every_recorded_answer_of_gce_passes_the_response_check() -> None:
    answers = [exchange for exchange in _exchanges() if exchange["status"] == 200]
    assert len(answers) > 200
    problems = {
        problem
        for exchange in answers
        for problem in check_response(document().methods[exchange["method"]].response or "", exchange["response"])
    }
    assert problems == set()
