"""What the recorded gcloud commands find: a simulated cloud with the objects that they name, put back after each.

Apart from the replay because it says nothing about answers. The surprising thing: there are two places to ask in. Most
commands are asked of a zone with security groups; one with isolated networks has the subnetworks, addresses and routers
that the first cannot have, and is only asked where the first refuses.
"""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy import delete

from gstack.store.db import db
from gstack.store.overlay import Overlay

DEBIAN = "debian-cloud/global/images/linux-debian-12-64-bit"
# The recorded names and ours, longer ones first: some begin like others.
COMMON = {
    "europe-west1-b": "de-fra-1",
    "europe-west1": "de-fra",
    "debian-cloud/global/images/debian-12-v1": DEBIAN,
    "demo-proj/global/images/debian-12-v1": DEBIAN,
    "demo-proj/global/images/family/debian-12": "debian-cloud/global/images/family/debian-12",
    "demo-proj": "tenant",
    "https://127.0.0.1:18443": "https://gateway.test",
}
SEEDED = re.compile(
    r"/(instances|disks|firewalls|snapshots|images|networks|subnetworks|addresses|resourcePolicies|instanceGroups"
    r"|targetPools|httpHealthChecks)/([a-z][-a-z0-9]*)"
)
NO_NAMES = {
    "instances": "bulkInsert",
    "images": "family",
    "subnetworks": "default",
    "networks": "default",
    "instanceGroups": "mig1",  # a managed one, which nobody can make here
}
BOOT = "persistent-disk-0"  # the device name that every boot disk has, here too
# What GCE changes of stopped instances only.
STOPPED = re.compile(r"/setName$|/setServiceAccount$")
LEAVES = re.compile(r"/((?:instanceGroups|targetPools)/[^/]+)/remove(\w+)$")
DETACHED = re.compile(r"/instances/([^/]+)/(?:detachDisk|setDiskAutoDelete)$")


@dataclass(frozen=True)
class Place:
    """Where a command is asked: ``names`` are the recorded ones and what stands for them here."""

    title: str
    zone: str
    names: dict[str, str]
    makes: frozenset[str]

    def ours(self, text: str) -> str:
        """``text`` with our names in place of the recorded ones."""
        return re.sub("|".join(map(re.escape, self.names)), lambda found: self.names[found[0]], text)


SHARED = Place(
    "a zone with security groups",
    "ch-gva-2",
    {
        "us-central1-a": "ch-gva-2",
        "us-central1-b": "ch-gva-2",
        "us-central1": "ch-gva",
        "networks/net1": "networks/default",
        "networks/bn": "networks/default",
        **COMMON,
    },
    frozenset(
        {
            *("instances", "disks", "firewalls", "snapshots", "images", "resourcePolicies"),
            *("instanceGroups", "targetPools", "httpHealthChecks"),
        }
    ),
)
ISOLATED = Place(
    "a zone with isolated networks",
    "de-fra-1",
    {
        "us-central1-a": "de-fra-1",
        "us-central1-b": "de-fra-1",
        "us-central1": "de-fra",
        # An address of the simulated public range, and one of the default network.
        "203.0.113.": "192.168.2.",
        "10.128.0.": "10.1.1.",
        **COMMON,
    },
    SHARED.makes | {"networks", "subnetworks", "addresses"},
)


class World:
    """The simulated cloud, with what one command needs, and back again."""

    def __init__(self, gateway: Any, process: Any) -> None:
        self.gateway, self.catalogues = gateway, process.catalogues
        self.simulator = gateway.simulator
        self.tables = {name: table for name, table in vars(self.simulator.world).items() if hasattr(table, "rows")}
        # Pickled, as a copy takes seven times as long.
        self.saved = pickle.dumps({name: vars(table) for name, table in self.tables.items()})
        self.place = SHARED
        self.chosen: dict[str, Any] = {}
        self.disk_offering = gateway.cloudstack("listDiskOfferings")[0]["id"]
        # Routes have names that nobody chose.
        self.shared = replace(SHARED, names={"default-route-1": gateway.names("global/routes")[0], **SHARED.names})

    def reset(self) -> None:
        """As at first; what the gateway remembers of offerings is as good as before."""
        saved = pickle.loads(self.saved)
        for name, table in self.tables.items():
            vars(table).update(saved[name])
        self.simulator.roots = {}
        with self.gateway.app.app_context():  # networks that have no subnetwork yet are kept here alone
            db.session.execute(delete(Overlay))
            db.session.commit()
        for catalogue in self.catalogues:
            for key in [key for key in catalogue._entries if key[1] in ("networks", "templates")]:
                del catalogue._entries[key]

    def seed(self, command: dict[str, Any], place: Place) -> frozenset[str]:
        """Make what the command's requests name, unless it makes it itself or found that it is not there; the names."""
        self.place, self.gateway.zone = place, place.zone
        self.chosen = {
            "zoneid": self.gateway.zone_id,
            "templateid": self.gateway.template_id(),
            "serviceofferingid": self.gateway.offering_id(),
        }
        taken: set[str] = set()
        made: set[str] = set()
        for request in command["requests"]:
            if request["method"] == "POST" and isinstance(request.get("body"), dict):
                taken.add(str(request["body"].get("name")))
            for kind, name in SEEDED.findall(place.ours(f"{request['path']} {json.dumps(request['body'])}")):
                known = f"{kind}/{name}"
                wanted = kind in place.makes and name not in taken and NO_NAMES.get(kind) != name
                if wanted and known not in made and request.get("status") == 200 and "linux-" not in name:
                    made.add(known)
                    self._make(kind, name)
            self._attach(request)
            self._join(request)
            if STOPPED.search(request["path"]):
                self.gateway.run("POST", f"zones/{place.zone}/instances/vm1/stop")
        return frozenset(made)

    def _make(self, kind: str, name: str) -> None:
        {
            "instances": self._instance,
            "disks": self._disk,
            "snapshots": lambda name: self._disk_of("snapshots", name),
            "images": lambda name: self._disk_of("images", name),
            "firewalls": lambda name: self.gateway.cloudstack("createSecurityGroup", name=name),
            "networks": lambda name: self._through("global/networks", name, autoCreateSubnetworks=False),
            "subnetworks": self._subnetwork,
            "resourcePolicies": self._schedule,
            "instanceGroups": lambda name: self._through(f"zones/{self.place.zone}/instanceGroups", name),
            "targetPools": lambda name: self._through(f"regions/{self.place.zone[:-2]}/targetPools", name),
            "httpHealthChecks": lambda name: self._through("global/httpHealthChecks", name),
            "addresses": lambda name: self._through(f"regions/{self.place.zone[:-2]}/addresses", name),
        }[kind](name)

    def _instance(self, name: str) -> None:
        self.gateway.cloudstack("deployVirtualMachine", name=name, **self.chosen)
        self.simulator.settle()

    def _disk(self, name: str) -> None:
        self.gateway.cloudstack(
            "createVolume", name=name, zoneid=self.chosen["zoneid"], diskofferingid=self.disk_offering
        )
        self.simulator.settle()
        if name == "disk1":  # it has held something: CloudStack takes no snapshot of a disk that never was attached
            volume = self.gateway.cloudstack("listVolumes", name=name)[0]["id"]
            holder = self.gateway.deploy("holder", zoneid=self.chosen["zoneid"])["id"]
            self.gateway.cloudstack("attachVolume", id=volume, virtualmachineid=holder)
            self.simulator.settle()
            self.gateway.cloudstack("detachVolume", id=volume)
            self.gateway.cloudstack("destroyVirtualMachine", id=holder, expunge=True)
            self.simulator.settle()

    def _disk_of(self, kind: str, name: str) -> None:
        """A snapshot or an image of a machine's disk."""
        machine = self.gateway.cloudstack("deployVirtualMachine", name=f"of-{name}", **self.chosen)["id"]
        self.simulator.settle()
        volume = self.gateway.cloudstack("listVolumes", virtualmachineid=machine)[0]
        self.gateway.cloudstack("stopVirtualMachine", id=machine)
        self.simulator.settle()
        if kind == "snapshots":
            self.gateway.cloudstack("createSnapshot", volumeid=volume["id"], name=name)
        else:
            ostype = self.gateway.cloudstack("listOsTypes")[0]["id"]
            more = {"displaytext": name, "ostypeid": ostype, "volumeid": volume["id"]}
            self.gateway.cloudstack("createTemplate", name=name, **more)
        self.simulator.settle()

    def _subnetwork(self, name: str) -> None:
        self._through("global/networks", f"of-{name}", autoCreateSubnetworks=False)
        more = {"network": f"global/networks/of-{name}", "ipCidrRange": "10.7.0.0/24"}
        self._through(f"regions/{self.place.zone[:-2]}/subnetworks", name, **more)

    def _schedule(self, name: str) -> None:
        """It may be there from the command before: a schedule that no disk has is in the store, which stays."""
        every = {"dailySchedule": {"daysInCycle": 1, "startTime": "04:00"}}
        kept = {"schedule": every, "retentionPolicy": {"maxRetentionDays": 7}}
        body = {"name": name, "snapshotSchedulePolicy": kept}
        self.gateway.call("POST", f"regions/{self.place.zone[:-2]}/resourcePolicies", body, status=None)

    def _attach(self, request: dict[str, Any]) -> None:
        """A disk of the device name that the request is about."""
        found = DETACHED.search(request["path"])
        device = dict(parse_qsl(request.get("query", ""))).get("deviceName", "")
        if found and device and device != BOOT:
            zone = f"zones/{self.place.zone}"
            if device not in self.gateway.names(f"{zone}/disks"):
                self._disk(device)
            body = {"source": f"{zone}/disks/{device}", "deviceName": device}
            self.gateway.call("POST", f"{zone}/instances/{found[1]}/attachDisk", body, status=None)

    def _join(self, request: dict[str, Any]) -> None:
        """What the request takes out of a group or a pool."""
        if LEAVES.search(request["path"]) and request.get("status") == 200:
            path = self.place.ours(LEAVES.sub(r"/\1/add\2", request["path"]))
            self.gateway.run("POST", path, json.loads(self.place.ours(json.dumps(request["body"]))))

    def _through(self, collection: str, name: str, **body: Any) -> None:
        self.gateway.run("POST", collection, {"name": name, **body})
