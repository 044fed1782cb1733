"""instances: what a client asks of one beside its description, and the verbs that no instance here has.

Apart because nothing here changes anything. Visible differences: CloudStack gives nobody what a guest writes to its
serial port, so that output is empty but for the password of a machine (translate/passwords.py); guests write no
attributes; no policy is attached to an instance, as CloudStack's roles say who may do what. The surprising thing:
``testIamPermissions`` is answered from that role, by the CloudStack commands that each method needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gstack.errors import GceError, invalid
from gstack.protocol.call import Call
from gstack.protocol.listing import Shape, listing
from gstack.protocol.methods import method, refused
from gstack.store import overlay
from gstack.store.db import db
from gstack.translate import balancing, kept, machines, passwords, permissions, places, reasons

Row = dict[str, Any]

READS = ("listVirtualMachines",)
PORTS = range(1, 5)

_HOST = "CloudStack looks after its hosts by itself and tells users nothing of it."
REASONS = {
    "addResourcePolicies": reasons.NO_POLICIES,
    "removeResourcePolicies": reasons.NO_POLICIES,
    "getScreenshot": "CloudStack shows a machine's display in its own console only.",
    "getShieldedInstanceIdentity": "CloudStack's machines have no virtual TPM that gstack could ask.",
    "performMaintenance": _HOST,
    "reportHostAsFaulty": _HOST,
    "resume": "CloudStack keeps no memory of a machine that is not running; stop and start it instead.",
    "sendDiagnosticInterrupt": "CloudStack sends no interrupts to guests.",
    "setIamPolicy": permissions.NO_OWN_POLICY,
    "setMachineResources": reasons.HARDWARE,
    "setMinCpuPlatform": reasons.HARDWARE,
    "setSecurityPolicy": reasons.CLOUD_ARMOR,
    "setShieldedInstanceIntegrityPolicy": reasons.HARDWARE,
    "simulateMaintenanceEvent": _HOST,
    "startWithEncryptionKey": reasons.ENCRYPTION,
    "suspend": "CloudStack keeps no memory of a machine that is not running; stop and start it instead.",
    "updateDisplayDevice": reasons.DISPLAY,
    "updateShieldedInstanceConfig": reasons.HARDWARE,
}
for _verb, _reason in REASONS.items():
    refused(f"compute.instances.{_verb}", _reason)


@method("compute.instances.getSerialPortOutput", needs=READS)
def get_serial_port_output(call: Call) -> dict[str, Any]:
    """Nothing, from byte 0 to byte 0, whatever ``start`` was asked for: that is all there ever was. On the port for
    passwords the one that CloudStack gave the machine: once, and for the key in the metadata."""
    path, row = _found(call)
    port = call.params.get("port") or 1
    if port not in PORTS:
        raise invalid("port", port, "Must be between 1 and 4.")
    contents = _password(row["id"]) if port == passwords.PORT else ""
    link = f"{call.links.absolute(path)}/serialPort"
    end = str(len(contents.encode()))
    return {"kind": "compute#serialPortOutput", "contents": contents, "start": "0", "next": end, "selfLink": link}


def _password(machine: str) -> str:
    """The answer for the newest key; the password is forgotten with it."""
    password = overlay.read(passwords.KIND, machine).get(passwords.MEMBER)
    said = passwords.answer(overlay.read(machines.KIND, machine).get("metadata") or [], password) if password else None
    if said is None:
        return ""
    overlay.drop(passwords.KIND, machine)
    db.session.commit()
    return said


@method("compute.instances.getGuestAttributes", needs=READS)
def get_guest_attributes(call: Call) -> dict[str, Any]:
    """GCE's answer for attributes that no guest has written."""
    _found(call)
    asked = call.params.get("queryPath") or call.params.get("variableKey") or ""
    raise GceError("notFound", f"The resource '{asked}' of type 'Guest Attribute' was not found.")


@method("compute.instances.listReferrers", needs=READS)
def list_referrers(call: Call) -> dict[str, Any]:
    """The instance groups that hold the instance; for ``-``, which is GCE's way, all instances of the zone."""
    place = places.require_zone(call.caller, call.params["zone"])
    everything = kept.rows(call.caller.project, balancing.GROUPS)
    groups = [row for row in everything if row["scope"] == f"zones/{place.name}" and row["body"]["members"]]
    if call.params["instance"] == "-":
        found = call.caller.cloud.list("listVirtualMachines", zoneid=place.id, details=["min"]) if groups else []
        entries = [one for row in groups for one in row["body"]["members"]]
        paths = {entry["id"]: entry["path"] for entry, _ in balancing.known(entries, found)}
    else:
        path, machine = _found(call)
        paths = {machine["id"]: path.removeprefix(f"projects/{call.project}/")}
    held = [(paths[one["id"]], row) for row in groups for one in row["body"]["members"] if one["id"] in paths]

    def reference(pair: tuple[str, Row]) -> dict[str, Any]:
        paths = {"target": pair[0], "referrer": kept.path(balancing.GROUPS, pair[1])}
        links = {name: call.links.absolute(f"projects/{call.project}/{path}") for name, path in paths.items()}
        return {"kind": "compute#reference", "referenceType": "MEMBER_OF", **links}

    shape: Shape[tuple[str, Row]] = Shape(
        reference, lambda pair: pair[0], identity=lambda pair: f"{pair[0]} {pair[1]['name']}"
    )
    return listing(call, held, shape)


@method("compute.instances.getIamPolicy", needs=READS)
def get_iam_policy(call: Call) -> dict[str, Any]:
    """The policy of the instance itself, which has none."""
    _found(call)
    return permissions.policy()


@method("compute.instances.testIamPermissions", needs=READS, body=permissions.ASKED)
def test_iam_permissions(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller's CloudStack role carries."""
    _found(call)
    return permissions.held(call)


def _found(call: Call) -> tuple[str, Mapping[str, Any]]:
    """The link of the instance from ``projects/`` on, and its machine. Raises GceError notFound."""
    asked = call.params.get("instance") or call.params["resource"]
    place, name, row = machines.located(call.caller, call.params["zone"], asked)
    return machines.path(call.project, place, name), row
