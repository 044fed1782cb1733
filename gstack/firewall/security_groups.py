"""The enforcer for zones with security groups: brings what the groups of a project's instances allow to what its GCE
firewalls say.

Apart from the compiler, which is pure, and from the workflows, which give it their steps. The surprising thing: VMs
never join the group that defines a firewall. Each joins two groups that only gstack writes: the one of its project and
network, with what every member gets, and its own, with the rest.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from gstack.cloudstack.client import Cloud
from gstack.errors import GceError
from gstack.firewall import isolated, marks, tiers
from gstack.firewall.grouprules import GroupRule
from gstack.firewall.groups import GUARDS, INSTANCE, Group, instance_group, network_group
from gstack.firewall.plan import State, leftovers, wanted
from gstack.firewall.rules import Member
from gstack.firewall.writer import MOST_ROUNDS, Writer, contended, differences
from gstack.translate.tags import plan_own

Plan = Callable[[State], tuple[Mapping[str, frozenset[GroupRule]], frozenset[str]]]
Result = TypeVar("Result")

TURN_SECONDS = 0.2
# An own group without a machine is a leftover after this: deploying one takes minutes at most.
LEFTOVER_MS = 3600 * 1000
SWEEP = "op.firewalls.sweep"
SWEEP_SECONDS = 300.0
# Operations of fewer commands are over before anybody asks.
PROGRESS_FROM = 20
TOKEN = 5

# A cache: one lock for each account that this process has worked for. Without it the outcome is the same.
_TURNS: dict[str, threading.Lock] = {}
_TURNS_LOCK = threading.Lock()


class Run(Protocol):
    """What is used of :class:`gstack.operations.run.Run`, which this room does not know."""

    @property
    def name(self) -> str: ...

    @property
    def cloud(self) -> Any: ...

    @property
    def runtime(self) -> Any: ...

    def step(self, name: str, function: Callable[..., Any], *args: Any) -> Any: ...

    def undo(self, name: str, function: Callable[..., Any], *args: Any) -> None: ...

    def later(self, workflow: str, plan: dict[str, Any], *, delay: float = 0.0) -> None: ...

    def progress(self, percent: int) -> None: ...


def join(
    run: Run, *, network: str, zone: str, instance: str, tags: Sequence[str], service_accounts: Sequence[str]
) -> list[str]:
    """Before an instance is deployed: make sure of its two groups and of the rules in them.

    A step of ``run`` (call it outside of steps). ``network``, ``zone`` and ``instance`` are GCE names, ``tags`` its
    network tags, ``service_accounts`` e-mail addresses. The ids are for ``securitygroupids`` of deployVirtualMachine:
    the network's group, then the instance's own. Registers the undo of its own group; safe to repeat.
    """
    token = hashlib.blake2b(run.name.encode()).hexdigest()[:TOKEN]
    name = instance_group(network, zone, instance, token)
    run.undo(f"the security group of {instance}", lambda: using(run, lambda writer: _remove(writer, [name])))

    def make(writer: Writer) -> list[str]:
        member = Member(name, frozenset(tags), frozenset(service_accounts))
        return _joined(writer, network, name, member)

    found: list[str] = run.step("security groups", lambda: using(run, make))
    return found


def converge(run: Run, step: str = "firewall rules") -> list[str]:
    """After anything changed that firewalls depend on: an instance was deployed (its address is known now), started,
    got other tags, or was deleted; a firewall came, changed or went.

    A step of ``run``, called ``step``. Reads everything again and authorizes what is missing, revokes what is too
    much, in all groups that gstack writes. The answer says in sentences what CloudStack cannot express.
    """

    def progress(done: int, of: int) -> None:
        if of >= PROGRESS_FROM and done % (of // 10) == 0:
            run.progress(min(95, 100 * done // of))

    found: list[str] = run.step(step, lambda: using(run, lambda writer: bring(writer, progress)))
    return found


def leave(run: Run, *, groups: Sequence[str]) -> bool:
    """After an instance was destroyed: take its own group out of all rules and delete it. A step of ``run``.

    ``groups`` are the ids of the groups the machine was in, as its row named them (``securitygroup[].id``); those that
    are not its own are left alone. False while CloudStack still counts the machine as a member (until it is expunged);
    its group is then taken away later, by a workflow of its own.
    """
    try:
        gone: bool = run.step("own security group", lambda: using(run, lambda writer: _left(writer, set(groups))))
    except GceError:
        gone = False  # the machine is destroyed all the same; what is left of its group opens nothing
    if not gone:
        run.later(SWEEP, {"groups": list(groups)}, delay=SWEEP_SECONDS)
    return gone


def sweep(run: Run, groups: Sequence[str]) -> bool:
    """Delete those of ``groups`` that are own groups of destroyed machines; whether all are gone. A step of ``run``."""
    gone: bool = run.step("sweep", lambda: using(run, lambda writer: _left(writer, set(groups))))
    return gone


def using(run: Run, function: Callable[[Writer], Result]) -> Result:
    """``function`` with a writer of the operation's credential; again from its start with another one if CloudStack
    refuses that. Inside of a step."""
    runtime = run.runtime
    result: Result = run.cloud.use(lambda cloud: function(Writer(cloud, runtime.pause, runtime.patience.job_poll)))
    return result


def read(cloud: Cloud) -> State:
    """What is there. Machines are asked for only where a rule depends on them."""
    return _with_machines(cloud, [Group(row) for row in cloud.list("listSecurityGroups")])


def bring(writer: Writer, progress: Callable[[int, int], None] | None = None) -> list[str]:
    """Bring all groups that gstack writes to what they should say, the rules of isolated networks and the
    access lists of tiers; in sentences what cannot be said.

    Raises what CloudStack refused a command with, if that left a difference.
    """
    with _turn(writer):
        state, lost = _settled(writer, read(writer.cloud), wanted, progress)
        _drop(writer, leftovers(state.groups, _now_ms() - LEFTOVER_MS))
        there = isolated.existing(writer.cloud)
        lost |= isolated.bring(writer, state.groups, there) | tiers.bring(writer, state.groups, there)
    return sorted(lost)


@contextmanager
def _turn(writer: Writer) -> Iterator[None]:
    """One at a time for each account in this process: whoever waited mostly finds that all is done."""
    with _TURNS_LOCK:
        turn = _TURNS.setdefault(writer.cloud.key, threading.Lock())
    while not turn.acquire(timeout=TURN_SECONDS):
        writer.pause(0)
    try:
        yield
    finally:
        turn.release()


def _settled(
    writer: Writer, state: State, plan: Plan, progress: Callable[[int, int], None] | None = None
) -> tuple[State, frozenset[str]]:
    """Change groups until they are as ``plan`` says; the state in which they were, and what cannot be said."""
    before: object = None
    errors: list[GceError] = []
    for number in range(MOST_ROUNDS):
        rules, lost = plan(state)
        changes = differences(state.groups, rules)
        if not any(changes):
            return state, lost
        if errors and changes == before:
            raise errors[0]
        before = changes
        writer.give_way(number)
        errors = [error for commands in changes for error in writer.all(commands, progress)]
        state = read(writer.cloud)
    raise contended()


def _joined(writer: Writer, network: str, name: str, member: Member) -> list[str]:
    groups = [Group(row) for row in writer.cloud.list("listSecurityGroups")]
    shared = _made(writer, groups, network_group(network), f"Rules of all instances of network {network}", {})
    guarded = {"accounts": sorted(member.accounts), "made": _now_ms()}
    own = _made(writer, groups, name, f"Rules of instance {name.split(':')[4]}", guarded)

    def plan(state: State) -> tuple[dict[str, frozenset[GroupRule]], frozenset[str]]:
        guard, _ = state.guard(network)
        return {shared: guard.network()[0], own: guard.instance(member)[0]}, frozenset()

    _settled(writer, _with_machines(writer.cloud, groups), plan)
    return [shared, own]


def _with_machines(cloud: Cloud, groups: Sequence[Group]) -> State:
    state = State(groups)
    return State(groups, cloud.list("listVirtualMachines", details=["nics"])) if state.needs_machines else state


def _made(writer: Writer, groups: list[Group], name: str, description: str, content: dict[str, Any]) -> str:
    """The id of the group of that name, made unless it is among ``groups``, with its marks."""
    group = next((group for group in groups if group.name.lower() == name.lower()), None)
    if group is None:
        try:
            answer = writer.cloud.call("createSecurityGroup", name=name, description=description)
            group = Group(answer["securitygroup"])
        except GceError as error:
            row = writer.cloud.first("listSecurityGroups", securitygroupname=name)
            if error.kind != "alreadyExists" or row is None:
                raise
            group = Group(row)
        groups.append(group)
    if not group.content:
        pieces = marks.pack(GUARDS, 1, {"owner": "gstack", **content})
        created = plan_own(group.row.get("tags", ()), pieces).create
        refusal = writer.one(
            "createTags", {"resourcetype": "SecurityGroup", "resourceids": [group.id], "tags": created}
        )
        # Of the network's group, another operation may have taken care meanwhile.
        if refusal is not None and group.purpose[0] == INSTANCE:
            raise refusal
    return group.id


def _left(writer: Writer, groups: set[str]) -> bool:
    """Take the machines' own groups among ``groups`` out of all rules and delete them; whether all are gone."""
    bring(writer)
    there = [Group(row) for row in writer.cloud.list("listSecurityGroups")]
    mine = [group for group in there if group.id in groups and group.purpose[:1] == (INSTANCE,)]
    return not _drop(writer, mine)


def _remove(writer: Writer, names: Sequence[str]) -> None:
    rows = [writer.cloud.first("listSecurityGroups", securitygroupname=name) for name in names]
    _drop(writer, [Group(row) for row in rows if row is not None])


def _drop(writer: Writer, groups: Sequence[Group]) -> list[GceError]:
    """Delete groups; the errors of those that are still there. In use is one of them: machines hold their groups
    until they are expunged."""
    errors = writer.all([("deleteSecurityGroup", {"id": group.id}) for group in groups])
    return [error for error in errors if error.kind != "notFound"]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
