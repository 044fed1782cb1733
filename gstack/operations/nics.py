"""Interfaces of instances in workflows: more of them, and the further addresses of one, GCE's alias ranges.

Apart from the external addresses (addresses.py). The surprising thing: CloudStack gives an interface another address
each time it is asked, so the one to be had is found by its value, or by how many there were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gstack.errors import GceError
from gstack.operations import addresses, firewalls, networks, states
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.translate import machines

Row = dict[str, Any]


@workflow("op.instances.updateNetworkInterface")
def update(run: Run, plan: Row) -> None:
    """``plan``: ``machine``; ``nic``, CloudStack's id; ``add``, addresses, empty for any; ``remove``, addresses;
    ``fingerprint``, the one that the client saw: another change may have come first."""
    there = run.step("look", _as_seen, run, plan)
    for one in there:
        if one["ipaddress"] in plan["remove"]:
            run.undo(f"the address {one['ipaddress']}", _give_back, run, plan, one["ipaddress"])
            run.job(f"remove {one['ipaddress']}", "removeIpFromNic", {"id": one["id"]})
    for address in plan["add"]:
        add(run, plan["machine"], plan["nic"], address)


def check_fingerprint(seen: str | None, nic: Mapping[str, Any]) -> None:
    """Raise GceError conditionNotMet unless ``seen`` is the fingerprint of the interface."""
    if seen != machines.interface_fingerprint(nic):
        message = "Supplied fingerprint does not match current network interface fingerprint."
        raise GceError("conditionNotMet", message, location="resource.fingerprint")


@workflow("op.instances.addNetworkInterface")
def add_network_interface(run: Run, plan: Row) -> None:
    """``plan``: ``machine``; ``interface``, a :attr:`gstack.translate.interfaces.Interface.plan`; ``nic`` (nic1), its
    name, and ``configs``, those of its access configs."""
    machine = plan["machine"]
    (nic,) = joined(run, [plan["interface"]])
    where = {"virtualmachineid": machine, "networkid": nic["networkid"]}
    run.undo("the rules of the address", firewalls.converge_quietly, run)
    run.job(
        "interface",
        "addNicToVirtualMachine",
        {**where, "ipaddress": nic["address"]},
        find=lambda: _in_network(run, machine, nic["networkid"]),
    )
    made = run.step("look at the interface", lambda: (_in_network(run, machine, nic["networkid"]) or {})["id"])
    run.undo_job("the interface", "removeNicFromVirtualMachine", {"virtualmachineid": machine, "nicid": made})
    if nic["access"]:
        addresses.attach(run, machine, nic["access"])
    for address in nic["aliases"]:
        add(run, machine, made, address)
    firewalls.converge(run)
    run.step("remember", addresses.name_config, run, plan, plan["configs"])


@workflow("op.instances.deleteNetworkInterface")
def delete_network_interface(run: Run, plan: Row) -> None:
    """``plan``: ``machine``; ``nic`` (nic1); ``nicid``, CloudStack's id of it; ``network``, that of its network."""
    machine = plan["machine"]
    held = run.step("look", lambda: addresses.of_machine(run.cloud, machine, plan["network"]))
    addresses.detach(run, held)
    params = {"virtualmachineid": machine, "nicid": plan["nicid"]}
    run.job("interface", "removeNicFromVirtualMachine", params)
    firewalls.converge(run)
    run.step("remember", addresses.name_config, run, plan, [])


def joined(run: Run, nics: Sequence[Row]) -> list[Row]:
    """The interfaces of a plan (of :attr:`gstack.translate.interfaces.Interface.plan`) once all are there."""
    found = []
    for nic in nics:
        if nic["make"]:
            made = networks.make(run, nic["make"])
            nic = {**nic, "networkid": made["id"]}
            nic["access"] = nic["access"] and {**nic["access"], "networkid": made["id"], "vpcid": made["vpc"]}
        found.append(nic)
    return found


def add_aliases(run: Run, machine: str, nics: Sequence[Row]) -> None:
    """Give a new machine the further addresses of its interfaces, which come in the plan's order."""
    if not any(nic["aliases"] for nic in nics):
        return
    own = run.step("interfaces", lambda: [nic["id"] for nic in states.machine(run, machine, ["nics"])["nic"]])
    for nic, nicid in zip(nics, own, strict=False):
        for address in nic["aliases"]:
            add(run, machine, nicid, address)


def add(run: Run, machine: str, nicid: str, address: str) -> None:
    """Give an interface one more address, ``address`` or any where that is empty; taken back if the workflow fails."""
    before = run.step("addresses before", lambda: [one["ipaddress"] for one in _secondary(run, machine, nicid)])

    def new() -> Row | None:
        more = [one for one in _secondary(run, machine, nicid) if one["ipaddress"] not in before]
        return next((one for one in more if not address or one["ipaddress"] == address), None)

    try:
        made = run.job("further address", "addIpToNic", {"nicid": nicid, "ipaddress": address or None}, find=new)
    except GceError as error:
        if not address:
            raise
        message = f"IP '{address}' seems to be in use by another resource: {error.message}"
        raise GceError("resourceInUseByAnotherResource", message) from None
    run.undo_job("the further address", "removeIpFromNic", {"id": made["id"]})


# What follows runs inside of steps.


def _as_seen(run: Run, plan: Row) -> list[Row]:
    nic = _nic(run, plan["machine"], plan["nic"])
    check_fingerprint(plan["fingerprint"], nic)
    return _further(nic)


def _in_network(run: Run, machine: str, network: str) -> Row | None:
    nics = states.machine(run, machine, ["nics"]).get("nic") or ()
    return next(({"id": nic["id"]} for nic in nics if nic["networkid"] == network), None)


def _secondary(run: Run, machine: str, nicid: str) -> list[Row]:
    return _further(_nic(run, machine, nicid))


def _nic(run: Run, machine: str, nicid: str) -> Row:
    return next((nic for nic in states.machine(run, machine, ["nics"]).get("nic") or () if nic["id"] == nicid), {})


def _further(nic: Row) -> list[Row]:
    return [{"id": one["id"], "ipaddress": one["ipaddress"]} for one in nic.get("secondaryip") or ()]


def _give_back(run: Run, plan: Row, address: str) -> None:
    if all(one["ipaddress"] != address for one in _secondary(run, plan["machine"], plan["nic"])):
        run.obey("addIpToNic", {"nicid": plan["nic"], "ipaddress": address})
