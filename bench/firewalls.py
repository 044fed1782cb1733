"""``python -m bench.firewalls [MACHINES]``: what a change to a firewall costs where many machines are, in CloudStack
calls; and that it ends in the same state when the gateway is killed in the middle. The table lands in docs/.

Apart because it counts calls instead of time, and has a gateway of its own to kill. The surprising thing: the machines
are put straight into the embedded CloudStack, with the groups that gstack would have given them.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from bench.stage import ZONE
from gstack import demo
from gstack.firewall import marks
from gstack.firewall.groups import GUARDS, instance_group, network_group
from gstack.simulator import Simulator, serve
from gstack.translate import tags

MACHINES = 1000
USER, NETWORK = "tenant", "default"
PAGE = Path(__file__).parent.parent / "docs" / "firewall-cost.md"
WEB, BALANCER = 2, 10  # every second machine has the tag web, every tenth the tag lb
PAGE_SIZE = 500
WAITING = ("queryAsyncJobResult",)
TCP = [{"IPProtocol": "tcp", "ports": ["443"]}]
HEAD = """# What a change to a firewall costs

`python -m bench.firewalls` puts {machines} machines into the embedded CloudStack, in a zone with security groups, every
second one with the network tag `web` and every tenth with `lb`, and counts the CloudStack calls of each change. Looks
at jobs come on top, and depend on how long CloudStack takes. In the last line the gateway was killed with `kill -9` in
the middle of the change and started again; the rules afterwards are those of the undisturbed change.

| change | CloudStack calls | of which write | seconds | progress shown |
|---|---|---|---|---|
"""


@dataclass
class Cost:
    """One change: its calls by command, how long it took, and the figures of progress that a client saw."""

    what: str
    calls: Counter[str]
    seconds: float
    progress: list[int] = field(default_factory=list)

    @property
    def asked(self) -> int:
        """Calls without looks at jobs."""
        return sum(number for command, number in self.calls.items() if command not in WAITING)

    @property
    def written(self) -> int:
        """Calls that change something."""
        return sum(number for command, number in self.calls.items() if not command.startswith(("list", "query")))


class Crowd:
    """A running gateway in front of a CloudStack full of machines."""

    def __init__(self, simulator: Simulator, running: demo.Gateway, environment: dict[str, str]) -> None:
        self.simulator, self.running = simulator, running
        self.calls: Counter[str] = Counter()
        self.base = f"{environment['GSTACK_URL']}/compute/v1/projects/{environment['GSTACK_PROJECT']}"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = environment["GSTACK_CA_FILE"]
        self.session.headers["Authorization"] = f"Bearer {environment['GSTACK_TOKEN']}"
        self._answer = simulator.answer
        simulator.answer = self._counted  # type: ignore[method-assign]  # to count

    def _counted(self, method: str, raw: Any, cookie: str | None = None) -> Any:
        self.calls[str(raw.get("command"))] += 1
        return self._answer(method, raw, cookie)

    def state(self) -> set[tuple[object, ...]]:
        """All rules of all groups, without their ids."""
        found: list[dict[str, Any]] = []
        while more := self._groups(1 + len(found) // PAGE_SIZE):
            found += more
            if len(more) < PAGE_SIZE:
                break
        members = ("protocol", "startport", "endport", "cidr", "securitygroupname")
        return {
            (group["name"], way, *(rule.get(member) for member in members))
            for group in found
            for way in ("ingressrule", "egressrule")
            for rule in group.get(way, ())
        }

    def _groups(self, page: int) -> list[dict[str, Any]]:
        answer = self.simulator.do(USER, "listSecurityGroups", pagesize=PAGE_SIZE, page=page)
        return list(answer.get("securitygroup", []))

    def change(self, what: str, verb: str, path: str, body: Any = None, *, kill: bool = False) -> Cost:
        """One change to its end; with ``kill`` the gateway is killed as soon as it shows progress."""
        self.calls.clear()
        started = time.monotonic()
        answer = self.session.request(verb, f"{self.base}/{path}", json=body, timeout=60)
        answer.raise_for_status()
        operation, seen = answer.json(), [0]
        while operation["status"] != "DONE":
            time.sleep(0.02)
            operation = self._look(operation["name"]) or operation
            if operation.get("progress", 0) > seen[-1]:
                seen.append(operation["progress"])
            if kill and seen[-1] > 0:
                self._kill()
                kill = False
        if "error" in operation or kill:
            raise RuntimeError(f"{what}: {operation.get('error') or 'it was over before it could be killed'}")
        return Cost(what, Counter(self.calls), time.monotonic() - started, seen)

    def _look(self, name: str) -> dict[str, Any] | None:
        with contextlib.suppress(requests.ConnectionError):
            answer = self.session.get(f"{self.base}/global/operations/{name}", timeout=60)
            answer.raise_for_status()
            return dict(answer.json())
        return None

    def _kill(self) -> None:
        process = self.running.process
        if process is not None:
            process.kill()
            process.wait()
        time.sleep(1.0)  # its children see that it is gone
        self.running.start()


def fill(simulator: Simulator, machines: int) -> None:
    """Machines with the groups and tags that gstack would have given them."""

    def make(command: str, **params: object) -> dict[str, Any]:
        return simulator.do(USER, command, **params)

    def group(name: str, content: dict[str, Any]) -> str:
        made = str(make("createSecurityGroup", name=name, description="bench")["securitygroup"]["id"])
        own = tags.plan_own((), marks.pack(GUARDS, 1, {"owner": "gstack", **content})).create
        make("createTags", resourcetype="SecurityGroup", resourceids=made, **_map("tags", own))
        return made

    shared = group(network_group(NETWORK), {})
    zone = make("listZones", name=ZONE)["zone"][0]["id"]
    template = make("listTemplates", templatefilter="featured")["template"][0]["id"]
    offering = make("listServiceOfferings", name="Tiny")["serviceoffering"][0]["id"]
    place = {"zoneid": zone, "templateid": template, "serviceofferingid": offering}
    for number in range(machines):
        name = f"crowd-{number:04}"
        own = group(instance_group(NETWORK, ZONE, name, "00000"), {"made": time.time_ns() // 1_000_000})
        made = make("deployVirtualMachine", name=name, securitygroupids=f"{shared},{own}", **place)["id"]
        worn = [word for word, each in (("web", WEB), ("lb", BALANCER)) if number % each == 0]
        if worn:
            changes = tags.plan_network_tags((), worn).create
            make("createTags", resourcetype="UserVm", resourceids=made, **_map("tags", changes))
        if number % 100 == 99:
            simulator.settle()
    simulator.settle()


def _map(name: str, entries: list[dict[str, str]]) -> dict[str, str]:
    return {f"{name}[{index}].{key}": text for index, entry in enumerate(entries) for key, text in entry.items()}


@contextlib.contextmanager
def crowd(machines: int) -> Iterator[Crowd]:
    """A gateway that answers mutations at once, in front of ``machines`` machines."""
    simulator = Simulator(job_seconds=0.0, seed=1)
    fill(simulator, machines)
    simulator.job_seconds = 0.02
    server = serve(simulator)
    cloud = demo.Cloud(server.url, *simulator.keys(USER))
    before = os.environ.get("GSTACK_CONF_OPERATION_HOLD_SECONDS")
    os.environ["GSTACK_CONF_OPERATION_HOLD_SECONDS"] = "0"
    try:
        with tempfile.TemporaryDirectory(prefix="gstack-crowd-") as folder:
            running = demo.configured(Path(folder), demo.free_port(), cloud)
            project = demo.key_file(running.settings, cloud)
            running.start()
            try:
                made = Crowd(simulator, running, demo.client_environment(running.settings, cloud, project))
                yield made
                made.session.close()
            finally:
                running.stop()
    finally:
        server.stop()
        os.environ.pop("GSTACK_CONF_OPERATION_HOLD_SECONDS")
        if before is not None:
            os.environ["GSTACK_CONF_OPERATION_HOLD_SECONDS"] = before


def measure(machines: int) -> tuple[list[Cost], bool]:
    """The cost of each change, and whether the one that was killed ended as the one that was not."""
    web = {"name": "web", "network": f"global/networks/{NETWORK}", "allowed": TCP, "targetTags": ["web"]}
    peers = {"name": "peers", "network": f"global/networks/{NETWORK}", "allowed": TCP, "sourceTags": ["lb"]}
    ssh = {"name": "ssh", "network": f"global/networks/{NETWORK}", "allowed": [{"IPProtocol": "icmp"}]}
    with crowd(machines) as here:
        costs = [
            here.change("a firewall for all instances is made", "POST", "global/firewalls", ssh),
            here.change(
                "a firewall whose source tag a tenth of them carries is made", "POST", "global/firewalls", peers
            ),
            here.change(
                "the firewall for all is changed", "PATCH", "global/firewalls/ssh", {"sourceRanges": ["9.0.0.0/8"]}
            ),
            here.change("a firewall whose target tag half of them carry is made", "POST", "global/firewalls", web),
        ]
        expected = here.state()
        costs.append(here.change("that one is deleted", "DELETE", "global/firewalls/web"))
        # Slow enough for the kill to come in the middle.
        here.simulator.faults.add("slow", "authorizeSecurityGroupIngress", times=None, seconds=0.5)
        again = "the same, killed in the middle"
        costs.append(here.change(again, "POST", "global/firewalls", web, kill=True))
        return costs, here.state() == expected


def main() -> None:
    """Measure and write the page."""
    machines = int(sys.argv[1]) if len(sys.argv) > 1 else MACHINES
    costs, same = measure(machines)
    rows = [
        f"| {cost.what} | {cost.asked} | {cost.written} | {cost.seconds:.0f} | "
        f"{', '.join(f'{one} %' for one in cost.progress[1:]) or '-'} |"
        for cost in costs
    ]
    if not same:
        raise SystemExit("the change that was killed has ended in another state")
    PAGE.write_text(HEAD.format(machines=f"{machines:,}") + "\n".join(rows) + "\n")
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
