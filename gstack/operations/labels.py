"""Resource tags in workflows: labels and marks put on, changed, taken away.

Apart because disks, snapshots and images do it alike. The surprising thing: the fingerprint is compared twice, when the
request comes and again inside of the workflow. Operations on one object run one after the other, and the one before may
have changed what the client has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from gstack.errors import GceError
from gstack.operations import engine
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import matches
from gstack.protocol.ids import numeric_id
from gstack.translate import tags
from gstack.translate.tags import Changes

Tags = list[dict[str, str]]


def start(
    call: Call, kind: str, row: Mapping[str, Any], path: str, asked: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Start the setLabels of ``call`` on the object that ``row`` is about, of CloudStack's resource type ``kind``.

    ``path`` is its link from ``projects/`` on; ``asked`` what holds the labels, if not the whole body. Raises GceError:
    ``conditionNotMet`` for an old fingerprint or none, ``invalid`` or ``alreadyExists`` for labels that cannot be.
    """
    asked = call.body if asked is None else asked
    labels, seen = asked.get("labels") or {}, asked.get("labelFingerprint", "")
    plan(row.get("tags") or (), labels, seen)
    return engine.start(
        call,
        "op.labels.set",
        type="setLabels",
        target=path,
        target_id=numeric_id(row["id"]),
        plan={"kind": kind, "id": row["id"], "labels": labels, "fingerprint": seen},
    )


@workflow("op.labels.set")
def set_labels(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``kind``, CloudStack's resource type; ``id``; ``labels``; ``fingerprint``, the one that was seen."""
    replace(run, plan["kind"], plan["id"], plan["labels"], plan["fingerprint"])


def replace(run: Run, kind: str, resource: str, labels: dict[str, str], seen: str) -> None:
    """Put ``labels`` in the place of those of fingerprint ``seen``."""
    change(run, kind, resource, lambda: plan(present(run, kind, resource), labels, seen))


def mark(run: Run, kind: str, resource: str, marks: Mapping[str, str | None], step: str = "") -> None:
    """Set gstack's marks of these names, or take them away where None, as :func:`change` does."""
    change(run, kind, resource, lambda: tags.plan_own(present(run, kind, resource), marks), step)


def change(run: Run, kind: str, resource: str, changes: Callable[[], Changes], step: str = "") -> None:
    """Delete and create tags as ``changes``, a step's body, says; ``step`` tells several in one run apart.
    Nothing replaces a tag in one go, so what was deleted is put back where creating fails."""
    wanted = run.step(f"look{step}", lambda: asdict(changes()))
    if wanted["delete"]:
        doomed = {tag["key"] for tag in wanted["delete"]}
        before = run.step(f"before{step}", lambda: _pairs(present(run, kind, resource), doomed))
        run.undo("the change of tags", _restore, run, kind, resource, before)
        params = {"resourcetype": kind, "resourceids": [resource], "tags": wanted["delete"]}
        try:
            run.job(f"delete tags{step}", "deleteTags", params)
        except GceError:
            # CloudStack fails to delete what is gone, which it is after an answer that was lost.
            if run.step(f"look again{step}", lambda: _pairs(present(run, kind, resource), doomed)):
                raise
    create(run, f"create tags{step}", kind, resource, wanted["create"])


def create(run: Run, step: str, kind: str, resource: str, wanted: Tags) -> None:
    """Create tags that the resource does not have yet."""
    if wanted:
        params = {"resourcetype": kind, "resourceids": [resource], "tags": wanted}
        run.job(step, "createTags", params, find=lambda: _there(run, kind, resource, wanted))


def plan(found: Iterable[Mapping[str, Any]], labels: dict[str, str], seen: str) -> Changes:
    """What makes ``labels`` those of an object with the tags ``found``. Raises GceError ``conditionNotMet`` where
    ``seen`` is not the fingerprint of those that it has."""
    found = list(found)
    check_seen(tags.labels(found), seen)
    return tags.plan_labels(found, labels)


def check_seen(labels: Mapping[str, str], seen: str) -> None:
    """Raise GceError conditionNotMet unless ``seen`` is the fingerprint of ``labels``."""
    if not matches(seen, labels):
        message = "Labels fingerprint either invalid or resource labels have changed"
        raise GceError("conditionNotMet", message, location="labelFingerprint")


# What follows runs inside of steps.


def present(run: Run, kind: str, resource: str) -> list[dict[str, Any]]:
    """The tags that a resource has."""
    return run.cloud.list("listTags", resourcetype=kind, resourceid=resource)


def put_back(run: Run, kind: str, resource: str, changes: Changes) -> None:
    """Change the tags of a resource at once, to take something back."""
    for command, some in (("deleteTags", changes.delete), ("createTags", changes.create)):
        if some:
            run.obey(command, {"resourcetype": kind, "resourceids": [resource], "tags": some})


def put_marks_back(run: Run, kind: str, resource: str, marks: Mapping[str, str | None]) -> None:
    """As :func:`put_back`: gstack's marks as they were, None where there was none."""
    put_back(run, kind, resource, tags.plan_own(present(run, kind, resource), marks))


def _pairs(found: Iterable[Mapping[str, Any]], keys: set[str]) -> Tags:
    return [{"key": tag["key"], "value": tag["value"]} for tag in found if tag.get("key") in keys]


def _there(run: Run, kind: str, resource: str, wanted: Tags) -> dict[str, Any] | None:
    there = {(tag.get("key"), tag.get("value")) for tag in present(run, kind, resource)}
    return {"id": resource} if all((tag["key"], tag["value"]) in there for tag in wanted) else None


def _restore(run: Run, kind: str, resource: str, before: Tags) -> None:
    there = {tag.get("key") for tag in present(run, kind, resource)}
    put_back(run, kind, resource, Changes([], [tag for tag in before if tag["key"] not in there]))
