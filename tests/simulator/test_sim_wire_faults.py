"""The faults that only a socket shows: nobody listens, the connection ends too early, the answer is no answer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests
from sim_cloud import Cloud

from gstack.simulator import Server, Simulator, sign
from gstack.simulator.faults import KINDS


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Simulator(job_seconds=0), control=True) as running:
        yield running


def ask(server: Server, command: str = "listZones", **more: str) -> requests.Response:
    key, secret = server.simulator.keys("tenant")
    params = {"response": "json", "apiKey": key, "command": command, **more}
    return requests.get(server.url, params={**params, "signature": sign(params, secret)}, timeout=30)


def groups(server: Server) -> int:
    return int(server.simulator.do("tenant", "listSecurityGroups")["count"])


def is_refused(server: Server) -> bool:
    with pytest.raises(requests.ConnectionError) as caught:
        ask(server)
    return "refused" in str(caught.value)


def test_a_server_that_refuses_listens_again_on_its_port_though_connections_linger(server: Server) -> None:
    port = server.port
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as kept:
        kept.request("GET", "/client/api")
        kept.getresponse().read()
        server.refuse()
    assert is_refused(server)
    server.accept()
    assert (ask(server).status_code, server.port) == (200, port)


def test_a_refusal_begins_with_the_call_that_meets_it_and_does_no_work(server: Server) -> None:
    closed = threading.Event()
    close = server.close
    server.close = lambda: (close(), closed.set())  # type: ignore[method-assign,assignment]
    before = groups(server)
    server.simulator.faults.add("refuse", "createSecurityGroup", seconds=60)
    with pytest.raises(requests.ConnectionError):
        ask(server, "createSecurityGroup", name="g")
    assert closed.wait(30)
    assert is_refused(server)
    assert groups(server) == before


def test_a_refusal_passes_by_itself(server: Server) -> None:
    heard = threading.Event()
    accept = server.accept
    server.accept = lambda: (accept(), heard.set())  # type: ignore[method-assign,assignment]
    server.refuse(0.01)
    assert heard.wait(30)
    assert ask(server).status_code == 200


def test_a_truncated_answer_does_the_work_and_ends_in_the_middle(server: Server) -> None:
    before = groups(server)
    server.simulator.faults.add("truncate", "createSecurityGroup")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        ask(server, "createSecurityGroup", name="g")
    assert groups(server) == before + 1
    assert ask(server).status_code == 200


@pytest.mark.parametrize("code", [401, 429, 503])
def test_a_status_stands_in_the_place_of_an_answer_once(server: Server, code: int) -> None:
    server.simulator.faults.add("status", "listZones", code=code)
    assert [ask(server).status_code for _ in range(2)] == [code, 200]


def test_faults_are_set_from_another_process(server: Server) -> None:
    control = server.url.replace("/client/api", "/control")
    wanted = {"kind": "status", "command": "list*", "code": 503, "times": None}
    assert requests.post(f"{control}/faults", json=wanted, timeout=30).status_code == 200
    assert [ask(server).status_code for _ in range(3)] == [503] * 3
    assert requests.post(f"{control}/clear", timeout=30).status_code == 200
    assert ask(server).status_code == 200


def test_the_nth_job_fails_and_no_other(cloud: Cloud) -> None:
    cloud.simulator.faults.add("fail-job", "createVolume", after=1, code=533, text="no room")
    params = {
        "zoneid": "8fcd71d6-6d92-4547-b001-fd414bd9af7a",
        "diskofferingid": "a9c4edda-f663-44c1-941f-f8bb76f27c59",
    }
    jobs = [cloud.run("createVolume", name=f"v{number}", **params) for number in range(3)]
    assert [job["jobstatus"] for job in jobs] == [1, 2, 1]
    assert jobs[1]["jobresult"] == {"errorcode": 533, "errortext": "no room"}


def test_a_name_taken_at_the_same_moment_is_refused_by_the_database(cloud: Cloud) -> None:
    cloud.simulator.faults.add("race", "createSecurityGroup")
    answers = [cloud.do("createSecurityGroup", name="g") for _ in range(3)]
    assert [answer.get("errorcode") for answer in answers] == [None, 530, 431]
    assert cloud.do("listSecurityGroups", securitygroupname="g")["count"] == 1


def test_every_kind_of_fault_is_told_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, re.M)) == KINDS


def test_an_unknown_kind_is_refused_by_name(cloud: Cloud) -> None:
    with pytest.raises(ValueError, match="explode"):
        cloud.simulator.faults.add("explode")


def test_in_a_process_of_its_own_it_listens_when_it_says_so_refuses_when_told_and_ends_when_told() -> None:
    command = [sys.executable, "-m", "gstack.simulator", "--port", "0", "--control"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = next(line.split()[-1] for line in process.stdout if line.startswith("listening"))
            assert requests.get(url, timeout=30).status_code == 401
            fault = json.dumps({"kind": "refuse", "command": "*", "seconds": 60})
            assert requests.post(url.replace("/client/api", "/control/faults"), fault, timeout=30).status_code == 200
            for _ in range(20):  # first cut off, and then refused
                with pytest.raises(requests.ConnectionError):
                    requests.get(f"{url}?command=listZones", timeout=30)
        finally:
            process.terminate()
        assert process.wait(timeout=120) == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"kind": "flood", "command": "*"}),
        ("faults", {"command": "*"}),
        ("job-seconds", {"seconds": "soon"}),
        ("job-seconds", {}),
        ("settings", {"no.such.setting": 1}),
        ("reaches", {"source": "10.0.0.1", "destination": "10.0.0.2"}),
    ],
    ids=str,
)
def test_what_cannot_be_told_the_server_is_refused_and_why(server: Server, path: str, body: dict) -> None:
    answer = requests.post(server.url.replace("client/api", f"control/{path}"), json.dumps(body), timeout=30)
    assert (answer.status_code, path in answer.json()["error"]) == (400, True)
