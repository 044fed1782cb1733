"""``kill -9`` of every process of a running gateway in the middle of an insert: it ends well, and once.

Apart because it has a gateway of its own to kill, and a CloudStack whose time the test moves: its deployments
take hours until the test lets those hours pass.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import gstack
from gstack import demo
from gstack.simulator import Simulator, serve
from tests.ports import may_listen
from tests.waiting import until

Fresh = Callable[[str], str]
HOUR = 3600.0
QUICK = 0.05
WAITS = 500


class World:
    """The embedded CloudStack, its time in the test's hands."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.slow: str | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.cloud = Simulator(
            job_seconds=QUICK,
            clock=lambda: time.time() + self.ahead,
            sleep=self._wait_at_the_gate,
        )
        self._schedule = self.cloud.jobs.schedule
        self.cloud.jobs.schedule = self._slowly  # type: ignore[method-assign]

    def _wait_at_the_gate(self, _seconds: float) -> None:
        self.gate.wait(60)

    def _slowly(self, running: Any, due: float) -> None:
        self._schedule(running, due + HOUR if running.job.command == self.slow else due)

    def slow_down(self, command: str = "deployVirtualMachine") -> None:
        """Jobs of ``command`` that start from now on end when :meth:`speed_up` is called."""
        self.slow = command

    def speed_up(self) -> None:
        """Let hours pass, and all jobs with them; those that come later are quick."""
        with self.cloud.lock:
            self.slow = None
            self.ahead = 10 * HOUR
            self.cloud.settle()
            self.ahead = 0.0

    def pending(self, command: str) -> bool:
        """Whether a job of ``command`` is under way."""
        with self.cloud.lock:
            return any(job.command == command and job.status == 0 for job in self.cloud.world.job)

    def machines(self, name: str) -> list[str]:
        """The states of all machines of that name which anybody can still see."""
        rows = self.cloud.do("tenant", "listVirtualMachines", name=name).get("virtualmachine", [])
        return [row["state"] for row in rows]


class Gateway:
    """A gateway process that this test may kill, and a client of it."""

    def __init__(self, running: demo.Gateway, cloud: demo.Cloud, environment: dict[str, str]) -> None:
        self.running = running
        self.cloud = cloud
        self.environment = environment
        self.base = f"{environment['GSTACK_URL']}/compute/v1/projects/{environment['GSTACK_PROJECT']}"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = environment["GSTACK_CA_FILE"]
        self.session.mount("https://", HTTPAdapter(pool_maxsize=WAITS))
        self.session.headers["Authorization"] = f"Bearer {environment['GSTACK_TOKEN']}"

    def sign_in_anew(self) -> None:
        """With a new key file, as everybody after the database was lost."""
        project = demo.key_file(self.running.settings, self.cloud)
        environment = demo.client_environment(self.running.settings, self.cloud, project)
        self.session.headers["Authorization"] = f"Bearer {environment['GSTACK_TOKEN']}"

    @property
    def pid(self) -> int:
        assert self.running.process is not None
        return self.running.process.pid

    def children(self) -> dict[int, str]:
        """The command lines of the processes that the gateway started, by process id."""
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
        rows = (line.split(None, 2) for line in listing.stdout.splitlines())
        return {int(pid): args for pid, parent, args in rows if int(parent) == self.pid}

    def operations_worker(self) -> int:
        return next((pid for pid, args in self.children().items() if "operations.worker" in args), 0)

    def web_workers(self) -> list[int]:
        companions = ("-m gstack.operations.worker", "-m gstack.proxy")
        return [pid for pid, args in self.children().items() if not any(each in args for each in companions)]

    def kill(self) -> None:
        """``kill -9`` of the main process."""
        assert self.running.process is not None
        self.running.process.kill()
        self.running.process.wait()

    def get(self, path: str) -> dict[str, Any]:
        answer = self.session.get(f"{self.base}/{path}", timeout=30)
        assert answer.ok, answer.text
        return dict(answer.json())

    def insert(self, name: str, **disk: Any) -> str:
        """Ask for an instance, with these members of its boot disk; the operation's name."""
        return self.start("POST", "instances", {"name": name, **_described("zones/ch-gva-2/machineTypes/micro", disk)})

    def start(self, verb: str, path: str, body: Any = None) -> str:
        """Ask for a change in the zone; the operation's name."""
        answer = self.session.request(verb, f"{self.base}/zones/ch-gva-2/{path}", json=body, timeout=30)
        assert answer.ok, answer.text
        operation = answer.json()
        assert operation["status"] != "DONE"
        return str(operation["name"])

    def outcome(self, operation: str) -> dict[str, Any] | None:
        """The operation if it is DONE. A gateway that is just being killed may not answer."""
        try:
            found = self.get(f"zones/ch-gva-2/operations/{operation}")
        except requests.RequestException:
            return None
        return found if found["status"] == "DONE" else None


def _described(machine_type: str, disk: dict[str, Any]) -> dict[str, Any]:
    image = {"initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-12"}}
    return {
        "machineType": machine_type,
        "disks": [{"boot": True, "autoDelete": True, **(disk if "source" in disk else image | disk)}],
        "networkInterfaces": [{"network": "global/networks/default"}],
    }


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def gateway(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that answers mutations at once, so that it can be killed before they are done."""
    server = serve(world.cloud)
    cloud = demo.Cloud(server.url, *world.cloud.keys("tenant"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GSTACK_CONF_OPERATION_HOLD_SECONDS", "0")
        running = demo.configured(tmp_path_factory.mktemp("kill"), demo.free_port(), cloud)
        project = demo.key_file(running.settings, cloud)
        running.start()
        try:
            made = Gateway(running, cloud, demo.client_environment(running.settings, cloud, project))
            yield made
            made.session.close()
        finally:
            world.gate.set()
            running.stop()
            server.stop()


@pytest.fixture(autouse=True)
def in_good_order(gateway: Gateway, world: World) -> Iterator[None]:
    """Every test begins with all processes up, and leaves time running."""
    until(gateway.operations_worker, what="a running operations worker")
    yield
    world.gate.set()
    world.speed_up()
    world.cloud.faults.clear()


def restart(gateway: Gateway) -> None:
    until(lambda: may_listen(gateway.running.settings["GSTACK_PORT"]), what="a free port")
    gateway.running.start()


def _ends_well(gateway: Gateway, world: World, operation: str, name: str) -> None:
    outcome = until(lambda: gateway.outcome(operation), what=f"the end of {operation}")
    assert "error" not in outcome, outcome
    assert world.machines(name) == ["Running"]
    assert gateway.get(f"zones/ch-gva-2/instances/{name}")["status"] == "RUNNING"


def test_a_killed_gateway_finishes_its_insert_after_a_restart_with_one_machine(
    gateway: Gateway, world: World, fresh: Fresh
) -> None:
    name = fresh("killed")
    world.slow_down()
    operation = gateway.insert(name)
    until(lambda: world.pending("deployVirtualMachine"), what="the deploy job")
    gateway.kill()
    restart(gateway)
    world.speed_up()
    _ends_well(gateway, world, operation, name)


def test_a_gateway_killed_before_cloudstack_answers_makes_no_second_machine(
    gateway: Gateway, world: World, fresh: Fresh
) -> None:
    name = fresh("unheard")
    world.gate.clear()
    fault = world.cloud.faults.add("slow", "deployVirtualMachine")
    operation = gateway.insert(name)
    until(lambda: fault.hits, what="the call of deployVirtualMachine")
    gateway.kill()
    world.gate.set()
    until(lambda: world.machines(name), what="the machine whose answer nobody heard")
    restart(gateway)
    _ends_well(gateway, world, operation, name)


def test_a_killed_gateway_boots_one_machine_from_the_disk_that_is_there(
    gateway: Gateway, world: World, fresh: Fresh
) -> None:
    old, name = fresh("old"), fresh("reborn")
    _ends_well(gateway, world, gateway.insert(old, autoDelete=False), old)
    deletion = gateway.start("DELETE", f"instances/{old}")
    assert "error" not in until(lambda: gateway.outcome(deletion), what="the end of the old instance")
    world.slow_down()
    operation = gateway.insert(name, source=f"zones/ch-gva-2/disks/{old}")
    until(lambda: world.pending("deployVirtualMachine"), what="the deploy job")
    gateway.kill()
    restart(gateway)
    world.speed_up()
    _ends_well(gateway, world, operation, name)
    (disk,) = gateway.get(f"zones/ch-gva-2/instances/{name}")["disks"]
    assert disk["source"].endswith(f"/disks/{old}")


@pytest.mark.long
@pytest.mark.parametrize("command", ["deployVirtualMachine", "detachVolume", "destroyVirtualMachine"])
def test_a_gateway_killed_while_it_makes_a_disk_of_an_image_makes_one(
    gateway: Gateway, world: World, fresh: Fresh, command: str
) -> None:
    name = fresh("imaged")
    world.gate.clear()
    fault = world.cloud.faults.add("slow", command)
    body = {"name": name, "sourceImage": "projects/debian-cloud/global/images/family/debian-12", "labels": {"a": "b"}}
    operation = gateway.start("POST", "disks", body)
    until(lambda: fault.hits, what=f"the call of {command}")
    gateway.kill()
    world.gate.set()
    restart(gateway)
    outcome = until(lambda: gateway.outcome(operation), what="the end of the disk")
    assert ("error" in outcome, "warnings" in outcome) == (False, False), outcome
    assert gateway.get(f"zones/ch-gva-2/disks/{name}")["labels"] == {"a": "b"}
    machines = world.cloud.do("tenant", "listVirtualMachines", keyword="gstack-disk").get("virtualmachine", [])
    assert [row["state"] for row in machines if row["state"] not in ("Destroyed", "Expunging")] == []
    marked = {"tags[0].key": "gstack:name", "tags[0].value": name}
    assert world.cloud.do("tenant", "listVolumes", **marked)["count"] == 1


def test_a_gateway_killed_while_disks_of_images_are_attached_boots_one_machine(
    gateway: Gateway, world: World, fresh: Fresh
) -> None:
    name = fresh("filled")
    world.gate.clear()
    fault = world.cloud.faults.add("slow", "attachVolume")
    other = {"sourceImage": "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts", "diskName": f"{name}-2"}
    described = _described("zones/ch-gva-2/machineTypes/micro", {})
    described["disks"].append({"autoDelete": True, "initializeParams": other})
    operation = gateway.start("POST", "instances", {"name": name, **described})
    until(lambda: fault.hits, what="the call of attachVolume")
    gateway.kill()
    world.gate.set()
    restart(gateway)
    _ends_well(gateway, world, operation, name)
    assert len(gateway.get(f"zones/ch-gva-2/instances/{name}")["disks"]) == 2


def test_a_killed_gateway_finishes_many_inserts_with_one_machine_each(
    gateway: Gateway, world: World, fresh: Fresh
) -> None:
    stem = fresh("many")
    world.slow_down()
    body = {"count": "2", "namePattern": f"{stem}-#", "instanceProperties": _described("micro", {})}
    operation = gateway.start("POST", "instances/bulkInsert", body)
    until(lambda: world.pending("deployVirtualMachine"), what="a deploy job")
    gateway.kill()
    restart(gateway)
    world.speed_up()
    for name in (f"{stem}-1", f"{stem}-2"):
        _ends_well(gateway, world, operation, name)


def test_a_killed_operations_worker_is_replaced_and_finishes_the_insert(
    gateway: Gateway, world: World, fresh: Fresh
) -> None:
    name = fresh("workless")
    world.slow_down()
    operation = gateway.insert(name)
    until(lambda: world.pending("deployVirtualMachine"), what="the deploy job")
    killed = until(gateway.operations_worker, what="the operations worker")
    os.kill(killed, signal.SIGKILL)
    until(lambda: gateway.operations_worker() not in (0, killed), what="another operations worker")
    world.speed_up()
    _ends_well(gateway, world, operation, name)


def test_a_killed_web_worker_is_replaced_and_stops_neither_an_operation_nor_the_gateways_end(
    gateway: Gateway, world: World, fresh: Fresh
) -> None:
    name = fresh("webless")
    world.slow_down()
    operation = gateway.insert(name)
    until(lambda: world.pending("deployVirtualMachine"), what="the deploy job")
    before = gateway.web_workers()
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(set(gateway.web_workers()) - {before[0]}) == len(before), what="another web worker")
    world.speed_up()
    _ends_well(gateway, world, operation, name)
    process = gateway.running.process
    assert process is not None
    process.terminate()
    assert process.wait(timeout=120) == 0
    restart(gateway)


def test_an_operation_outlives_an_upgrade(
    gateway: Gateway,
    world: World,
    fresh: Fresh,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = Path(gstack.__file__).parent
    newer = tmp_path / "gstack"
    shutil.copytree(package, newer)
    top = newer / "__init__.py"
    top.write_text(top.read_text().replace(gstack.__version__, "999.0"))
    name = fresh("upgraded")
    world.slow_down()
    operation = gateway.insert(name)
    until(lambda: world.pending("deployVirtualMachine"), what="the deploy job")
    gateway.running.stop()
    with monkeypatch.context() as elsewhere:
        elsewhere.chdir(tmp_path)  # python -m finds what lies in the working directory first
        told = subprocess.run([sys.executable, "-m", "gstack", "--version"], capture_output=True, text=True, check=True)
        assert "999.0" in told.stdout
        restart(gateway)
    world.speed_up()
    _ends_well(gateway, world, operation, name)


def test_no_process_of_a_killed_gateway_stays(gateway: Gateway) -> None:
    left = list(gateway.children())
    assert len(left) >= 2
    gateway.kill()
    until(lambda: not any(map(_is_running, left)), what="the end of every process")
    restart(gateway)


def _is_running(pid: int) -> bool:
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(shown.stdout.strip()) and not shown.stdout.startswith("Z")


def test_a_token_outlives_a_restart(gateway: Gateway) -> None:
    assert gateway.get("zones")["items"]
    gateway.running.stop()
    restart(gateway)
    gateway.session.close()
    assert gateway.get("zones")["items"]


def test_an_expired_token_is_refused_in_gces_words(gateway: Gateway) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": gateway.cloud.api_key,
        "client_secret": gateway.cloud.secret_key,
    }
    token = gateway.session.post(
        f"{gateway.environment['GSTACK_URL']}/token", data=form, headers={"Authorization": None}, timeout=30
    ).json()["access_token"]
    with sqlite3.connect(gateway.running.settings.folder / "gstack.db") as store:
        digest = sha256(token.encode()).hexdigest()
        aged = store.execute("UPDATE access_token SET expires_at = 1 WHERE hash = ?", (digest,))
        assert aged.rowcount == 1
    store.close()
    answer = gateway.session.get(f"{gateway.base}/zones", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert answer.status_code == 401
    error = answer.json()["error"]
    assert error["message"].startswith("Request had invalid authentication credentials.")
    assert error["status"] == "UNAUTHENTICATED"
    assert error["errors"][0]["reason"] == "authError"


def test_a_running_gateway_whose_database_is_deleted_goes_on_with_a_new_one(
    gateway: Gateway, world: World, fresh: Fresh
) -> None:
    name = fresh("kept")
    _ends_well(gateway, world, gateway.insert(name), name)
    before = gateway.get(f"zones/ch-gva-2/instances/{name}")
    worker, folder = gateway.operations_worker(), gateway.running.settings.folder
    gone = [path.unlink() or path for path in folder.glob("gstack.db*")]
    assert folder / "gstack.db" in gone
    until(lambda: gateway.operations_worker() not in (0, worker), what="another operations worker")
    literal = {"Authorization": f"Bearer {gateway.cloud.api_key}:{gateway.cloud.secret_key}"}
    path = f"{gateway.base}/zones/ch-gva-2/instances/{name}"
    answer = until(lambda: _answered(gateway, path, literal), what="an answer from a new database")
    assert [answer[part] for part in ("id", "machineType", "disks")] == [
        before[part] for part in ("id", "machineType", "disks")
    ]
    body = {"labels": {"a": "b"}, "labelFingerprint": before["labelFingerprint"]}
    started = until(lambda: _answered(gateway, f"{path}/setLabels", literal, body), what="an operation that is taken")
    wait = f"{gateway.base}/zones/ch-gva-2/operations/{started['name']}/wait"
    assert gateway.session.post(wait, headers=literal, timeout=150).json()["status"] == "DONE"
    assert _answered(gateway, path, literal)["labels"] == {"a": "b"}
    assert (folder / "gstack.db").stat().st_mode & 0o077 == 0
    gateway.sign_in_anew()
    assert gateway.get(f"zones/ch-gva-2/instances/{name}")["labels"] == {"a": "b"}


def _answered(gateway: Gateway, path: str, headers: dict[str, str], body: Any = None) -> Any:
    """What is answered, as soon as the store has its tables and the credential."""
    verb = "GET" if body is None else "POST"
    answer = gateway.session.request(verb, path, json=body, headers=headers, timeout=30)
    assert answer.status_code in (200, 401, 503), answer.text
    return answer.json() if answer.ok else None


def test_500_waits_at_once_do_not_delay_a_get(gateway: Gateway, world: World, fresh: Fresh) -> None:
    name = fresh("awaited")
    world.slow_down()
    operation = gateway.insert(name)
    until(lambda: world.pending("deployVirtualMachine"), what="the deploy job")
    url = f"{gateway.base}/zones/ch-gva-2/operations/{operation}/wait"

    def wait() -> requests.Response:
        for _ in range(5):  # as clients do whose handshake takes too long where five hundred begin one at once
            with suppress(requests.ConnectionError):
                return gateway.session.post(url, timeout=150)
        return gateway.session.post(url, timeout=150)

    with ThreadPoolExecutor(WAITS) as threads:
        waits = [threads.submit(wait) for _ in range(WAITS)]
        for _ in range(20):
            assert gateway.get("zones/ch-gva-2")["status"] == "UP"
        until(lambda: sum(wait.done() for wait in waits) > WAITS / 2, what="those who found no slot turned away")
        assert gateway.get("zones/ch-gva-2")["status"] == "UP"
        # A wait lasts as long as the test lets it: a get that queued behind one would have been answered after it.
        assert [wait for wait in waits if not wait.done()]
        world.speed_up()
        answers = [wait.result() for wait in waits]
    assert [answer.status_code for answer in answers if not answer.ok] == []
    assert "DONE" in {answer.json()["status"] for answer in answers}
    _ends_well(gateway, world, operation, name)
