"""Commands that change firewall rules, many at a time, and what is there afterwards.

Apart from the enforcers because all of them, and the definitions, are written the same way. The surprising thing: no
answer is trusted. A rule that exists already fails its job and one that is gone is refused, so whether all went well is
seen by looking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Protocol

from gstack.cloudstack.client import Cloud
from gstack.cloudstack.errors import Throttled, Unauthorized, Unavailable
from gstack.cloudstack.jobs import poll
from gstack.errors import GceError
from gstack.firewall.grouprules import GroupRule, authorizations
from gstack.firewall.groups import Group

Command = tuple[str, dict[str, Any]]

AT_ONCE = 8  # commands of one operation under way at the same time
SLOWEST_POLL = 2.0  # seconds between two looks at a job
# CloudStack cancels its own jobs after an hour (job.cancel.threshold.minutes).
LONGEST_JOB = 3600.0
# How often reality is read again after changes. Other hosts change it too; each looks after its own last change.
MOST_ROUNDS = 20
# How often the same is tried where CloudStack says that what is to be changed is gone, and lists it again.
MOST_VAIN = 3


class World(Protocol):
    """What is there of one kind of rules, and what should be."""

    def wanted(self) -> tuple[Any, set[str]]:
        """The rules that should be there, and in sentences what cannot be said."""

    def changes(self) -> Sequence[list[Command]]:
        """The commands that bring the rules in line, in phases one after the other."""


@dataclass(frozen=True)
class Writer:
    """Sends commands as ``cloud`` and waits for their jobs. ``pause`` sleeps; ``first_poll`` is in seconds."""

    cloud: Cloud
    pause: Callable[[float], None]
    first_poll: float = 0.2

    def all(self, commands: Sequence[Command], progress: Callable[[int, int], None] | None = None) -> list[GceError]:
        """Run all of ``commands``, AT_ONCE at a time; the errors of those that failed.

        ``progress`` is told how many of how many are done. Raises Unauthorized, Unavailable and Throttled.
        """
        errors: list[GceError] = []
        if not commands:
            return errors
        with ThreadPoolExecutor(min(AT_ONCE, len(commands)), thread_name_prefix="firewall") as pool:
            running = [pool.submit(self.one, *command) for command in commands]
            try:
                for done, future in enumerate(as_completed(running), 1):
                    error = future.result()
                    errors += [error] if error else []
                    if progress is not None:
                        progress(done, len(commands))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return errors

    def one(self, command: str, params: Mapping[str, Any]) -> GceError | None:
        """Run one command to the end of its job; the error if it failed. Raises as :meth:`all`."""
        try:
            answer = self.cloud.call(command, **params)
            return self._finished(command, str(answer["jobid"])) if "jobid" in answer else None
        except (Unauthorized, Unavailable, Throttled):
            raise
        except GceError as error:
            return error

    def obey(self, command: str, params: Mapping[str, Any]) -> None:
        """As :meth:`one`; raises what CloudStack refused."""
        refusal = self.one(command, params)
        if refusal is not None:
            raise refusal

    def give_way(self, rounds: int) -> None:
        """Wait a moment, and each time longer, where what was to be done has been tried more than once: somebody else
        is at it as well."""
        if rounds > 1:
            self.pause(rounds / 20)

    def _finished(self, command: str, jobid: str) -> GceError | None:
        delay, waited = self.first_poll, 0.0
        while True:
            job = poll(self.cloud, jobid, command)
            if not job.pending:
                return job.error
            if waited > LONGEST_JOB:
                return GceError("backendError", f"CloudStack has not finished {command} in time.")
            self.pause(delay)
            waited += delay
            delay = min(delay * 1.5, SLOWEST_POLL)


def settle(writer: Writer, look: Callable[[bool], World | None]) -> frozenset[str]:
    """Bring what ``look`` finds to what it should be, and look again until it is; in sentences what cannot be said.

    ``look`` is told whether it has been called before: then it must read everything anew, also what the firewalls say,
    or of two hosts the one that has read an older state would have the last word. None is nothing to guard. Raises
    what CloudStack refused, twice in the same state; what it cannot find, MOST_VAIN times.
    """
    before: object = None
    errors: list[GceError] = []
    vain = 0
    for number in range(MOST_ROUNDS):
        world = look(number > 0)
        if world is None:
            return frozenset()
        changes = world.changes()
        if not any(changes):
            return frozenset(world.wanted()[1])
        vain = vain + 1 if errors and changes == before else 0
        refused = [error for error in errors if error.kind != "notFound"]
        if vain and (refused or vain == MOST_VAIN):
            raise (refused or errors)[0]
        before = changes
        writer.give_way(number)
        errors = [error for commands in changes for error in writer.all(commands)]
    raise next((error for error in errors if error.kind != "notFound"), contended())


def contended() -> GceError:
    """The error for rules that others change as fast as they are brought in line."""
    return GceError("conflict", "The firewall rules are being changed by others as well. Try again.", retry_after=5)


def differences(
    groups: Iterable[Group], wanted: Mapping[str, frozenset[GroupRule]]
) -> tuple[list[Command], list[Command]]:
    """What brings ``groups`` to ``wanted`` (rules by group id): the commands that authorize, and those that revoke.

    All of the first come before any of the second: a rule that moves to another group is never missing meanwhile, and
    egress never opens for want of its last rule.
    """
    authorize: list[Command] = []
    revoke: list[Command] = []
    for group in groups:
        if group.id not in wanted:
            continue
        authorize += authorizations(group.id, wanted[group.id] - group.rules.keys())
        revoke += [
            (f"revokeSecurityGroup{rule.direction.capitalize()}", {"id": ruleid})
            for rule, ruleid in sorted(group.rules.items())
            if rule not in wanted[group.id]
        ]
    return authorize, revoke
