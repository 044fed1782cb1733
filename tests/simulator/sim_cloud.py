"""A cloud on a clock of its own, short ways to use it, and ids that the seed has.

Apart from conftest.py, because tests import it by name, and every folder has a conftest.
"""

from __future__ import annotations

from gstack.simulator import Simulator

ZONE = "8fcd71d6-6d92-4547-b001-fd414bd9af7a"
UBUNTU = "78ca403c-80ad-4715-b115-882168a09dd5"
DEBIAN = "77a63f6d-beed-4757-9204-eddd840d9d17"
MICRO = "503f7312-7d87-4f2e-a9e0-6e2b70b39ea4"
TINY = "893bd32a-cf34-489e-b52a-d2439a866460"


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_253_000.0

    def __call__(self) -> float:
        return self.now


class Cloud:
    """A simulator whose jobs take one second of a clock that only the test turns."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.simulator = Simulator(job_seconds=1.0, clock=self.clock, seed=7, sleep=lambda seconds: None, extras=True)

    def do(self, command: str, who: str = "tenant", **params: object) -> dict:
        return self.simulator.do(who, command, **params)

    def wait(self, answer: dict, who: str = "tenant") -> dict:
        """The finished job of an answer."""
        self.clock.now += 20
        return self.do("queryAsyncJobResult", who, jobid=answer["jobid"])

    def run(self, command: str, who: str = "tenant", **params: object) -> dict:
        """Send an asynchronous command and return its finished job."""
        return self.wait(self.do(command, who, **params), who)

    def deploy(self, name: str, who: str = "tenant", **more: object) -> str:
        params = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO, "name": name, **more}
        answer = self.do("deployVirtualMachine", who, **params)
        assert "id" in answer, answer
        self.wait(answer, who)
        return str(answer["id"])

    def machine(self, key: str, who: str = "tenant") -> dict | None:
        rows = self.do("listVirtualMachines", who, id=key).get("virtualmachine", [])
        return rows[0] if rows else None
