"""CloudStack's asynchronous jobs: one look at a time.

Apart from the client because a job has two ways to fail: asking about it, which raises, and the job
itself, which is a result like any other. The surprising things: what a finished job carries was written
from inside the job (a machine still says ``jobstatus: 0``), so read the object again; and a job cut off by
a crash of the management server has no result at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gstack.cloudstack.client import Cloud, Row
from gstack.cloudstack.errors import CloudStackError, JobGone, cloudstack_error

PENDING, DONE, FAILED = 0, 1, 2  # jobstatus
_NO_RESULT = "The job ended without a result, as happens when the management server stops meanwhile."


@dataclass(frozen=True)
class Job:
    """A job as it stood when asked.

    ``status`` is "pending", "done" or "failed". ``result`` is the object that a done job carries, out of
    its wrapper: the machine, the volume, or ``{"success": True}``; secrets such as a generated password are
    only there. ``error`` is what a failed job says. ``instance_id`` is the object's UUID where CloudStack
    gives it.
    """

    id: str
    status: str
    result: Row | None = None
    error: CloudStackError | None = None
    instance_id: str | None = None

    @property
    def done(self) -> bool:
        """It ended well."""
        return self.status == "done"

    @property
    def failed(self) -> bool:
        """It ended badly; ``error`` says how."""
        return self.status == "failed"

    @property
    def pending(self) -> bool:
        """It has not ended."""
        return self.status == "pending"

    def __repr__(self) -> str:
        return f"Job(id={self.id!r}, status={self.status!r})"


def poll(cloud: Cloud, jobid: str, command: str = "") -> Job:
    """One look at a job. ``command`` is what submitted it, for its error; without it the job's class is
    named.

    Raises JobGone when CloudStack does not know the job, and whatever a call raises.
    """
    try:
        row = cloud.call("queryAsyncJobResult", jobid=jobid)
    except CloudStackError as error:
        if error.code == 431:
            raise JobGone(error.command, error.code, error.text, cscode=error.cscode) from None
        raise
    return read_job(row, command)


def read_job(row: Row, command: str = "") -> Job:
    """The job in an answer of queryAsyncJobResult."""
    jobid, instance = row.get("jobid", ""), row.get("jobinstanceid")
    instance = None if instance == "None" else instance  # projects write the word
    status = row.get("jobstatus", PENDING)
    if status == DONE:
        return Job(jobid, "done", result=_inner(row.get("jobresult")), instance_id=instance)
    if status != FAILED:
        return Job(jobid, "pending", instance_id=instance)
    command = command or str(row.get("cmd", "")).rsplit(".", 1)[-1] or "job"
    result = row.get("jobresult")
    said: Row = result if isinstance(result, dict) else {}
    code = int(said.get("errorcode") or row.get("jobresultcode") or 530)
    error = cloudstack_error(command, code, str(said.get("errortext") or _NO_RESULT))
    return Job(jobid, "failed", error=error, instance_id=instance)


def _inner(result: Any) -> Row:
    """``{"virtualmachine": {...}}`` → ``{...}``; ``{"success": True}`` stays."""
    if not isinstance(result, dict):
        return {}
    values = list(result.values())
    return values[0] if len(values) == 1 and isinstance(values[0], dict) else result
