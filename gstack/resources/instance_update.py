"""instances.update: the whole instance as it is to be, taken apart into the changes that there are.

Apart because it is made of the other verbs. What an update changes: description, labels, tags, metadata, scheduling,
deletion protection, service account, machine type; what differs otherwise is refused with the verb that changes it.
The surprising thing: the last two of those need a stopped machine, so a running one is restarted where the client
allows it, and stays as it is where not. Upstream calls: four.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gstack.errors import GceError, invalid, not_ready
from gstack.operations import engine
from gstack.operations.instance_changes import check_tags, scheduled
from gstack.protocol.bodies import check_body
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.methods import HANDLERS, method
from gstack.store import overlay
from gstack.translate import (
    deployments,
    instance_policy,
    machines,
    project_metadata,
    scheduling,
    userdata,
)
from gstack.translate.places import Place

NEEDS = (
    "listVirtualMachines",
    "listVolumes",
    "listServiceOfferings",
    "changeServiceForVirtualMachine",
    "updateVirtualMachine",
    "getVirtualMachineUserData",
    "startVirtualMachine",
    "stopVirtualMachine",
    "createTags",
    "deleteTags",
    "listTags",
)
ACTIONS = ("NO_EFFECT", "REFRESH", "RESTART")  # from the least disruptive on
CHANGEABLE = frozenset(
    ("description", "labels", "tags", "metadata", "scheduling", "deletionProtection", "serviceAccounts", "machineType")
)
PROOFS = frozenset(("fingerprint", "labelFingerprint"))
INSTEAD = {
    "disks": "Use attachDisk, detachDisk and setDiskAutoDelete.",
    "name": "Use setName.",
    "networkInterfaces": "Use addAccessConfig, deleteAccessConfig and updateNetworkInterface.",
}
Body = Mapping[str, Any]


@method("compute.instances.update", needs=NEEDS, body=instance_policy.of("Instance"))
def update(call: Call) -> dict[str, Any]:
    """Make an instance what the body says."""
    place, name, row = machines.located(call.caller, call.params["zone"], call.params["instance"])
    path = machines.path(call.project, place, name)
    if row["state"] == "Error" or machines.is_tombstone(row):
        raise not_ready(path)
    now = _as_it_is(call, name)
    _check_the_rest(call.body, now)
    changes = _changes(call, place, path, row, now)
    restart = _restart(call, row, changes)
    return engine.start(
        call,
        "op.instances.update",
        type="update",
        target=path,
        target_id=numeric_id(row["id"]),
        plan={"machine": row["id"], "restart": restart, "changes": changes},
    )


def _as_it_is(call: Call, name: str) -> dict[str, Any]:
    """The instance as a body would say it. Raises GceError conditionNotMet unless the client has seen this one."""
    get = HANDLERS["compute.instances.get"]
    shown = get(replace(call, method=get.method, params={**call.params, "instance": name}, body={}))
    if call.body.get("fingerprint") != shown["fingerprint"]:
        message = "Supplied fingerprint does not match current instance fingerprint."
        raise GceError("conditionNotMet", message, location="fingerprint")
    return check_body("Instance", shown, call.method.id)


def _check_the_rest(body: Body, now: Body) -> None:
    """Raise GceError invalid for what differs and no update changes."""
    for member, value in body.items():
        if member not in CHANGEABLE and member not in PROOFS and not _same(value, now.get(member)):
            why = f"An update cannot change it. {INSTEAD.get(member, '')}".strip()
            raise invalid(f"resource.{member}", value if isinstance(value, str) else "", why)


def _same(said: Any, now: Any) -> bool:
    """Whether ``now`` is what was said; what was not said may be anything."""
    if isinstance(said, dict):
        return all(_same(value, (now or {}).get(name)) for name, value in said.items())
    if isinstance(said, list):
        there = now or []
        return len(said) == len(there) and all(_same(*pair) for pair in zip(said, there, strict=True))
    if isinstance(said, str) and isinstance(now, str) and "/" in said:
        return _tail(said) == _tail(now)
    return said == now or (not said and not now)


def _tail(link: str) -> str:
    return link.rpartition("projects/")[2].partition("/")[2] if "projects/" in link else link


def _changes(call: Call, place: Place, path: str, row: Body, now: Body) -> dict[str, Any]:
    """The plans of the workflows for what is to change, by member."""
    body = call.body
    found: dict[str, Any] = {}
    if (body.get("description") or "") != (now.get("description") or ""):
        found["description"] = body.get("description")
    if (body.get("labels") or {}) != (now.get("labels") or {}):
        seen = body.get("labelFingerprint") or now["labelFingerprint"]
        found["labels"] = {"labels": body.get("labels") or {}, "fingerprint": seen}
    if bool(body.get("deletionProtection")) != bool(now.get("deletionProtection")):
        found["deletionProtection"] = bool(body.get("deletionProtection"))
    said = scheduling.said(body.get("scheduling") or {})
    if any(now["scheduling"].get(name) != value for name, value in said.items()):
        found["scheduling"] = {"scheduling": scheduled(row, path, said, "resource.scheduling")}
    return found | _tagged(body, row, now) | _told(call, row, now) | _machine(call, place, row, now)


def _tagged(body: Body, row: Body, now: Body) -> dict[str, Any]:
    given, before = body.get("tags") or {}, now["tags"]
    # Tags that another tool's groups make cannot be taken away; a body without tags does not mean to.
    items = deployments.network_tags(given.get("items") or []) if "tags" in body else sorted(machines.foreign_tags(row))
    if items == sorted(before.get("items") or []):
        return {}
    seen = given.get("fingerprint") or before["fingerprint"]
    check_tags(row, items, seen)
    return {"tags": {"items": items, "fingerprint": seen}}


def _told(call: Call, row: Body, now: Body) -> dict[str, Any]:
    given, before = call.body.get("metadata") or {}, now["metadata"]
    items = given.get("items") or []
    if items == (before.get("items") or []):
        return {}
    shared, kept = project_metadata.read(call.caller.project), overlay.read(machines.KIND, row["id"])
    guest = userdata.compose(items, kept.get("hostname"), shared, later=True)
    seen = given.get("fingerprint") or before["fingerprint"]
    return {"metadata": {"fingerprint": seen, "secrets": engine.sealed({"items": items, "userdata": guest})}}


def _machine(call: Call, place: Place, row: Body, now: Body) -> dict[str, Any]:
    """What needs a stopped machine."""
    found: dict[str, Any] = {}
    if not _same(call.body.get("machineType") or "", now["machineType"]):
        size = deployments.machine_type(call.caller, place, call.body.get("machineType"))
        found["machineType"] = deployments.resizing(size)
    accounts = call.body.get("serviceAccounts") or []
    if accounts != (now.get("serviceAccounts") or []):
        deployments.service_accounts(accounts)
        found["serviceAccounts"] = {"accounts": accounts}
    return found


def _restart(call: Call, row: Body, changes: dict[str, Any]) -> bool:
    """Whether the machine is restarted. Raises GceError invalid where the client does not allow what is needed."""
    running = row["state"] != "Stopped"
    needed = "RESTART" if running and ("machineType" in changes or "serviceAccounts" in changes) else "NO_EFFECT"
    needed = "REFRESH" if changes and needed == "NO_EFFECT" else needed
    least, most = call.params.get("minimalAction"), call.params.get("mostDisruptiveAllowedAction")
    for name, given in (("minimalAction", least), ("mostDisruptiveAllowedAction", most)):
        if given and given not in ACTIONS:
            raise invalid(name, given, f"Must be one of {', '.join(ACTIONS)}.")
    action = max(needed, least or needed, key=ACTIONS.index)
    if most and ACTIONS.index(action) > ACTIONS.index(most):
        raise invalid("mostDisruptiveAllowedAction", most, f"The update needs the action {action}.")
    return action == "RESTART" and running
