"""Settings that change how every call is treated: POST enforcement, throttling, and what a crash leaves.

Replays restart_throttle_post line by line; its first two lines are asked over a socket, of a server that restarts.
"""

from __future__ import annotations

from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

from prologue import BEFORE, HOLD
from prologue_steps import machine
from replay import Replay
from sim_cloud import Cloud

from gstack.simulator import Server, Simulator, sign

AREA = "restart_throttle_post"
CRASHED = "083b329d-6258-4ad6-9034-0967daf4ab20"
NOW = 1_795_254_015.0  # 2026-11-21T09:40:15Z


def throttle(cloud: Simulator) -> None:
    cloud.settings["api.throttling.enabled"] = True
    for _ in range(25):
        cloud.do("tenant", "listZones")


BEFORE[AREA, "after crash: vm"] = lambda cloud: cloud.settings.update({"enforce.post.requests.and.timestamps": False})
BEFORE[AREA, "throttled"] = throttle
HOLD.add((AREA, "throttled"))


def after_crash(tmp_path: Path) -> Replay:
    """The cloud of the recording, right after it came back from a crash in the middle of a deploy."""
    replay = Replay(AREA)
    replay.clock.now = NOW - 120
    first = Simulator(job_seconds=100, state_dir=tmp_path, clock=replay.clock, seed=1)
    *_, params, _ = machine("crash-53804", CRASHED, offering="503f7312-7d87-4f2e-a9e0-6e2b70b39ea4")
    params["templateid"] = "77a63f6d-beed-4757-9204-eddd840d9d17"
    answer = first.do("tenant", "deployVirtualMachine", **params)
    replay.clock.now = NOW - 60
    first.do("tenant", "listZones")  # time passes with what is asked: the machine is starting now
    replay.simulator = Simulator(job_seconds=1, state_dir=tmp_path, clock=replay.clock, seed=1)
    replay.ids.update({CRASHED: answer["id"], "8c86c0cb-c0fc-40e3-8578-8ec128418a31": answer["jobid"]})
    replay.clock.now = NOW
    replay.simulator.settings["enforce.post.requests.and.timestamps"] = True
    return replay


def send(server: Server, line: dict) -> tuple[int, dict[str, str]]:
    """Status and raw answer as the recorder noted them; 0 and the error when nobody listens."""
    key, secret = server.simulator.keys("tenant")
    params = {**line["request"], "apiKey": key}
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", f"/client/api?{urlencode({**params, 'signature': sign(params, secret)})}")
        answer = connection.getresponse()
        return answer.status, {"_raw": answer.read().decode(), "content-type": answer.headers["Content-Type"]}
    except ConnectionRefusedError as error:
        return 0, {"_raw": repr(error), "content-type": ""}
    finally:
        connection.close()


def while_restarting(replay: Replay) -> dict[int, str | None]:
    with Server(replay.simulator) as server:
        server.refuse()
        answers = [send(server, replay.lines[0])]
        server.accept()
        answers.append(send(server, replay.lines[1]))
    wanted = [(line["status"], line["response"]) for line in replay.lines[:2]]
    return {
        number: None if answer == told else f"{answer}, recorded {told}"
        for number, (answer, told) in enumerate(zip(answers, wanted, strict=True))
    }


def replay_all(folder: Path) -> tuple[Replay, dict[int, str | None]]:
    """What came of every line of the area."""
    replay = after_crash(folder)
    outcomes = while_restarting(replay)
    for number, line in enumerate(replay.lines[2:], 2):
        outcomes[number] = replay.step(number, line)
    return replay, outcomes


def test_restart_enforcement_crash_and_throttling_answer_as_recorded(tmp_path: Path) -> None:
    _, outcomes = replay_all(tmp_path)
    assert {number: what for number, what in outcomes.items() if what} == {}


def test_the_limit_is_an_account_s_and_passes_with_its_second(cloud: Cloud) -> None:
    cloud.simulator.settings["api.throttling.enabled"] = True
    answers = [cloud.do("listZones") for _ in range(26)]
    assert ["errorcode" in answer for answer in answers] == [False] * 25 + [True]
    assert answers[25]["errortext"].endswith("please retry after [1000] ms.")
    assert "errorcode" not in cloud.do("listZones", "other")
    cloud.clock.now += 1
    assert "errorcode" not in cloud.do("listZones")


def test_root_is_never_throttled(cloud: Cloud) -> None:
    cloud.simulator.settings["api.throttling.enabled"] = True
    assert not any("errorcode" in cloud.do("listZones", "admin") for _ in range(30))


def test_what_is_left_of_the_limit_can_be_asked(cloud: Cloud) -> None:
    cloud.simulator.settings["api.throttling.enabled"] = True
    left = cloud.do("getApiLimit")["apilimit"]
    assert (left["apiIssued"], left["apiAllowed"], left["expireAfter"]) == (1, 24, 1000)
