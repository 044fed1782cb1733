"""Workflows of external addresses: reserve and release; and what instances need: one of their own by static NAT.

Apart from the handlers and from the instances' workflows, which call :func:`attach` and :func:`detach`. An address that
is reserved lies in no network (reserving.py) but for as long as an instance uses it. The surprising thing: the first
address that a network gets is its source NAT, which can be nobody's; so asking for one may take two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.errors import GceError, in_use, not_found
from gstack.firewall.security_groups import using
from gstack.firewall.writer import Writer
from gstack.operations import firewalls, reserving, vpcs
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.ids import numeric_id
from gstack.store import overlay
from gstack.translate import addresses, machines, networks, tags

Row = dict[str, Any]


@dataclass(frozen=True)
class Home:
    """What an address belongs to: a network, or the VPC that the network is a tier of."""

    network: str
    vpc: str | None = None

    @property
    def params(self) -> Row:
        """What associateIpAddress is told."""
        return {"vpcid": self.vpc} if self.vpc else {"networkid": self.network}

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether an address, a row of CloudStack's, belongs to it."""
        return bool(row.get("vpcid") == self.vpc if self.vpc else row.get("associatednetworkid") == self.network)


TAKEN = 533  # CloudStack's answer where an address is somebody's by now


@workflow("op.addresses.insert")
def insert(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``zoneid``; ``tags``; ``description``."""
    row = reserving.reserve(run, plan["zoneid"], plan["tags"])
    run.target_id(numeric_id(row["id"]))
    if plan["description"]:
        content = {"description": plan["description"]}
        run.step("remember", overlay.write, addresses.KIND, row["id"], run.project.id, content)


@workflow("op.addresses.keep")
def keep(run: Run, plan: dict[str, Any]) -> None:
    """Make an instance's ephemeral address one that outlives it. ``plan``: ``id``; ``tags``; ``description``."""

    def body(writer: Writer) -> None:
        row = writer.cloud.first("listPublicIpAddresses", id=plan["id"])
        if row is None:
            raise GceError("notFound", "The external address is gone.")
        gone = tags.plan_own(row.get("tags") or (), {addresses.EPHEMERAL: None}).delete
        reserving.retag(writer, plan["id"], plan["tags"], gone)

    run.step("tags", lambda: using(run, body))
    if plan["description"]:
        content = {"description": plan["description"]}
        run.step("remember", overlay.write, addresses.KIND, plan["id"], run.project.id, content)


@workflow("op.addresses.delete")
def delete(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``id``; ``vpc``, that of the VPC it is in, or None."""
    row = run.step("look", _unused, run, plan["id"])
    if row["reserved"]:  # whose tags CloudStack would leave to its next owner
        run.undo("the tags", lambda: using(run, lambda writer: reserving.retag(writer, row["id"], row["tags"], [])))
        run.step("tags", lambda: using(run, lambda writer: reserving.retag(writer, row["id"], [], row["tags"])))
    reserving.release(run, row)
    if plan["vpc"]:  # whose last tier may wait for it
        run.step("VPC", lambda: using(run, lambda writer: vpcs.tidy(writer, plan["vpc"])))
    run.step("forget", overlay.drop, addresses.KIND, plan["id"])


@workflow("op.instances.addAccessConfig")
def add_access_config(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``machine``; ``access`` as :func:`attach` takes it; ``nic`` (nic0), ``name`` of the access config."""
    run.undo("the rules of the address", firewalls.converge_quietly, run)
    attach(run, plan["machine"], plan["access"])
    firewalls.converge(run)
    run.step("remember", name_config, run, plan, [plan["name"]])


@workflow("op.instances.deleteAccessConfig")
def delete_access_config(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``machine``; ``nic`` (nic0); ``network``, CloudStack's id of the one that the interface is in."""
    held = run.step("look", lambda: of_machine(run.cloud, plan["machine"], plan["network"]))
    if not held:
        raise GceError("unsupported", f"The external address of '{run.target}' was given to it by another tool.")
    detach(run, held)
    firewalls.converge(run)
    run.step("remember", name_config, run, plan, [])


@workflow("op.instances.updateAccessConfig")
def update_access_config(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``machine``; ``nic`` (nic0); ``name``. Nothing else of an access config changes."""
    run.step("remember", name_config, run, plan, [plan["name"]])


def acquire(run: Run, home: Home, zoneid: str) -> Row:
    """A new address in a CloudStack network or VPC, with its ``id`` and ``ipaddress``; released if the workflow fails.

    Raises GceError quotaExceeded or stockout.
    """
    for number in range(reserving.MOST_TRIES):
        row = _associated(run, home, zoneid, number)
        if row is not None and not row["issourcenat"]:
            run.undo(f"the address {row['ipaddress']}", reserving.give_back, run, row["id"], [])
            return row
    raise GceError("stockout", reserving.SHORTAGE)


def attach(run: Run, machine: str, access: dict[str, Any]) -> None:
    """Give a deployed machine its external address by static NAT.

    ``access``: ``networkid`` and ``network`` (its GCE name), ``vpcid`` where it is a tier, ``zoneid``, and ``address``,
    the id of a reserved one, or None for one that goes with the instance.
    """
    home = Home(access["networkid"], access.get("vpcid"))
    if access["address"] is None:
        row = acquire(run, home, access["zoneid"])
        marks = {addresses.EPHEMERAL: machine, addresses.NETWORK: access["network"]}
    else:
        row = run.step("look at the address", reserving.look, run, access["address"])
        if row["virtualmachineid"] not in (None, machine) or row["forwarding"]:
            raise GceError(
                "resourceInUseByAnotherResource",
                f"The external IP address '{row['ipaddress']}' is already being used by another resource.",
            )
        if not home.holds(row["row"]):
            move(run, row, home, access["zoneid"])
        marks = {addresses.NETWORK: access["network"]}
    run.step("marks of the address", lambda: using(run, lambda writer: reserving.mark(writer, row["id"], marks)))
    if access["address"] is not None:
        run.undo("the static NAT", _free, run, row["id"], machine)
    # An address of a VPC is tied to no tier before.
    params = {"ipaddressid": row["id"], "virtualmachineid": machine, "networkid": home.network if home.vpc else None}
    run.job("static NAT", "enableStaticNat", params, find=lambda: _tied(run, row["id"], machine))


def of_machine(cloud: Cloud, machine: str, network: str | None = None) -> list[Row]:
    """The addresses that gstack tied to a machine, or to its interface in one network, for :func:`detach`. Inside of a
    step."""
    rows = cloud.list("listPublicIpAddresses", isstaticnat=True)
    return [
        {**reserving.facts(row), "ephemeral": addresses.EPHEMERAL in marks}
        for row in rows
        if row.get("virtualmachineid") == machine
        and (network is None or row.get("associatednetworkid") == network)
        and (marks := networks.marks(row)).get(addresses.NETWORK)
    ]


def detach(run: Run, held: list[Row]) -> None:
    """Untie the addresses of a destroyed machine (of :func:`of_machine`): release those that were its own, and set the
    others aside. Not when their network goes: clients may delete both at the same time, and the address must be there
    to be deleted."""
    for row in held:
        try:
            if row["ephemeral"]:
                reserving.release(run, row)
            else:
                kept = [tag for tag in row["tags"] if tag["key"] != tags.OWN + addresses.NETWORK]
                reserving.set_aside(run, {**row, "tags": kept})
        except GceError as error:
            run.warn("NOT_CRITICAL_ERROR", f"An external address could not be given back: {error.message}")
            if not row["ephemeral"]:
                reserving.regain(run, row)


def _associated(run: Run, home: Home, zoneid: str, number: int) -> Row | None:
    """A free address that is now in a network or VPC; None where somebody else was faster, or its former owner's tags
    cannot be deleted."""
    chosen: Row = run.step(f"choose address {number}", reserving.choose, run, zoneid, number)
    params = {**home.params, "ipaddress": chosen["ipaddress"]}
    find = partial(_at, run, chosen, home)
    try:
        made = run.job(f"associate address {number}", "associateIpAddress", params, find=find)
    except GceError as error:
        if getattr(error, "code", None) == TAKEN:
            return None
        raise
    row: Row = run.step(f"look at address {number}", reserving.look, run, made["id"])
    if not chosen["tags"] or row["issourcenat"]:
        return row
    if run.step(f"old tags {number}", lambda: using(run, lambda writer: reserving.clean(writer, chosen))) is not None:
        return None
    again: Row = run.step(f"look again at address {number}", reserving.look, run, made["id"])
    return again


def move(run: Run, row: Row, home: Home, zoneid: str) -> None:
    """Put an address that is reserved, or lies elsewhere, in a network or VPC."""
    if row["reserved"]:
        reserving.guard(run, row)
    else:
        reserving.set_aside(run, row)
    number = 0
    while not run.step(f"source NAT {number}", _has_source_nat, run, home) and number < reserving.MOST_TRIES:
        _associated(run, home, zoneid, number)  # or the address would be that
        number += 1
    params = {**home.params, "ipaddress": row["ipaddress"]}
    run.job("associate the address", "associateIpAddress", params, find=lambda: _placed(run, row["id"], home))


# What follows runs inside of steps.


def _at(run: Run, chosen: Row, home: Home) -> Row | None:
    """An address (of :func:`gstack.operations.reserving.choose`) that nobody but its former owner has marked, in a
    network or VPC."""
    rows = run.cloud.list("listPublicIpAddresses", ipaddress=chosen["ipaddress"])
    old = tags.own_values(chosen["tags"]).items()
    return next((row for row in rows if home.holds(row) and networks.marks(row).items() <= old), None)


def _placed(run: Run, address: str, home: Home) -> Row | None:
    row = run.cloud.first("listPublicIpAddresses", id=address)
    return row if row is not None and home.holds(row) else None


def _has_source_nat(run: Run, home: Home) -> bool:
    """Whether the next address of a network will not become its source NAT. A VPC has one from its start."""
    if home.vpc:
        return True
    return run.cloud.first("listPublicIpAddresses", associatednetworkid=home.network, issourcenat=True) is not None


def _unused(run: Run, address: str) -> Row:
    row = reserving.find(run.cloud, address)
    if row is None:
        raise not_found(run.target)
    if addresses.used(row):
        user = str(row.get("virtualmachinename") or "rules in CloudStack")
        raise in_use(run.target, f"'{user}'")
    return reserving.facts(row)


def name_config(run: Run, plan: dict[str, Any], names: list[str]) -> None:
    """Remember what the access config of an interface is called; nothing is kept of machines that other tools made."""
    kept = overlay.read(machines.KIND, plan["machine"])
    configs = {**kept.get("accessConfigs", {}), plan["nic"]: names}
    if kept:
        overlay.write(machines.KIND, plan["machine"], run.project.id, {**kept, "accessConfigs": configs})


def _tied(run: Run, address: str, machine: str) -> Row | None:
    row = run.cloud.first("listPublicIpAddresses", id=address)
    return row if row is not None and row.get("virtualmachineid") == machine else None


def _free(run: Run, address: str, machine: str) -> None:
    if _tied(run, address, machine) is not None:
        using(run, lambda writer: writer.one("disableStaticNat", {"ipaddressid": address}))
