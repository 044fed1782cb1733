"""What can be made to go wrong, and what the simulator forgets and hides by itself."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest
from sim_cloud import Cloud

from gstack.simulator import Simulator, sign
from gstack.simulator.jobs import EXPIRE_SECONDS
from gstack.simulator.simulator import Answer, Cut


def ask(cloud: Cloud, command: str, **params: str) -> Answer:
    key, secret = cloud.simulator.keys("tenant")
    raw = {"command": command, "response": "json", "apiKey": key, **params}
    return cloud.simulator.answer("POST", {**raw, "signature": sign(raw, secret)})


def groups(cloud: Cloud) -> int:
    return int(cloud.do("listSecurityGroups")["count"])


@pytest.mark.parametrize("kind", ["hang", "slow"])
def test_hang_and_slow_wait_and_only_hang_cuts_before_the_work(cloud: Cloud, kind: str) -> None:
    waited: list[float] = []
    cloud.simulator.sleep = waited.append
    before = groups(cloud)
    cloud.simulator.faults.add(kind, "createSecurityGroup", seconds=7)
    if kind == "hang":
        with pytest.raises(Cut):
            ask(cloud, "createSecurityGroup", name="g")
    else:
        assert ask(cloud, "createSecurityGroup", name="g").status == 200
    assert waited == [7]
    assert groups(cloud) - before == (kind == "slow")


@pytest.mark.parametrize("text", ['{"listzonesresponse":', '{"other":{}}', "", None])
def test_garbage_is_any_text_instead_of_an_answer(cloud: Cloud, text: str | None) -> None:
    cloud.simulator.faults.add("garbage", "listZones", text=text)
    answer = ask(cloud, "listZones")
    assert answer.status == 200
    assert answer.body == text.encode() if text is not None else answer.body.startswith(b"<html>")
    assert "listzonesresponse" in orjson.loads(ask(cloud, "listZones").body)


def test_a_status_of_401_says_that_the_signature_is_wrong(cloud: Cloud) -> None:
    cloud.simulator.faults.add("status", "listZones", code=401)
    answer = ask(cloud, "listZones")
    assert (answer.status, answer.headers) == (401, {})
    assert b"unable to verify user credentials" in answer.body


@pytest.mark.parametrize(("told", "status"), [({}, 503), ({"code": 502}, 502)])
def test_a_lost_status_does_the_work_and_answers_a_page(cloud: Cloud, told: dict[str, int], status: int) -> None:
    before = groups(cloud)
    cloud.simulator.faults.add("lost-status", "createSecurityGroup", **told)
    answer = ask(cloud, "createSecurityGroup", name="g")
    assert (answer.status, answer.content_type.split(";")[0]) == (status, "text/html")
    assert groups(cloud) - before == 1


def test_a_job_is_forgotten_a_day_after_its_end(cloud: Cloud) -> None:
    cloud.deploy("web")
    assert len(cloud.simulator.world.job) == 1
    cloud.clock.now += EXPIRE_SECONDS + 1000
    cloud.do("listZones")
    assert len(cloud.simulator.world.job) == 0


def test_the_state_is_for_its_owner_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Simulator(state_dir=tmp_path / "state")
    finally:
        os.umask(before)
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "state", tmp_path / "state" / "cloudstack.json")]
    assert modes == [0o700, 0o600]


def test_a_rule_may_be_for_calls_with_certain_parameters_or_without_them(cloud: Cloud) -> None:
    cloud.simulator.faults.add("status", "listVolumes", times=None, where={"zoneid": None, "type": "ROOT"})
    assert ask(cloud, "listVolumes", type="ROOT").status == 530
    assert ask(cloud, "listVolumes", type="DATADISK").status == 200
    zone = str(cloud.do("listZones")["zone"][0]["id"])
    assert ask(cloud, "listVolumes", type="ROOT", zoneid=zone).status == 200
