"""The way to CloudStack of one operation, which outlives the credential that started it.

Apart because everything else in a workflow may ignore it. The surprising thing: a call through it may wait
for days. When CloudStack refuses the credential, another live one of the same project takes its place, and
while there is none the operation is blocked: it waits for an operator, and its clients see it RUNNING.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from gstack.cloudstack.client import Cloud, Endpoint, Row
from gstack.cloudstack.errors import Unauthorized
from gstack.errors import GceError

if TYPE_CHECKING:
    from gstack.operations.run import Run

log = structlog.get_logger(__name__)
Result = TypeVar("Result")

BLOCKED = "No credential of this project is accepted by CloudStack. Add one, or make this one work again."


class OperationCloud(Cloud):
    """A ``Cloud`` for the steps of one operation, with whatever credential works; outside of a step it raises
    RuntimeError. Its calls, wherever they come from, all pass through :meth:`use`."""

    def __init__(self, run: Run, projectid: str | None) -> None:
        # No super().__init__(): the keys, and all that hangs on them, are those of the cloud in use.
        self._run = run
        self._project = replace(run.project, cloudstack_id=projectid)
        self._credential = run.credential_id
        self._refused: set[str] = set()
        self._cloud: Cloud | None = None
        self._shown_blocked = False
        self._choosing = threading.Lock()  # calls side by side must not be blocked twice: there is one slot

    @property
    def key(self) -> str:  # type: ignore[override]  # as __init__ says
        """What cached answers belong to."""
        return self._current().key

    @property
    def endpoint(self) -> Endpoint:  # type: ignore[override]  # as __init__ says
        """The process's endpoint."""
        return self._current().endpoint

    @property
    def projectid(self) -> str | None:  # type: ignore[override]  # as __init__ says
        """The CloudStack project, if any."""
        return self._project.cloudstack_id

    def __repr__(self) -> str:
        return f"OperationCloud({self._run.name!r})"

    def within(self, projectid: str | None) -> OperationCloud:
        """The same operation's view of a CloudStack project, or of the account itself (None)."""
        return OperationCloud(self._run, projectid)

    def call(self, command_name: str, /, **params: Any) -> Row:
        """As :meth:`Cloud.call`."""
        return self.use(lambda cloud: cloud.call(command_name, **params))

    def use(self, function: Callable[[Cloud], Result]) -> Result:
        """Give the plain ``Cloud`` to ``function``, again with another one if its credential is refused."""
        while True:
            cloud = self._current()
            try:
                result = function(cloud)
            except Unauthorized as error:
                # 401 also means a command that this CloudStack does not know.
                if _accepted(cloud):
                    raise GceError(
                        "notImplemented", f"This CloudStack does not know {error.command}, which is needed here."
                    ) from None
                # Refused before anything was done: asking again as somebody else repeats nothing.
                self._drop(cloud)
            else:
                self._show_blocked(None)
                return result

    def _current(self) -> Cloud:
        if not self._run.in_step:
            raise RuntimeError("CloudStack was asked outside of a step: a resumed run may see other answers")
        with self._choosing:
            if self._cloud is None:
                self._cloud = self._choose() or self._blocked()
            return self._cloud

    def _drop(self, cloud: Cloud) -> None:
        with self._choosing:
            if self._cloud is cloud:
                log.warning("credential.refused", operation=self._run.name, credential=self._credential)
                self._refused.add(self._credential)
                self._cloud = None

    def _choose(self) -> Cloud | None:
        own, services = self._run.credential_id, self._run.runtime.services
        for credential in (own, *services.others(own, self._project)):
            if credential in self._refused:
                continue
            cloud = services.cloud_for(credential, self._project)
            if cloud is not None:
                self._credential = credential
                return cloud
        return None

    def _blocked(self) -> Cloud:
        runtime = self._run.runtime
        self._show_blocked(BLOCKED)
        with runtime.slot_lent(self._project.id):
            while True:
                runtime.pause(runtime.patience.blocked)
                self._refused.clear()
                cloud = self._choose()
                if cloud is not None:
                    return cloud

    def _show_blocked(self, reason: str | None) -> None:
        if self._shown_blocked == (reason is not None):
            return
        self._shown_blocked = reason is not None
        log.error("operation.blocked" if reason else "operation.unblocked", operation=self._run.name)
        self._run.note(blocked=reason)


def _accepted(cloud: Cloud) -> bool:
    try:
        cloud.first("listZones")
    except Unauthorized:
        return False
    return True
