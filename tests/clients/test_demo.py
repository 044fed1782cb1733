"""``gstack demo`` as a command: what it runs, what it leaves, what it keeps, and how it refuses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gstack.demo import prepared
from gstack.server import FINISHING_SECONDS
from tests.waiting import until

ROOT = Path(__file__).parents[2]
Alone = Callable[..., Any]
TOUCH = """
import os, requests
session = requests.Session()
session.headers["Authorization"] = "Bearer " + os.environ["GSTACK_TOKEN"]
url = os.environ["GSTACK_URL"] + "/compute/v1/projects/" + os.environ["GSTACK_PROJECT"] + "/global/firewalls"
answer = session.post(url, json={"name": "kept", "allowed": [{"IPProtocol": "icmp"}]})
print(answer.status_code, [row["name"] for row in session.get(url).json()["items"]])
"""


def _answers(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(url).port or 0)) == 0


def test_the_commands_status_is_the_demos_and_nothing_of_it_stays(alone: Alone) -> None:
    ran = alone("gstack", "demo", "--", "sh", "-c", "echo $GSTACK_URL $GSTACK_CA_FILE; test -f $GSTACK_CA_FILE; exit 7")
    url, authority = ran.out.split()
    assert ran.status == 7
    assert not Path(authority).parent.exists()
    assert not _answers(url)


def test_a_demo_that_is_told_to_end_takes_everything_with_it(tools: str, tmp_path: Path) -> None:
    told = tmp_path / "told"
    command = ("gstack", "demo", "--", "sh", "-c", f"echo $GSTACK_URL $GSTACK_CA_FILE > {told}; exec sleep 300")
    with subprocess.Popen(command, env=os.environ | {"PATH": tools, "PYTHONPATH": str(ROOT)}) as running:
        url, authority = until(lambda: told.exists() and told.read_text().split(), what="the running command")
        running.terminate()
        assert running.wait(timeout=60) == 128 + signal.SIGTERM
    assert not Path(authority).parent.exists()
    assert not _answers(url)


def test_ctrl_c_ends_a_demo_without_a_word_of_trouble(tools: str, tmp_path: Path) -> None:
    told = tmp_path / "told"
    command = ("gstack", "demo", "--", "sh", "-c", f"echo ready > {told}; exec sleep 300")
    surroundings = os.environ | {"PATH": tools, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=surroundings, start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as running:
        until(told.exists, what="the running command")
        os.killpg(running.pid, signal.SIGINT)
        said = running.communicate(timeout=60)[1]
    assert "error" not in said
    assert "Traceback" not in said


def test_a_gateway_that_is_told_to_end_while_its_workers_start_ends_by_itself() -> None:
    with prepared(job_seconds=0, gcloud=False) as demo:
        for _ in range(2):
            demo.gateway.stop()
            demo.gateway.start()  # one worker answers, and the other is about to
            assert demo.gateway.process is not None
            demo.gateway.process.terminate()
            assert demo.gateway.process.wait(timeout=FINISHING_SECONDS - 5) == 0


def test_a_state_folder_keeps_the_cloud_for_the_next_time(alone: Alone, tmp_path: Path) -> None:
    command = ("gstack", "demo", "--state", str(tmp_path / "kept"), "--", "python", "-c", TOUCH)
    assert alone(*command).out.split(None, 1)[0] == "200"
    assert alone(*command).out.split() == ["409", "['kept']"]


def test_a_command_that_is_not_there_is_said_to_be_missing(alone: Alone) -> None:
    ran = alone("gstack", "demo", "--", "no-such-client")
    assert ran.status == 127
    assert "no-such-client is not installed" in ran.err


def test_a_cloud_that_cannot_be_reached_ends_the_demo_with_a_sentence(alone: Alone) -> None:
    ran = alone(
        "gstack", "demo", "--cloudstack", "http://localhost:1/client/api", "--api-key=k", "--secret-key=s", "--", "true"
    )  # fmt: skip
    assert ran.status == 1
    assert "Error: No key file could be made for http://localhost:1/client/api" in ran.err
    assert "Traceback" not in ran.err
