"""instances: CloudStack's virtual machines.

The name is the machine's (translate/machines.py has the exceptions), labels and network tags are its resource tags,
what CloudStack cannot hold is in the overlay. Machines of other tools are shown too, with the names of their security
groups as network tags. Visible differences: in a zone with one shared network a machine's own address is networkIP
and, where an access config was asked for, natIP; elsewhere an ephemeral address is kept while its instance is stopped;
there is no vTPM and no secure boot. Upstream calls: two for a get (machine, volumes), a third where disks of other
tools are attached; two side by side for a list, one after the other where its filter wants one name, one where
``fields`` leaves the disks out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.errors import GceError, already_exists, not_ready
from gstack.operations import engine, instance_inserts
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import Shape, listing, needs, sought
from gstack.protocol.methods import method
from gstack.protocol.rendering import render
from gstack.store import overlay
from gstack.translate import (
    deployments,
    instance_policy,
    machine_types,
    machines,
    networks,
    places,
    project_metadata,
    reasons,
    scheduling,
    scopes,
    tags,
    volumes,
    zone_reads,
)
from gstack.translate.deployments import ACCESS_CONFIG
from gstack.translate.names import is_label, label
from gstack.translate.places import Place
from gstack.translate.times import rfc3339
from gstack.translate.zone_reads import Read

Row = Mapping[str, Any]

READS = ("listVirtualMachines", "listVolumes")
WRITES = (*READS, "deployVirtualMachine", "destroyVirtualMachine", "createTags", "createSecurityGroup")

BODY = instance_policy.of("Instance")
NO_LABELS, NO_ITEMS = fingerprint({}), fingerprint([])


@method("compute.instances.get", needs=READS)
def get(call: Call) -> dict[str, Any]:
    """One instance, by name or number."""
    _, name, row = _found(call)
    return Views(call, [row], _volumes_of(call, row), {row["id"]: name}).view(row)


@method("compute.instances.list", needs=READS)
def list_(call: Call) -> dict[str, Any]:
    """The instances of one zone."""
    place = places.require_zone(call.caller, call.params["zone"])
    views, _ = _views(call, lambda *commands: zone_reads.of_zone(call, place, *commands))
    return listing(call, views.rows, views.shape)


@method("compute.instances.aggregatedList", needs=READS)
def aggregated_list(call: Call) -> dict[str, Any]:
    """The instances of all zones."""
    views, read = _views(call, lambda *commands: zone_reads.of_all_zones(call, *commands))
    return scopes.aggregated_in(call, ("zones",), read.scopes(views.rows, views.place), machines.KIND, views.shape)


@method("compute.instances.insert", needs=WRITES, body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Deploy a machine with its disks, tags and security groups."""
    if call.params.get("sourceMachineImage"):
        message = f"The parameter 'sourceMachineImage' is refused. {reasons.MACHINE_IMAGES}"
        raise GceError("unsupported", message, location="sourceMachineImage")
    place, alias = places.require_zone(call.caller, call.params["zone"]), call.params["project"]
    template = call.params.get("sourceInstanceTemplate")
    body = deployments.described(call.caller, place, call.body, template, alias=alias)
    plan = deployments.deployment(call.caller, place, body, alias=alias)
    guest = deployments.user_data(body, project_metadata.read(call.caller.project))
    if machines.find(call.caller.cloud, place.id, plan.name, ["min"]) is not None:
        raise already_exists(_path(call, place, plan.name))
    for name in plan.new_disks:
        if volumes.find(call.caller.cloud, place.id, name, thorough=False) is not None:
            raise already_exists(volumes.path(call.project, place, name))
    part = instance_inserts.part(call.project, plan, guest, deployments.remembered(body))
    return engine.start(call, part.workflow, type=part.type, target=part.target, plan=part.plan, claim=part.claim)


@method("compute.instances.delete", needs=(*READS, "destroyVirtualMachine", "updateVirtualMachine"))
def delete(call: Call) -> dict[str, Any]:
    """Destroy a machine, and those of its disks that go with it."""
    place, name, row = _found(call)
    path = _path(call, place, name)
    if row.get("deleteprotection"):
        message = f"Invalid resource usage: 'Resource cannot be deleted if it's protected against deletion. '{path}''."
        raise GceError("failedPrecondition", message)
    return _start(call, "delete", path, row)


@method("compute.instances.start", needs=(*READS, "startVirtualMachine"))
def start(call: Call) -> dict[str, Any]:
    """Start a stopped machine; one that runs already stays as it is."""
    return _switch(call, "start")


@method("compute.instances.stop", needs=(*READS, "stopVirtualMachine"))
def stop(call: Call) -> dict[str, Any]:
    """Shut a machine down; one that is stopped already stays as it is."""
    return _switch(call, "stop")


@method("compute.instances.reset", needs=(*READS, "rebootVirtualMachine"))
def reset(call: Call) -> dict[str, Any]:
    """Restart a running machine without asking its guest."""
    return _switch(call, "reset")


def _switch(call: Call, verb: str) -> dict[str, Any]:
    place, name, row = _found(call)
    path = _path(call, place, name)
    state = row["state"]
    if state == "Error" or (verb == "reset" and state != "Running"):
        raise not_ready(path)
    return _start(call, verb, path, row, forced=bool(call.params.get("noGracefulShutdown")))


def _start(call: Call, verb: str, path: str, row: Row, **more: Any) -> dict[str, Any]:
    return engine.start(
        call,
        f"op.instances.{verb}",
        type=verb,
        target=path,
        target_id=numeric_id(row["id"]),
        plan={"machine": row["id"], **more},
    )


def _found(call: Call) -> tuple[Place, str, Row]:
    """The zone and the machine of the URL, with its name, or GCE's 404."""
    return machines.located(call.caller, call.params["zone"], call.params["instance"])


def _path(call: Call, place: Place, name: str) -> str:
    return machines.path(call.project, place, name)


def _views(call: Call, read: Callable[..., Read]) -> tuple[Views, Read]:
    """What a list shows, and what was read for it. Where the filter wants one name, CloudStack is asked
    for the machines that may bear it, and then for the volumes of those that do; volumes that nobody sees for none."""
    wanted = sought(call).get("name", "")
    keyword = machines.sought(wanted) if is_label(wanted) else None
    asked = {"details": machines.DETAILS, **({"keyword": keyword} if keyword else {})}
    if keyword is None and needs(call, "disks", machines.KIND):
        found = read(("listVirtualMachines", asked), ("listVolumes", {}))
        return Views(call, found.rows[0], found.rows[1]), found
    found = read(("listVirtualMachines", asked))
    if keyword is None:
        return Views(call, found.rows[0], ()), found
    names: dict[str, str] = {}
    for rows in places.by_zone(machines.visible(found.rows[0])).values():
        names |= machines.gce_names_of(rows)
    hits = [row for row in found.rows[0] if names.get(row["id"]) == wanted]
    disks = [disk for row in hits for disk in _volumes_of(call, row)] if needs(call, "disks", machines.KIND) else []
    return Views(call, hits, disks, {row["id"]: wanted for row in hits}), found


def _volumes_of(call: Call, row: Row) -> Sequence[Row]:
    """The volumes of a machine, or all of the zone where names could clash."""
    cloud: Cloud = call.caller.cloud
    rows = cloud.list("listVolumes", virtualmachineid=row["id"])
    return rows if volumes.names_are_certain(rows) else cloud.list("listVolumes", zoneid=row["zoneid"])


def _created(row: Row) -> Any:
    return rfc3339(row.get("created"))


class Views:
    """Machines as instances. What many rows share is looked up once; a row costs nothing but its own rendering."""

    def __init__(
        self, call: Call, rows: Iterable[Row], disks: Iterable[Row], names: Mapping[str, str] | None = None
    ) -> None:
        """``rows`` and ``disks`` are all machines and volumes of their zones; or some, with the machines' ``names``."""
        self.rows = machines.visible(rows)
        self.places = places.of_caller(call.caller)
        self._base = call.links.project(call.project)
        self._networks = networks.of_caller(call.caller)
        if any(self._networks.of(nic.get("networkid")) is None for row in self.rows for nic in row.get("nic") or ()):
            self._networks = networks.of_caller(call.caller, refresh=True)
        self._offerings = machine_types.of_caller(call.caller)
        self._names: dict[str, str] = {}
        self._disk_names: dict[str, str] = {}
        self._disks: dict[str, list[Row]] = {}
        self._kept = overlay.Remembered(machines.KIND, volumes.KIND)
        shown = volumes.visible(disks)
        for found in places.by_zone(self.rows).values():
            self._names |= machines.gce_names_of(found)
        self._names |= names or {}
        for found in places.by_zone(shown).values():
            self._disk_names |= volumes.gce_names_of(found, self._names)
        for disk in shown:
            if "virtualmachineid" in disk:
                self._disks.setdefault(disk["virtualmachineid"], []).append(disk)

    def name(self, row: Row) -> str:
        """The instance's name."""
        return self._names[row["id"]]

    def place(self, row: Row) -> Place:
        """The machine's zone."""
        return self.places.shown(row)

    @property
    def shape(self) -> Shape[Row]:
        """How lists read them."""
        return Shape(self.view, self.name, _created, prepare=self.prepare)

    def prepare(self, rows: Sequence[Row]) -> None:
        """Read what is remembered of the rows that are about to be shown."""
        disks = (disk["id"] for row in rows for disk in self._disks.get(row["id"], ()))
        self._kept.prepare([*(row["id"] for row in rows), *disks])

    def view(self, row: Row) -> dict[str, Any]:
        """An instance."""
        self.prepare([row])
        place, name, kept = self.place(row), self.name(row), self._kept.of(row["id"])
        zone = f"{self._base}/zones/{place.name}"
        own = row.get("tags") or ()
        labels, network_tags = tags.labels(own), machines.network_tags(row)
        metadata = kept.get("metadata", [])
        stamps = [
            fingerprint(labels) if labels else NO_LABELS,
            fingerprint(network_tags) if network_tags else NO_ITEMS,
            fingerprint(metadata) if metadata else NO_ITEMS,
        ]
        machine_type = f"{zone}/machineTypes/{self._machine_type(row)}"
        status = machines.status(row)
        return render(
            "instance",
            id=str(numeric_id(row["id"])),
            creation_timestamp=rfc3339(row.get("created")),
            name=name,
            description=kept.get("description"),
            network_tags=network_tags,
            tags_fingerprint=stamps[1],
            machine_type=machine_type,
            status=status,
            status_message=machines.status_message(row),
            zone=zone,
            interfaces=[self._interface(nic, index, kept) for index, nic in enumerate(row.get("nic") or ())],
            disks=self._attached(row, zone),
            metadata=metadata,
            metadata_fingerprint=stamps[2],
            service_accounts=kept.get("serviceAccounts"),
            self_link=f"{zone}/instances/{name}",
            scheduling=scheduling.shown(kept.get("scheduling", {})),
            hostname=kept.get("hostname"),
            labels=labels or None,
            label_fingerprint=stamps[0],
            deletion_protection=bool(row.get("deleteprotection")),
            fingerprint=fingerprint([name, machine_type, status, *stamps]),
        )

    def _machine_type(self, row: Row) -> str:
        marked = machines.marked_type(row)
        if marked is not None:
            return marked
        return self._offerings.of_machine(row).name

    def _interface(self, nic: Row, index: int, kept: dict[str, Any]) -> dict[str, Any]:
        address, piece = nic.get("ipaddress"), self._networks.of(nic.get("networkid"))
        network = piece.network if piece else label(str(nic.get("networkname", "")))
        grouped = piece is not None and piece.kind == networks.GROUPS
        public = address if grouped else nic.get("publicip")
        names = kept.get("accessConfigs", {}).get(f"nic{index}")
        if not grouped:
            names = (names or [ACCESS_CONFIG])[:1] if public else []  # what CloudStack has is what there is
        elif names is None:
            names = [ACCESS_CONFIG] if public else []
        aliases = [one["ipaddress"] for one in nic.get("secondaryip") or ()]
        return {
            "name": f"nic{index}",
            "network": f"{self._base}/global/networks/{network}",
            "subnetwork": f"{self._base}/{piece.path}" if piece else None,
            "address": address,
            "aliases": [{"ipCidrRange": f"{alias}/32"} for alias in aliases],
            "access_configs": [{"name": name, "address": public} for name in names],
            "fingerprint": machines.interface_fingerprint(nic),
        }

    def _attached(self, row: Row, zone: str) -> list[dict[str, Any]]:
        disks = volumes.in_order(self._disks.get(row["id"], ()))
        return [
            {
                "source": f"{zone}/disks/{self._disk_names[disk['id']]}",
                "device_name": volumes.device_name(self._kept.of(disk["id"], volumes.KIND), index),
                "index": index,
                "boot": volumes.is_boot(disk),
                "auto_delete": volumes.auto_delete(disk),
                "size_gb": volumes.size_gb(disk),
            }
            for index, disk in enumerate(disks)
        ]
