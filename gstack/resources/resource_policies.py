"""resourcePolicies: snapshot schedules, which CloudStack keeps as a policy of each volume that has one.

What a schedule is in CloudStack is decided in translate/schedules.py; disks.addResourcePolicies puts one on a volume.
Visible differences: snapshots are taken every hour, every day or on one day of the week; CloudStack counts snapshots
where GCE counts days, and refuses more than its operator allows (8 as shipped) when a schedule comes on a disk; a disk
has one schedule; those that other tools put on a volume are not shown, as CloudStack lists them volume by volume only.
The surprising thing: a schedule that no disk has is in the store alone. Upstream calls: none for a get, one for a list.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from gstack.errors import GceError, already_exists, invalid, not_found, required
from gstack.operations import engine
from gstack.operations.schedules import NEEDS
from gstack.protocol.call import Call
from gstack.protocol.listing import listing, named
from gstack.protocol.methods import method, refused
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.store import overlay
from gstack.translate import kept, permissions, places, reasons, schedules, scopes, volumes
from gstack.translate.names import checked_name
from gstack.translate.schedules import KIND, Schedule
from gstack.translate.times import NO_DATE, now

READS = ("listTags",)

_BY_VOLUME = "CloudStack's schedules are of snapshots only."
_SCHEDULE = "snapshotSchedulePolicy"
BODY = Policy(
    honoured=(
        "name",
        f"{_SCHEDULE}.schedule",
        f"{_SCHEDULE}.retentionPolicy",
        f"{_SCHEDULE}.snapshotProperties.labels",
    ),
    remembered=("description",),
    only={
        f"{_SCHEDULE}.retentionPolicy.onSourceDiskDelete": ("KEEP_AUTO_SNAPSHOTS", "UNSPECIFIED_ON_SOURCE_DISK_DELETE")
    },
    refused={
        "diskConsistencyGroupPolicy": "CloudStack takes snapshots of one volume at a time.",
        "groupPlacementPolicy": "CloudStack places machines by affinity groups, which gstack does not use.",
        "instanceSchedulePolicy": _BY_VOLUME,
        "workloadPolicy": "There are no workload policies.",
        f"{_SCHEDULE}.snapshotProperties.chainName": reasons.SNAPSHOT_CHAINS,
        f"{_SCHEDULE}.snapshotProperties.guestFlush": reasons.GUEST_FLUSH,
        f"{_SCHEDULE}.snapshotProperties.storageLocations": "CloudStack keeps a snapshot by its own rules.",
    },
)

refused("compute.resourcePolicies.setIamPolicy", permissions.NO_OWN_POLICY)


@method("compute.resourcePolicies.get", needs=READS)
def get(call: Call) -> dict[str, Any]:
    """One schedule, by name or number."""
    return view(call, _found(call, call.params["resourcePolicy"]))


@method("compute.resourcePolicies.list", needs=READS)
def list_(call: Call) -> dict[str, Any]:
    """The schedules of one region."""
    region = places.require_region(call.caller, call.params["region"])
    rows = [schedule for schedule in schedules.of_caller(call.caller) if schedule.region == region]
    return listing(call, rows, named(partial(view, call)))


@method("compute.resourcePolicies.aggregatedList", needs=READS)
def aggregated_list(call: Call) -> dict[str, Any]:
    """The schedules of all regions."""
    rows = scopes.grouped(schedules.of_caller(call.caller), lambda schedule: f"regions/{schedule.region}")
    return scopes.aggregated_in(call, ("regions",), rows, KIND, named(partial(view, call)))


@method("compute.resourcePolicies.insert", needs=(*READS, "createSnapshotPolicy"), body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Make a schedule, which no disk has yet."""
    region, name = places.require_region(call.caller, call.params["region"]), checked_name(call.body.get("name"))
    asked = call.body.get(_SCHEDULE)
    if not asked:
        raise required(f"resource.{_SCHEDULE}", _BY_VOLUME)
    described = call.body.get("description")
    schedule = schedules.of_body(asked, region=region, name=name, created=now(), description=described)
    path = _path(call, region, name)
    if schedules.find(call.caller, region, name) is not None or not overlay.add(
        KIND, schedules.store_key(call.caller.project, region, name), call.project, _content(call, schedule)
    ):
        raise already_exists(path)
    return engine.done(call, type="insert", target=path, target_id=schedule.number)


@method("compute.resourcePolicies.patch", needs=(*READS, *NEEDS, "createTags", "deleteTags", "listVolumes"), body=BODY)
def patch(call: Call) -> dict[str, Any]:
    """Change a schedule, and the policies of all disks that have it. Members that are not given stay."""
    old = _found(call, call.params["resourcePolicy"])
    if call.body.get("name", old.name) != old.name:
        raise invalid("resource.name", call.body["name"], "It cannot be changed.")
    asked = {**old.body(), **_named(call, call.body.get(_SCHEDULE) or {})}
    new = schedules.of_body(
        asked,
        region=old.region,
        name=old.name,
        created=old.created,
        description=call.body.get("description", old.description),
    )
    plan = {
        "old": old.stored(),
        "new": new.stored(),
        "key": schedules.store_key(call.caller.project, old.region, old.name),
        "owner": kept.owner(call.caller.project),
    }
    path = _path(call, old.region, old.name)
    return engine.start(call, "op.resourcePolicies.patch", type="patch", target=path, target_id=old.number, plan=plan)


@method("compute.resourcePolicies.delete", needs=(*READS, "listVolumes", "deleteSnapshotPolicies"))
def delete(call: Call) -> dict[str, Any]:
    """Delete a schedule that no disk has."""
    found = _found(call, call.params["resourcePolicy"])
    path = _path(call, found.region, found.name)
    for row in schedules.marks(call.caller):
        marked = schedules.of_volume({"tags": [row]})
        user = call.caller.cloud.first("listVolumes", id=row["resourceid"]) if marked else None
        if marked is not None and marked.path == found.path and user is not None and volumes.visible([user]):
            place = places.of_caller(call.caller).shown(user)
            disk = volumes.path(call.project, place, volumes.gce_names_of([user])[user["id"]])
            message = f"The resource_policy resource '{path}' is already being used by '{disk}'"
            raise GceError("resourceInUseByAnotherResource", message)
    overlay.drop(KIND, schedules.store_key(call.caller.project, found.region, found.name))
    return engine.done(call, type="delete", target=path, target_id=found.number)


@method("compute.resourcePolicies.getIamPolicy", needs=READS)
def get_iam_policy(call: Call) -> dict[str, Any]:
    """The policy of a schedule, which has none."""
    _found(call, call.params["resource"])
    return permissions.policy()


@method("compute.resourcePolicies.testIamPermissions", needs=READS, body=permissions.ASKED)
def test_iam_permissions(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on a schedule."""
    _found(call, call.params["resource"])
    return permissions.held(call)


def view(call: Call, schedule: Schedule) -> dict[str, Any]:
    """A schedule."""
    return render(
        "resource_policy",
        id=str(schedule.number),
        creation_timestamp=schedule.created or NO_DATE,
        name=schedule.name,
        description=schedule.description,
        region=call.links.absolute(f"projects/{call.project}/regions/{schedule.region}"),
        schedule=schedule.body(),
        self_link=call.links.absolute(_path(call, schedule.region, schedule.name)),
    )


def _named(call: Call, asked: dict[str, Any]) -> dict[str, Any]:
    """The members of a change, or of its ``updateMask``: one of ``schedule``, ``retentionPolicy`` and
    ``snapshotProperties`` each as a whole."""
    fields = [field.strip() for field in (call.params.get("updateMask") or "").split(",") if field.strip()]
    for field in fields:
        if field not in ("description", _SCHEDULE) and not field.startswith(f"{_SCHEDULE}."):
            raise invalid("updateMask", field, f"What can be changed is description and {_SCHEDULE}.")
    named = {field.split(".")[1] for field in fields if "." in field}
    return {member: value for member, value in asked.items() if not named or member in named}


def _found(call: Call, wanted: str) -> Schedule:
    region = places.require_region(call.caller, call.params["region"])
    found = schedules.find(call.caller, region, wanted)
    if found is None:
        raise not_found(_path(call, region, wanted))
    return found


def _content(call: Call, schedule: Schedule) -> dict[str, Any]:
    return {"owner": kept.owner(call.caller.project), "schedule": schedule.stored()}


def _path(call: Call, region: str, name: str) -> str:
    return f"projects/{call.project}/regions/{region}/resourcePolicies/{name}"
