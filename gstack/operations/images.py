"""Workflows of images: make one of a disk, a snapshot or a URL, change it, delete it.

Apart from the handlers, which have checked everything that can be checked at once. The surprising thing: CloudStack
lists a template only when it is finished, so whoever looks for one whose answer was lost first waits for the jobs that
may be making it.
"""

from __future__ import annotations

import re
from typing import Any

from gstack.errors import GceError
from gstack.operations import labels
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.ids import numeric_id
from gstack.store import overlay
from gstack.translate import images, machines, tags, volumes

Row = dict[str, Any]

MAKING = "CreateTemplateCmd"
FAILED = frozenset({"DOWNLOAD_ERROR", "ABANDONED", "NOT_UPLOADED", "UPLOAD_ERROR"})
USERS = re.compile(r'VM instance {[^}]*"state":"(\w+)"')  # their states, in the refusal to delete a template
ALL_USERS = "] are using it."  # how that ends
DOWNLOAD_SECONDS = 4 * 3600.0


@workflow("op.images.insert")
def insert(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``create``, parameters of createTemplate; ``tags``; ``overlay``."""
    name = plan["create"]["name"]
    run.undo(f"the image {name}", _discard, run, name)
    made = run.job("template", "createTemplate", plan["create"], find=lambda: _made(run, name))
    _finish(run, plan, str(made["id"]))


@workflow("op.images.register")
def register(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``create``, parameters of registerTemplate, in which ``extract`` may stand for the ``url``: those of
    extractTemplate, which makes one; ``warnings``, arguments of :meth:`Run.warn`, may stand there too; ``tags``;
    ``overlay``. CloudStack answers before it has downloaded anything."""
    params, name = dict(plan["create"]), plan["create"]["name"]
    for warning in params.pop("warnings", ()):
        run.warn(**warning)
    extract = params.pop("extract", None)
    if extract is not None:
        params["url"] = run.job("extract", "extractTemplate", extract)["url"]
    run.undo(f"the image {name}", _discard, run, name)
    run.job("template", "registerTemplate", params, find=lambda: _made(run, name))
    found = run.poll("download", _downloaded, run, name, every=2.0, within=DOWNLOAD_SECONDS)
    if found is None:
        raise GceError("backendError", f"CloudStack has not downloaded the image '{name}' in time.")
    if not found["ready"]:
        raise GceError("invalid", f"CloudStack could not download the image '{name}': {found['said']}")
    _finish(run, plan, found["id"])


@workflow("op.images.change")
def change(run: Run, plan: dict[str, Any]) -> None:
    """Patch and deprecate. ``plan``: ``template``, its id; ``own``, gstack's marks to set, or to take away where None;
    ``labels``, or None to leave them; ``describe``, a new displaytext, or None, and ``described``, the one before;
    ``kept``, members to remember, or to forget where None."""
    template = plan["template"]
    if plan["describe"] is not None:
        run.undo_job("the description", "updateTemplate", {"id": template, "displaytext": plan["described"]})
        run.job("describe", "updateTemplate", {"id": template, "displaytext": plan["describe"]})

    def changes() -> tags.Changes:
        there = labels.present(run, "Template", template)
        wanted = [tags.plan_own(there, plan["own"])]
        if plan["labels"] is not None:
            wanted.append(tags.plan_labels(there, plan["labels"]))
        return tags.join(*wanted)

    labels.change(run, "Template", template, changes)
    if plan["kept"]:
        run.step("remember", _remember, run, template, plan["kept"])


@workflow("op.images.delete")
def delete(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``template``, its id. Machines that are deleted already do not hold it, though CloudStack counts them
    until they are expunged."""
    template = plan["template"]
    awaiting = run.step("disks that await it", _awaiting, run, template)
    if awaiting is not None:
        message = f"The disk '{awaiting}' was made of the image and never used: CloudStack fills it at its first use."
        raise GceError("resourceInUseByAnotherResource", message)
    try:
        run.job("delete", "deleteTemplate", {"id": template})
    except GceError as error:
        if _used_by_deleted(error.message):
            run.job("delete all the same", "deleteTemplate", {"id": template, "forced": True})
        # What is gone already fails in the job, so an answer that was lost comes out here.
        elif error.kind != "notFound":
            raise
    run.step("forget", overlay.drop, images.KIND, template)


def _used_by_deleted(text: str) -> bool:
    """Whether deleteTemplate was refused for machines that are all deleted. It names every one of them, also those of
    other tenants (TemplateManagerImpl.deleteTemplate); where the text was cut short it is not known."""
    states = USERS.findall(text)
    return ALL_USERS in text and bool(states) and machines.GONE.issuperset(states)


def _finish(run: Run, plan: dict[str, Any], template: str) -> None:
    run.target_id(numeric_id(template))
    run.progress(80)
    labels.create(run, "tags", "Template", template, plan["tags"])
    if plan["overlay"]:
        run.step("remember", overlay.write, images.KIND, template, run.project.id, plan["overlay"])


# What follows runs inside of steps.


def _awaiting(run: Run, template: str) -> str | None:
    """The name of a disk that is yet to be filled of a template."""
    rows = run.cloud.list("listVolumes")
    awaiting = [row for row in volumes.visible(rows) if volumes.awaited_template(row) == template]
    return str(volumes.marked_name(awaiting[0]) or awaiting[0]["name"]) if awaiting else None


def _made(run: Run, name: str) -> Row | None:
    """The template of that name. When the request was checked there was none, and the name is claimed since."""
    delay = run.runtime.patience.job_poll
    while True:
        jobs = run.cloud.list("listAsyncJobs")
        row = _listed(run, name)
        if row is not None or not any(job["jobstatus"] == 0 and job["cmd"].endswith(MAKING) for job in jobs):
            return row
        run.runtime.pause(delay)
        delay = min(delay * 1.5, run.runtime.patience.job_poll_most)


def _listed(run: Run, name: str) -> Row | None:
    rows = run.cloud.list("listTemplates", templatefilter="self", name=name)
    return next((dict(row) for row in rows if row["name"] == name), None)


def _discard(run: Run, name: str) -> None:
    row = _made(run, name)
    if row is not None:
        run.obey("deleteTemplate", {"id": row["id"]})
        overlay.drop(images.KIND, row["id"])


def _downloaded(run: Run, name: str) -> dict[str, Any] | None:
    """How a download ended; None while it goes on. ``status`` is CloudStack's sentence, ``downloaddetails`` says
    how it goes in each zone."""
    row = _listed(run, name)
    if row is None:
        return None
    states = {str(place.get("downloadState", "")) for place in row.get("downloaddetails") or ()}
    said = str(row.get("status", ""))
    if not (row.get("isready") or states & FAILED or "error" in said.lower() or "fail" in said.lower()):
        return None
    return {"id": row["id"], "ready": bool(row.get("isready")), "said": said}


def _remember(run: Run, template: str, kept: dict[str, Any]) -> None:
    known = {**overlay.read(images.KIND, template), **kept}
    overlay.write(
        images.KIND, template, run.project.id, {name: value for name, value in known.items() if value is not None}
    )
