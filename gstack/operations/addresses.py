"""Workflows of external addresses: reserve and release; and what instances need: one of their own by static NAT.

Apart from the handlers and from the instances' workflows, which call :func:`attach` and :func:`detach`. The surprising
thing: the first address that a network gets is its source NAT, which can be nobody's; so asking for one may take two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.errors import GceError
from gstack.firewall.security_groups import using
from gstack.firewall.writer import Writer
from gstack.operations import networks as making
from gstack.operations import vpcs
from gstack.operations.firewalls import converge_quietly
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.ids import numeric_id
from gstack.store import overlay
from gstack.translate import addresses, networks, tags

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


RESOURCE, INSTANCES = "PublicIpAddress", "instances"
MOST_TRIES = 8
TAKEN = 533  # CloudStack's answer where an address is somebody's by now


@workflow("op.addresses.insert")
def insert(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``zoneid``; ``network``, CloudStack's id of the one that holds it (a tier of ``vpc``, if that is not
    None), or None and ``make``, the plan of one to be made; ``tags``; ``description``."""
    made = None if plan["network"] else making.make(run, plan["make"])
    home = Home(made["id"], made["vpc"]) if made else Home(plan["network"], plan["vpc"])
    row = acquire(run, home, plan["zoneid"])
    run.target_id(numeric_id(row["id"]))
    run.step("tags", lambda: using(run, lambda writer: _retag(writer, row["id"], plan["tags"], [])))
    if plan["description"]:
        content = {"description": plan["description"]}
        run.step("remember", overlay.write, addresses.KIND, row["id"], run.project.id, content)
    if plan["make"]:
        making.converge(run)


@workflow("op.addresses.keep")
def keep(run: Run, plan: dict[str, Any]) -> None:
    """Make an instance's ephemeral address one that outlives it. ``plan``: ``id``; ``tags``; ``description``."""

    def body(writer: Writer) -> None:
        row = writer.cloud.first("listPublicIpAddresses", id=plan["id"])
        if row is None:
            raise GceError("notFound", "The external address is gone.")
        gone = tags.plan_own(row.get("tags") or (), {addresses.EPHEMERAL: None}).delete
        _retag(writer, plan["id"], plan["tags"], gone)

    run.step("tags", lambda: using(run, body))
    if plan["description"]:
        content = {"description": plan["description"]}
        run.step("remember", overlay.write, addresses.KIND, plan["id"], run.project.id, content)


@workflow("op.addresses.delete")
def delete(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``id``; ``vpc``, that of the VPC it is in, or None."""
    run.step("look", _check_unused, run, plan["id"])
    run.job("release", "disassociateIpAddress", {"id": plan["id"]})
    if plan["vpc"]:  # whose last tier may wait for it
        run.step("VPC", lambda: using(run, lambda writer: vpcs.tidy(writer, plan["vpc"])))
    run.step("forget", overlay.drop, addresses.KIND, plan["id"])


@workflow("op.instances.addAccessConfig")
def add_access_config(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``machine``; ``access`` as :func:`attach` takes it; ``nic`` (nic0), ``name`` of the access config."""
    run.undo("the rules of the address", converge_quietly, run)
    attach(run, plan["machine"], plan["access"])
    making.converge(run)
    run.step("remember", name_config, run, plan, [plan["name"]])


@workflow("op.instances.deleteAccessConfig")
def delete_access_config(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``machine``; ``nic`` (nic0); ``network``, CloudStack's id of the one that the interface is in."""
    held = run.step("look", lambda: of_machine(run.cloud, plan["machine"], plan["network"]))
    if not held:
        raise GceError("unsupported", f"The external address of '{run.target}' was given to it by another tool.")
    detach(run, held)
    making.converge(run)
    run.step("remember", name_config, run, plan, [])


@workflow("op.instances.updateAccessConfig")
def update_access_config(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``machine``; ``nic`` (nic0); ``name``. Nothing else of an access config changes."""
    run.step("remember", name_config, run, plan, [plan["name"]])


def acquire(run: Run, home: Home, zoneid: str) -> Row:
    """A new address in a CloudStack network or VPC, with its ``id`` and ``ipaddress``; released if the workflow fails.

    Raises GceError quotaExceeded or stockout.
    """
    for number in range(MOST_TRIES):
        chosen = run.step(f"choose address {number}", _choose, run, zoneid, number)
        params = {**home.params, "ipaddress": chosen}
        try:
            made = run.job(
                f"associate address {number}",
                "associateIpAddress",
                params,
                find=lambda ip=chosen: _at(run, ip, home),  # type: ignore[misc]
            )
        except GceError as error:
            if getattr(error, "code", None) == TAKEN:
                continue
            raise
        row: Row = run.step(f"look at address {number}", _look, run, made["id"])
        if not row["issourcenat"]:
            run.undo_job(f"the address {row['ipaddress']}", "disassociateIpAddress", {"id": row["id"]})
            return row
    raise GceError("stockout", "CloudStack's public addresses are being taken faster than they can be asked for.")


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
        row = run.step("look at the address", _look, run, access["address"])
        if row["virtualmachineid"] not in (None, machine):
            raise GceError(
                "resourceInUseByAnotherResource",
                f"The external IP address '{row['ipaddress']}' is already being used by another instance.",
            )
        if not home.holds(row["row"]):
            row = _moved(run, row, home)
        marks = {addresses.NETWORK: access["network"]}
    run.step("marks of the address", lambda: using(run, lambda writer: _mark(writer, row["id"], marks)))
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
        {"id": row["id"], "ephemeral": addresses.EPHEMERAL in marks}
        for row in rows
        if row.get("virtualmachineid") == machine
        and (network is None or row.get("associatednetworkid") == network)
        and (marks := networks.marks(row)).get(addresses.NETWORK)
    ]


def detach(run: Run, held: list[Row]) -> None:
    """Untie the addresses of a destroyed machine (of :func:`of_machine`), and release those that were its own."""

    def body(writer: Writer) -> list[str]:
        commands = [
            ("disassociateIpAddress", {"id": one["id"]})
            if one["ephemeral"]
            else ("disableStaticNat", {"ipaddressid": one["id"]})
            for one in held
        ]
        errors = [error.message for error in writer.all(commands) if error.kind != "notFound"]
        for one in held:
            if not one["ephemeral"]:
                _mark(writer, one["id"], {addresses.NETWORK: None})
        # What says that nothing is tied any more is no trouble.
        left = {row["id"] for row in writer.cloud.list("listPublicIpAddresses", isstaticnat=True)}
        return errors if left & {one["id"] for one in held} else []

    if held:
        for sentence in run.step("addresses", lambda: using(run, body)):
            run.warn("NOT_CRITICAL_ERROR", f"An external address could not be given back: {sentence}")


# What follows runs inside of steps, but for _moved.


def _moved(run: Run, row: Row, home: Home) -> Row:
    """A reserved address in another network. CloudStack cannot move one: it is released and asked for again at once."""
    before = Home(str(row["row"].get("associatednetworkid")), row["row"].get("vpcid"))
    back = {**before.params, "ipaddress": row["ipaddress"]}
    run.undo("the move of the address", _return, run, row, back)
    run.job("release the address", "disassociateIpAddress", {"id": row["id"]})
    params = {**home.params, "ipaddress": row["ipaddress"]}
    made = run.job("ask for the address", "associateIpAddress", params, find=lambda: _at(run, row["ipaddress"], home))
    run.step("tags of the address", lambda: using(run, lambda writer: _retag(writer, made["id"], row["tags"], [])))
    found: Row = run.step("look at the moved address", _look, run, made["id"])
    return found


def _return(run: Run, row: Row, back: dict[str, Any]) -> None:
    there = run.cloud.first("listPublicIpAddresses", id=row["id"])
    if there is not None and (there.get("associatednetworkid") or there.get("vpcid")):
        return  # it is ours, wherever it lies

    def body(writer: Writer) -> None:
        refusal = writer.one("associateIpAddress", back)
        if refusal is not None:
            raise refusal
        _retag(writer, row["id"], row["tags"], [])

    using(run, body)


def _choose(run: Run, zoneid: str, number: int) -> str:
    """A free address. Another one for each operation, so that those side by side seldom want the same."""
    rows = run.cloud.list("listPublicIpAddresses", zoneid=zoneid, state="Free", allocatedonly=False)
    free = sorted(str(row["ipaddress"]) for row in rows if row.get("state") == "Free")
    if not free:
        raise GceError("stockout", "CloudStack has no free public address in this zone.")
    place = int.from_bytes(hashlib.blake2b(f"{run.name}/{number}".encode(), digest_size=4).digest(), "big")
    return free[place % len(free)]


def _at(run: Run, address: str, home: Home) -> Row | None:
    """An address that nobody has marked, in a network or VPC."""
    rows = run.cloud.list("listPublicIpAddresses", ipaddress=address)
    return next((row for row in rows if home.holds(row) and not networks.marks(row)), None)


def _look(run: Run, address: str) -> Row:
    row = run.cloud.first("listPublicIpAddresses", id=address)
    if row is None:
        raise GceError("notFound", "The external address is gone.")
    own = [{"key": tag["key"], "value": tag["value"]} for tag in row.get("tags") or () if tag.get("key")]
    return {
        "id": row["id"],
        "ipaddress": row["ipaddress"],
        "issourcenat": bool(row.get("issourcenat")),
        "row": {member: row.get(member) for member in ("associatednetworkid", "vpcid")},
        "virtualmachineid": row.get("virtualmachineid"),
        "tags": own,
    }


def _check_unused(run: Run, address: str) -> None:
    row = run.cloud.first("listPublicIpAddresses", id=address)
    if row is not None and addresses.used(row):
        user = str(row.get("virtualmachinename") or "rules in CloudStack")
        raise making.in_use(run.target, f"'{user}'")


def name_config(run: Run, plan: dict[str, Any], names: list[str]) -> None:
    """Remember what the access config of an interface is called; nothing is kept of machines that other tools made."""
    kept = overlay.read(INSTANCES, plan["machine"])
    configs = {**kept.get("accessConfigs", {}), plan["nic"]: names}
    if kept:
        overlay.write(INSTANCES, plan["machine"], run.project.id, {**kept, "accessConfigs": configs})


def _tied(run: Run, address: str, machine: str) -> Row | None:
    row: Row | None = run.cloud.first("listPublicIpAddresses", id=address)
    return row if row is not None and row.get("virtualmachineid") == machine else None


def _free(run: Run, address: str, machine: str) -> None:
    if _tied(run, address, machine) is not None:
        using(run, lambda writer: writer.one("disableStaticNat", {"ipaddressid": address}))


def _mark(writer: Writer, address: str, marks: Mapping[str, str | None]) -> None:
    row = writer.cloud.first("listPublicIpAddresses", id=address)
    if row is not None:
        changes = tags.plan_own(row.get("tags") or (), marks)
        _retag(writer, address, changes.create, changes.delete)


def _retag(writer: Writer, address: str, create: list[dict[str, str]], delete: list[dict[str, str]]) -> None:
    """Delete and create tags, as far as that has not happened yet."""
    common = {"resourcetype": RESOURCE, "resourceids": [address]}
    row = writer.cloud.first("listPublicIpAddresses", id=address)
    there = {tag.get("key"): tag.get("value") for tag in (row or {}).get("tags") or ()}
    wanted = {tag["key"]: tag["value"] for tag in create}
    gone = [tag for tag in delete if tag["key"] in there and there[tag["key"]] != wanted.get(tag["key"])]
    missing = [tag for tag in create if there.get(tag["key"]) != tag["value"]]
    for command, some in (("deleteTags", gone), ("createTags", missing)):
        refusal = writer.one(command, {**common, "tags": some}) if some else None
        if refusal is not None:
            raise refusal
