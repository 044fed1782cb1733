"""One CloudStack command of a workflow: sending it once, whatever is lost on the way, and waiting for its
job.

Apart from :mod:`run` because this is where all the doubt is. The surprising thing: doubt starts before the
first call. A run that was resumed cannot know whether its predecessor died before or after CloudStack got
the command.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from gstack.cloudstack.errors import JobGone, Throttled, Unavailable
from gstack.cloudstack.jobs import PENDING, Job, poll
from gstack.errors import GceError
from gstack.operations.recovery import Recovery

if TYPE_CHECKING:
    from gstack.operations.run import Run

log = structlog.get_logger(__name__)

SECRET_MEMBERS = frozenset({"password", "privatekey", "secretkey", "vncpassword"})


class Sender:
    """One command. ``find`` gives the object it may already have made."""

    def __init__(
        self,
        run: Run,
        command: str,
        params: dict[str, Any],
        find: Callable[[], dict[str, Any] | None] | None,
        rule: Recovery,
    ) -> None:
        self._run = run
        self._command = command
        self._params = params
        self._find = find
        self._rule = rule

    def send(self) -> dict[str, Any]:
        """``{"object": row}`` when all is done, or ``{"object": row, "jobid": id}`` when there is a job to
        wait for.
        """
        patience = self._run.runtime.patience
        deadline = time.monotonic() + patience.unavailable
        delay = patience.retry
        doubtful = self._run.resumed
        while True:
            try:
                found = self._look() if doubtful else None
                return self._sent(found if found is not None else self._call())
            except Unavailable as error:
                doubtful = doubtful or error.sent
                if time.monotonic() + delay > deadline:
                    raise
            except Throttled:
                if time.monotonic() + delay > deadline:
                    raise
            except GceError as error:
                if doubtful and self._rule.removes and error.kind == "notFound":
                    return {"object": {}}
                raise
            log.info("command.again", operation=self._run.name, command=self._command, doubtful=doubtful)
            self._run.runtime.pause(delay)
            delay = min(delay * 2, patience.retry_most)

    def wait(self, sent: dict[str, Any]) -> dict[str, Any]:
        """The object of a finished job."""
        job = self._finished(sent["jobid"])
        if job is None:
            found = self._look()
            if found is None:
                raise GceError(
                    "internalError",
                    f"CloudStack no longer knows the job of {self._command}; what became of it is unknown.",
                )
            return dict(self._sealed(found))
        if job.failed:
            raise job.error or GceError("internalError", f"CloudStack failed {self._command} without a word.")
        return dict(sent["object"]) | dict(self._sealed(job.result or {}))

    def _finished(self, jobid: str) -> Job | None:
        """The job once it has ended; None if CloudStack has forgotten it."""
        runtime = self._run.runtime
        deadline = time.monotonic() + runtime.patience.job
        delay = runtime.patience.job_poll
        while True:
            try:
                job = self._run.cloud.use(lambda cloud: poll(cloud, jobid, self._command))
                if not job.pending:
                    return job
            except (Unavailable, Throttled):
                log.info("job.unreachable", operation=self._run.name, job=jobid)
            except JobGone:
                return None
            if time.monotonic() > deadline:
                raise GceError("backendError", f"CloudStack has not finished {self._command} in time.")
            runtime.pause(delay)
            delay = min(delay * 1.5, runtime.patience.job_poll_most)

    def _look(self) -> dict[str, Any] | None:
        return self._find() if self._find is not None else None

    def _call(self) -> dict[str, Any]:
        return dict(self._run.cloud.call(self._command, **self._params))

    def _sent(self, answer: dict[str, Any]) -> dict[str, Any]:
        """What is recorded of an answer, or of an object that was found."""
        row = self._sealed(_inner(answer))
        pending = row.pop("jobstatus", PENDING) == PENDING
        jobid = row.pop("jobid", None)
        return {"object": row, "jobid": jobid} if jobid and pending else {"object": row}

    def _sealed(self, value: Any) -> Any:
        """``value`` with every secret sealed: results stand in the workflow tables."""
        if isinstance(value, dict):
            return {
                key: self._run.seal(item)
                if key.lower() in SECRET_MEMBERS and isinstance(item, str)
                else self._sealed(item)
                for key, item in value.items()
            }
        return [self._sealed(item) for item in value] if isinstance(value, list) else value


def _inner(result: dict[str, Any]) -> dict[str, Any]:
    """The object of ``{"securitygroup": {…}}``; ``{"success": true}`` stays as it is."""
    members = list(result.values())
    return dict(members[0]) if len(members) == 1 and isinstance(members[0], dict) else dict(result)
