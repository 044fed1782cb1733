"""The way to CloudStack of one operation, which outlives the credential that started it.

Apart because everything else in a workflow may ignore it. The surprising thing: a call through it may wait
for days. When CloudStack refuses the credential, another live one of the same project takes its place, and
while there is none the operation is blocked: it waits for an operator, and its clients see it RUNNING.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from gstack.cloudstack.errors import Unauthorized

if TYPE_CHECKING:
    from gstack.operations.run import Run

log = structlog.get_logger(__name__)
Result = TypeVar("Result")

BLOCKED = "No credential of this project is accepted by CloudStack. Add one, or make this one work again."


class OperationCloud:
    """A ``Cloud`` for the steps of one operation; outside of a step it refuses to work."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._services = run.runtime.services
        self._credential = run.credential_id
        self._refused: set[str] = set()
        self._cloud: Any = None
        self._shown_blocked = False

    @property
    def key(self) -> str:
        """What cached answers belong to."""
        return str(self._current().key)

    def call(self, command: str, **params: Any) -> dict[str, Any]:
        """As ``Cloud.call``."""
        return dict(self._with(lambda cloud: cloud.call(command, **params)))

    def list(self, command: str, **params: Any) -> list[dict[str, Any]]:
        """As ``Cloud.list``."""
        found: list[dict[str, Any]] = self._with(lambda cloud: cloud.list(command, **params))
        return found

    def first(self, command: str, **params: Any) -> dict[str, Any] | None:
        """As ``Cloud.first``."""
        found: dict[str, Any] | None = self._with(lambda cloud: cloud.first(command, **params))
        return found

    def count(self, command: str, **params: Any) -> int:
        """As ``Cloud.count``."""
        return int(self._with(lambda cloud: cloud.count(command, **params)))

    def together(self, *calls: tuple[str, dict[str, Any]]) -> Any:
        """As ``Cloud.together``."""
        return self._with(lambda cloud: cloud.together(*calls))

    def use(self, function: Callable[[Any], Result]) -> Result:
        """Give the plain ``Cloud`` to ``function``, again with another one if its credential is refused."""
        return self._with(function)

    def _with(self, function: Callable[[Any], Result]) -> Result:
        while True:
            cloud = self._current()
            try:
                result = function(cloud)
            except Unauthorized:
                # 401 also means a command that this CloudStack does not know.
                if _accepted(cloud):
                    raise
                # Refused before anything was done: asking again as somebody else repeats nothing.
                log.warning("credential.refused", operation=self._run.name, credential=self._credential)
                self._refused.add(self._credential)
                self._cloud = None
            else:
                self._show_blocked(None)
                return result

    def _current(self) -> Any:
        if not self._run.in_step:
            raise RuntimeError("CloudStack was asked outside of a step: a resumed run may see other answers")
        if self._cloud is None:
            self._cloud = self._choose() or self._blocked()
        return self._cloud

    def _choose(self) -> Any:
        own, project = self._run.credential_id, self._run.project
        for credential in (own, *self._services.others(own, project)):
            if credential in self._refused:
                continue
            cloud = self._services.cloud_for(credential, project)
            if cloud is not None:
                self._credential = credential
                return cloud
        return None

    def _blocked(self) -> Any:
        runtime = self._run.runtime
        self._show_blocked(BLOCKED)
        with runtime.slot_lent():
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
        self._run.runtime.note(self._run.name, blocked=reason)


def _accepted(cloud: Any) -> bool:
    try:
        cloud.first("listZones")
    except Unauthorized:
        return False
    return True
