"""Virtual machines under GCE's names and states.

Apart because instances, disks, operations and firewalls must agree on both. A machine has its own CloudStack name, with
three exceptions: one whose name another tenant of the shared network holds (deployed as ``web-1-5f0c3``), one that is
being deleted (a tombstone, so that its name is free at once), and one whose name is no GCE name. Carriers are no
instances at all: gstack makes one, never started, for the root volume that CloudStack makes of a template, and hides
it. The surprising thing: the exceptions stand back when names clash, whatever their age, so that a look-up by name is
one call and always right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.errors import invalid, not_found
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.ids import numeric_id
from gstack.translate import places, tags
from gstack.translate.caller import Caller
from gstack.translate.names import LONGEST, gce_names, is_label, keyword, label
from gstack.translate.places import Place

Row = Mapping[str, Any]

KIND = "instances"  # GCE's collection, and the store's kind of what is remembered of machines
NAME = "name"  # gstack's mark for the GCE name of a machine that is called otherwise
MACHINE_TYPE = "machine-type"  # and for the machine type it was asked for under one of Google's names
ACCOUNTS = "accounts"  # its service accounts, parted by spaces, where no security group holds them
GONE = frozenset({"Destroyed", "Expunging"})
# What a view reads. Each detail left out saves CloudStack a join; without secgrp it shows one group of several.
DETAILS = ["nics", "secgrp", "servoff"]

CARRIER = "gstack-disk:"  # how a carrier's displayname begins; with a colon it is no GCE name
_SPARE = re.compile(r"-[0-9a-f]{5}")
_SPARE_ROOM = LONGEST - 6
_STATES = {
    "Running": "RUNNING",
    "Migrating": "RUNNING",
    "Starting": "STAGING",
    "Stopping": "STOPPING",
    "Stopped": "TERMINATED",
    "Shutdown": "TERMINATED",  # by its guest
    "Error": "TERMINATED",
    "Restoring": "REPAIRING",
    "Unknown": "REPAIRING",
}
FAILED = "CloudStack could not deploy this machine. It cannot be started; delete it."


def visible(rows: Iterable[Row]) -> list[Row]:
    """The machines that GCE would still show."""
    return [row for row in rows if row.get("state") not in GONE and not is_carrier(row.get("displayname"))]


def is_carrier(displayname: object) -> bool:
    """Whether a machine of that displayname is there for its root volume only."""
    return str(displayname or "").startswith(CARRIER)


def status(row: Row) -> str:
    """GCE's status of a machine. One that was just submitted is Stopped for CloudStack: it has a job and no change of
    state so far."""
    state = str(row.get("state"))
    if is_tombstone(row) and (state != "Stopped" or _busy(row)):
        return "STOPPING"
    if state == "Stopped" and _busy(row) and "lastupdated" not in row:
        return "PROVISIONING"
    return _STATES.get(state, "REPAIRING")


def status_message(row: Row) -> str | None:
    """What GCE's status cannot say, in a sentence."""
    return FAILED if row.get("state") == "Error" else None


def wanted_name(row: Row) -> str:
    """The GCE name that a machine has unless another one has it; a plain CloudStack name as it is. A mark holds while
    the machine has the spare name that it was made for: who renames it in CloudStack has renamed it."""
    marked = tags.own_values(row.get("tags", ())).get(NAME)
    name, shown = str(row["name"]), str(row.get("displayname", ""))
    if marked is not None and is_spare(name, marked):
        return marked
    return shown if is_label(shown) and (is_tombstone(row) or is_spare(name, shown)) else name


def network_tags(row: Row) -> list[str]:
    """The network tags, in order; of a machine that is in no group of gstack's, the names of its groups as well."""
    worn = tags.network_tags(row.get("tags") or ())
    return worn if is_guarded(row) else sorted({*worn, *foreign_tags(row)})


def foreign_tags(row: Row) -> set[str]:
    """The network tags that a machine wears because another tool put it into groups of these names."""
    return set() if is_guarded(row) else {label(str(group["name"])) for group in row.get("securitygroup") or ()}


def is_guarded(row: Row) -> bool:
    """Whether the machine is in a security group that gstack writes."""
    return any(str(group["name"]).startswith(tags.OWN) for group in row.get("securitygroup") or ())


def gce_names_of(rows: Iterable[Row]) -> dict[str, str]:
    """The GCE name of every machine, by CloudStack id. ``rows`` are those of one zone."""
    wanted = [(row, wanted_name(row)) for row in rows]
    return gce_names(wanted, _second, lambda pair: pair[0]["id"], lambda pair: _seniority(*pair))


def type_mark(name: str, offering_id: str, cpus: int, memory_mb: int) -> str:
    """The mark for a machine type that the offering is not called: it holds while the machine has this size."""
    return f"{name}:{offering_id[:8]}:{cpus}:{memory_mb}"


def marked_type(row: Row) -> str | None:
    """The machine type that a machine was asked for, unless it was resized since."""
    name, _, size = tags.own_values(row.get("tags", ())).get(MACHINE_TYPE, "").partition(":")
    now = f"{str(row.get('serviceofferingid', ''))[:8]}:{row.get('cpunumber')}:{row.get('memory')}"
    return name if name and size == now else None


def tombstone(machine_id: str) -> str:
    """The name of a machine that is being deleted; its GCE name is the displayname meanwhile."""
    return f"gone-{machine_id}"


def is_tombstone(row: Row) -> bool:
    """Whether a machine is being deleted, or was recovered after that."""
    return bool(row["name"] == tombstone(row["id"]))


def spare_name(name: str, token: str) -> str:
    """The name for a machine whose own is taken in the network, by somebody we cannot see; ``token`` is 5 hexadecimal
    digits."""
    return f"{name[:_SPARE_ROOM].rstrip('-')}-{token}"


def is_spare(own: str, name: str) -> bool:
    """Whether a machine called ``own`` in CloudStack may be ``name`` under a spare name."""
    start = name[:_SPARE_ROOM].rstrip("-")
    return own.startswith(start) and _SPARE.fullmatch(own[len(start) :]) is not None


def find(cloud: Cloud, zoneid: str, name: str, details: list[str] | None = None) -> tuple[str, Row] | None:
    """The machine of that GCE name, or numeric id, in a CloudStack zone, and its name. One call for a plain name that
    is there, two otherwise."""
    asked: dict[str, Any] = {"zoneid": zoneid, "details": details or DETAILS}
    if name.isdigit():
        rows = visible(cloud.list("listVirtualMachines", **asked))
        names = gce_names_of(rows)
        return next(((names[row["id"]], row) for row in rows if str(numeric_id(row["id"])) == name), None)
    if not is_label(name):
        return None
    row = _named(cloud.list("listVirtualMachines", name=name, **asked), name) or _named(
        cloud.list("listVirtualMachines", keyword=sought(name), **asked), name
    )
    return (name, row) if row else None


def located(caller: Caller, zone: str, wanted: str) -> tuple[Place, str, Row]:
    """The zone and the machine of a URL, with its name, or GCE's 404."""
    place = places.require_zone(caller, zone)
    found = find(caller.cloud, place.id, wanted)
    if found is None:
        raise not_found(path(caller.project.id, place, wanted))
    return place, *found


def path(project: str, place: Place, name: str) -> str:
    """The link of an instance, from ``projects/`` on."""
    return f"projects/{project}/zones/{place.name}/instances/{name}"


def interface(row: Row, wanted: str) -> Row:
    """The interface of a machine that GCE calls ``wanted`` (nic0). Raises GceError invalid."""
    own = {f"nic{index}": nic for index, nic in enumerate(row.get("nic") or ())}
    if wanted not in own:
        raise invalid("networkInterface", wanted, f"The instance has {' and '.join(own) or 'no network interface'}.")
    nic: Row = own[wanted]
    return nic


def sought(name: str) -> str | None:
    """The keyword that finds every machine which may bear ``name`` or decide who does: keywords are matched against
    name and displayname."""
    return keyword(name, _SPARE_ROOM)


def _named(rows: Iterable[Row], name: str) -> Row | None:
    rows = visible(rows)
    names = gce_names_of(rows)
    return next((row for row in rows if names[row["id"]] == name), None)


def _busy(row: Row) -> bool:
    return bool(row.get("jobid"))


def _second(pair: tuple[Row, str]) -> str:
    return pair[1]


def _seniority(row: Row, wanted: str) -> str:
    """The date by which clashes are decided: that of creation, put off for machines that are not called by their
    name."""
    created = str(row.get("created") or "")
    name = str(row["name"])
    plain = wanted.lower() == name.lower() == label(name)
    return created if plain or not created else "8" + created[1:]


def interface_fingerprint(nic: Row) -> str:
    """What changes with anything that can be changed of an interface."""
    aliases = [one["ipaddress"] for one in nic.get("secondaryip") or ()]
    return fingerprint([nic.get("networkid"), nic.get("ipaddress"), nic.get("publicip"), aliases])
