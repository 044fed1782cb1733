"""The behaviours of CloudStack that gstack relies on, held against whichever CloudStack there is.

Without more the embedded one, in this process. With GSTACK_LIVE_URL, GSTACK_LIVE_API_KEY and GSTACK_LIVE_SECRET_KEY a
real one, as an ordinary user; GSTACK_LIVE_OTHER_API_KEY and GSTACK_LIVE_OTHER_SECRET_KEY, a second account,
GSTACK_LIVE_ZONE and GSTACK_LIVE_CA_FILE are optional. Everything made there begins with ``gsc-`` and is removed, also
after a failure, also what the second account made. The surprising thing: a security group or a network whose machine
is destroyed but not expunged cannot be removed; the summary names it, and a later run removes it.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from urllib3 import BaseHTTPResponse

from gstack.cloudstack.client import Cloud, Endpoint
from gstack.cloudstack.errors import CloudStackError
from gstack.cloudstack.jobs import Job, poll
from gstack.cloudstack.signing import query
from gstack.settings import Settings
from gstack.simulator import Server, Simulator

sys.path.insert(0, str(Path(__file__).resolve().parent))

from contract_networks import Networks

PREFIX = "gsc-"
OLD_SECONDS = 3 * 3600  # what an earlier run left behind is removed after this; a run takes minutes
SECURITY_GROUPS_TAKEN = 536

Row = dict[str, Any]


class Subject(Networks):
    """A CloudStack as an ordinary user sees it, and what a test made there."""

    def __init__(self, endpoint: Endpoint, keys: tuple[str, str], simulator: Simulator | None = None) -> None:
        self.endpoint, self.keys, self.simulator = endpoint, keys, simulator
        self.live = live = simulator is None
        self.cloud: Cloud = endpoint.cloud(*keys, key="contract")
        self.prefix = f"{PREFIX}{int(time.time()):x}-{secrets.token_hex(2)}"
        self.poll_seconds, self.patience = (0.3, 600.0) if live else (0.01, 20.0)
        self.made: list[tuple[str, Row]] = []
        self._number = 0
        self._known: dict[str, Row] = {}

    @contextmanager
    def jobs_taking(self, seconds: float) -> Iterator[None]:
        """Jobs of the embedded cloud take this long; a real one takes its own time."""
        if self.simulator is not None:
            self.simulator.job_seconds = seconds
        yield
        if self.simulator is not None:
            self.simulator.job_seconds = 0.0

    # Asking

    def call(self, command: str, **params: Any) -> Row:
        return self.cloud.call(command, **params)

    def list(self, command: str, **params: Any) -> list[Row]:
        return self.cloud.list(command, **params)

    def one(self, command: str, **params: Any) -> Row:
        """The only row."""
        [row] = self.cloud.list(command, **params)
        return row

    def refused(self, command: str, **params: Any) -> CloudStackError:
        """The error that the command is answered with at once."""
        with pytest.raises(CloudStackError) as caught:
            self.cloud.call(command, **params)
        return caught.value

    def wait(self, answer: Row) -> Job:
        """The finished job of an answer."""
        deadline = time.monotonic() + self.patience
        while True:
            job = poll(self.cloud, answer["jobid"])
            if not job.pending:
                return job
            assert time.monotonic() < deadline, f"job {job.id} takes too long"
            time.sleep(self.poll_seconds)

    def run(self, command: str, **params: Any) -> Row:
        """What the job of a command yields; it must end well."""
        job = self.wait(self.call(command, **params))
        assert job.done, f"{command}: {job.error}"
        return job.result or {}

    def failed(self, command: str, **params: Any) -> CloudStackError:
        """The error of a command that is accepted and whose job fails."""
        job = self.wait(self.call(command, **params))
        assert job.failed, f"{command} did not fail"
        assert job.error is not None
        return job.error

    def wire(self, method: str, signed: dict[str, str]) -> BaseHTTPResponse:
        """Send parameters as they are, signature included."""
        return self.endpoint.get(query(signed)) if method == "GET" else self.endpoint.post(query(signed))

    # What is there

    def _once(self, what: str, find: Any) -> Row:
        if what not in self._known:
            self._known[what] = find()
        return self._known[what]

    @property
    def zone(self) -> Row:
        """A zone with security groups."""
        return self._once("zone", self._find_zone)

    def _find_zone(self) -> Row:
        wanted = os.environ.get("GSTACK_LIVE_ZONE") if self.live else None
        zones = [zone for zone in self.list("listZones", available=True) if zone.get("securitygroupsenabled")]
        zones = [zone for zone in zones if wanted in (None, zone["name"], zone["id"])]
        return zones[0] if zones else pytest.skip("this cloud has no zone with security groups")

    @property
    def template(self) -> Row:
        """The smallest ready public template of the zone."""
        return self._once("template", self._find_template)

    def _find_template(self) -> Row:
        rows = self.list("listTemplates", templatefilter="featured", zoneid=self.zone["id"])
        ready = [row for row in rows if row.get("isready") and row.get("templatetype") != "SYSTEM"]
        return min(ready, key=lambda row: row.get("size", 0)) if ready else pytest.skip("no template is ready")

    @property
    def offerings(self) -> list[Row]:
        """Fixed service offerings that run anywhere, smallest first."""
        return self.offerings_in(self.zone)

    def offerings_in(self, zone: Row) -> list[Row]:
        """The same, of any zone."""
        rows = [
            row
            for row in self.list("listServiceOfferings", zoneid=zone["id"])
            if not row["iscustomized"] and not row.get("hosttags") and not row.get("storagetags")
        ]
        return sorted(rows, key=lambda row: (row["memory"], row["cpunumber"]))

    @property
    def custom_disk(self) -> Row:
        """A disk offering whose size is chosen."""
        rows = [row for row in self.list("listDiskOfferings") if row["iscustomized"] and not row.get("tags")]
        return rows[0] if rows else pytest.skip("no disk offering of any size")

    def may(self, command: str) -> None:
        """Skip unless the account's role and this CloudStack have the command."""
        if not self.has(command):
            pytest.skip(f"{command} is not there for this account")

    def has(self, command: str) -> bool:
        """Whether the account's role and this CloudStack have the command."""
        try:
            return bool(self.list("listApis", name=command))
        except CloudStackError:
            return False

    # Making and removing

    def name(self, what: str) -> str:
        """A name of this run that nothing else has."""
        self._number += 1
        return f"{self.prefix}-{what}{self._number}"

    def group(self, **params: Any) -> Row:
        """A security group."""
        made = self.call("createSecurityGroup", **({"name": self.name("group")} | params))["securitygroup"]
        self.made.append(("group", made))
        return made

    def deploying(self, **params: Any) -> Row:
        """A machine on its way: ``{"id": ..., "jobid": ...}``."""
        chosen = {"name": self.name("vm")}
        if "zoneid" not in params:
            chosen |= {"zoneid": self.zone["id"], "templateid": self.template["id"]}
            chosen["serviceofferingid"] = self.offerings[0]["id"]
        made = self.call("deployVirtualMachine", **(chosen | params))
        self.made.append(("machine", made))
        return made

    def machine(self, **params: Any) -> Row:
        """A machine; running, unless ``startvm`` says otherwise."""
        made = self.deploying(**params)
        job = self.wait(made)
        assert job.done, job.error
        return self.one("listVirtualMachines", id=made["id"])

    def volume(self, **params: Any) -> Row:
        """A volume of 1 GB without a machine."""
        chosen = {"name": self.name("disk"), "zoneid": self.zone["id"]}
        if "snapshotid" not in params:
            chosen |= {"diskofferingid": self.custom_disk["id"], "size": 1}
        made = self.call("createVolume", **(chosen | params))
        self.made.append(("volume", made))
        job = self.wait(made)
        assert job.done, job.error
        return self.one("listVolumes", id=made["id"])

    def snapshot(self, **params: Any) -> Row:
        """A snapshot."""
        made = self.call("createSnapshot", **params)
        self.made.append(("snapshot", made))
        job = self.wait(made)
        assert job.done, job.error
        return self.one("listSnapshots", id=made["id"])

    def keypair(self) -> Row:
        """A key pair, with its private key."""
        made = self.call("createSSHKeyPair", name=self.name("key"))["keypair"]
        self.made.append(("keypair", made))
        return made

    def remove(self, down_to: int = 0) -> None:
        """Remove what was made since, youngest first; what cannot go is left to :meth:`sweep`."""
        while len(self.made) > down_to:
            kind, row = self.made.pop()
            try:
                self._remove(kind, row)
            except CloudStackError:
                continue  # a test removed it already, or it is in use until its machine is expunged

    def _remove(self, kind: str, row: Row) -> bool:
        """False if something else holds it."""
        if kind in ("network", "address", "vpc"):
            return self.remove_network_part(kind, row)
        if kind == "group":
            self.call("deleteSecurityGroup", id=row["id"])
        elif kind == "keypair":
            self.call("deleteSSHKeyPair", name=row["name"])
        elif kind == "snapshot":
            self.wait(self.call("deleteSnapshot", id=row["id"]))
        elif kind == "template":
            self.wait(self.call("deleteTemplate", id=row["id"]))
        elif kind == "machine":
            self.wait(self.call("destroyVirtualMachine", id=row["id"], expunge=self.may_expunge or None))
        elif kind == "volume":
            [volume] = self.list("listVolumes", id=row["id"]) or [{}]
            if volume.get("virtualmachineid"):
                self.wait(self.call("detachVolume", id=row["id"]))
            self.call("deleteVolume", id=row["id"])
        return True

    @property
    def may_expunge(self) -> bool:
        """Whether the account may take machines away at once; then nothing is held by them."""
        found = self._once("capability", lambda: self.call("listCapabilities")["capability"])
        return bool(found.get("allowuserexpungerecovervm"))

    def sweep(self) -> list[str]:
        """Remove everything whose name is of this run, or of one long over; the names of what is still held."""
        held: list[str] = []
        for kind, command, params in SWEPT:
            for row in self.list(command, **params):
                if not self._ours(row):
                    continue
                try:
                    gone = self._remove(kind, row)
                except CloudStackError as error:
                    gone = error.code != SECURITY_GROUPS_TAKEN
                if not gone and "name" in row:
                    held.append(row["name"])
        return held

    def _ours(self, row: Row) -> bool:
        """Not root volumes: they bear their machine's name nowhere and go with it. An address is whose network it
        serves.
        """
        name = str(row.get("name") or row.get("associatednetworkname") or row.get("vpcname", "")).lower()
        if row.get("type") == "ROOT" or not name.startswith(PREFIX):
            return False
        stamp = name.removeprefix(PREFIX).split("-")[0]
        try:
            old = int(stamp, 16) < time.time() - OLD_SECONDS
        except ValueError:
            return False
        return old or name.startswith(self.prefix)


SWEPT: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("machine", "listVirtualMachines", {}),
    ("template", "listTemplates", {"templatefilter": "self"}),
    ("snapshot", "listSnapshots", {}),
    ("volume", "listVolumes", {}),
    ("group", "listSecurityGroups", {}),
    ("keypair", "listSSHKeyPairs", {}),
    ("address", "listPublicIpAddresses", {"issourcenat": "false"}),
    ("network", "listNetworks", {"type": "Isolated"}),
    ("vpc", "listVPCs", {}),
)
HELD: list[str] = []  # groups, networks and VPCs that the summary names


@pytest.fixture(scope="session")
def _subjects() -> Iterator[tuple[Subject, Subject | None]]:
    if url := os.environ.get("GSTACK_LIVE_URL"):
        yield from _live(url)
    else:
        with Server(Simulator(job_seconds=0.0)) as server:
            settings = Settings({"CLOUDSTACK_HOST": "127.0.0.1", "CLOUDSTACK_PORT": server.port})
            endpoint = Endpoint(settings)
            mine, other = (
                Subject(endpoint, server.simulator.keys(user), server.simulator) for user in ("tenant", "other")
            )
            yield mine, other
            endpoint.close()


def _live(url: str) -> Iterator[tuple[Subject, Subject | None]]:
    parts = urlsplit(url)
    settings = Settings(
        {
            "CLOUDSTACK_PROTOCOL": parts.scheme,
            "CLOUDSTACK_HOST": parts.hostname,
            "CLOUDSTACK_PORT": parts.port or {"http": 80, "https": 443}[parts.scheme],
            "CLOUDSTACK_PATH": parts.path,
            "CLOUDSTACK_CA_FILE": os.environ.get("GSTACK_LIVE_CA_FILE", ""),
        }
    )
    endpoint = Endpoint(settings)
    mine = Subject(endpoint, (os.environ["GSTACK_LIVE_API_KEY"], os.environ["GSTACK_LIVE_SECRET_KEY"]))
    key, secret = (os.environ.get(f"GSTACK_LIVE_OTHER_{part}") for part in ("API_KEY", "SECRET_KEY"))
    other = Subject(endpoint, (key, secret)) if key and secret else None
    try:
        yield mine, other
    finally:
        for subject in (mine, other):
            HELD.extend(subject.sweep() if subject else [])
        endpoint.close()


@pytest.fixture(scope="session")
def subject(_subjects: tuple[Subject, Subject | None]) -> Subject:
    """The cloud for what several tests share."""
    return _subjects[0]


@pytest.fixture
def cloud(subject: Subject) -> Iterator[Subject]:
    """The cloud; what the test makes is removed after it."""
    before = len(subject.made)
    yield subject
    subject.remove(before)


@pytest.fixture
def stranger(_subjects: tuple[Subject, Subject | None]) -> Subject:
    """The same cloud as another account sees it."""
    return _subjects[1] or pytest.skip("GSTACK_LIVE_OTHER_API_KEY names no second account")


@pytest.fixture(scope="session")
def machine(subject: Subject) -> Row:
    """A running machine that tests share: they leave it running, under its name and without data disks."""
    before = len(subject.made)
    made = subject.machine()
    del subject.made[before:]  # it outlives the file that happened to ask for it first; the sweep takes it
    return made


@pytest.fixture(scope="module")
def alive(subject: Subject) -> Iterator[Row]:
    """A network with a running machine, which the tests of a file leave as they are."""
    before = len(subject.made)
    network = subject.network()
    network["machine"] = subject.neighbour(network)
    yield network
    subject.remove(before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what could not be removed."""
    if HELD:
        terminalreporter.write_line(f"Held until their machines are expunged: {', '.join(HELD)}.")
