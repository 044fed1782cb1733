"""What survives on disk, and that the package stands alone."""

from __future__ import annotations

import ast
from pathlib import Path

from sim_cloud import DEBIAN, MICRO, ZONE

import gstack.simulator
from gstack.simulator import Simulator

ROOT = Path(gstack.simulator.__file__).resolve().parent
PARAMS = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO}


def test_a_restart_keeps_keys_and_machines(tmp_path: Path) -> None:
    first = Simulator(job_seconds=0, state_dir=tmp_path, seed=3)
    made = first.do("tenant", "deployVirtualMachine", name="web-1", **PARAMS)
    first.do("tenant", "listZones")
    second = Simulator(job_seconds=0, state_dir=tmp_path, seed=3)
    assert second.keys("tenant") == first.keys("tenant")
    rows = second.do("tenant", "listVirtualMachines")["virtualmachine"]
    assert [(row["id"], row["state"]) for row in rows] == [(made["id"], "Running")]
    assert second.world.uuid() not in second.world.machine.rows


def test_a_crash_fails_the_pending_job_without_a_result(tmp_path: Path) -> None:
    now = 1_795_253_000.0
    first = Simulator(job_seconds=10, state_dir=tmp_path, clock=lambda: now)
    made = first.do("tenant", "deployVirtualMachine", name="web-1", **PARAMS)
    second = Simulator(job_seconds=10, state_dir=tmp_path, clock=lambda: now)
    job = second.do("tenant", "queryAsyncJobResult", jobid=made["jobid"])
    assert (job["jobstatus"], job["jobresultcode"], "jobresult" in job) == (2, 530, False)
    assert second.do("tenant", "listVirtualMachines")["virtualmachine"][0]["state"] == "Stopped"


def test_two_simulators_share_nothing() -> None:
    one, two = Simulator(job_seconds=0), Simulator(job_seconds=0)
    one.do("tenant", "createSecurityGroup", name="web")
    assert two.do("tenant", "listSecurityGroups")["count"] == 1
    assert one.keys("tenant") != two.keys("tenant")


def test_the_simulator_imports_nothing_of_gstack_but_itself() -> None:
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            depth = len(path.relative_to(ROOT).parts)
            if isinstance(node, ast.ImportFrom):
                assert node.level <= depth, path
                assert node.level or not (node.module or "").startswith("gstack"), path
            elif isinstance(node, ast.Import):
                assert not any(name.name.startswith("gstack") for name in node.names), path
