"""Guest networks and the nics on them, with secondary addresses.

Apart, because nics are read and changed on their own. Surprising: `name` is no parameter of listNetworks
and filters all the same, and a nic lists its secondary addresses only when it has some.
"""

from __future__ import annotations

from .. import errors
from ..call import Call
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, page, same_id, same_name, select
from ..model import Machine, Network, Nic, Row, SecondaryIp
from ..registry import command
from ..world import IN_NETWORK
from . import addresses, machines

FILTERS: Filters = {
    **ID_FILTERS,
    "zoneid": same_id("zone"),
    "type": lambda net, wanted: str(net.row["type"]).lower() == str(wanted).lower(),
    "traffictype": lambda net, wanted: str(net.row["traffictype"]).lower() == str(wanted).lower(),
    "supportedservices": lambda net, wanted: set(wanted) <= {service["name"] for service in net.row["service"]},
    "canusefordeploy": lambda net, wanted: net.row["canusefordeploy"] is wanted,
    "networkofferingid": lambda net, wanted: net.row["networkofferingid"] == getattr(wanted, "id", None),
    "issystem": lambda net, wanted: wanted is False,
}
FOR_ROOT = ("broadcasturi", "physicalnetworkid")


def view(call: Call, network: Network) -> Row:
    return {**network.row, "tags": call.world.tag_rows(network.id, IN_NETWORK)}


@command("listNetworks", "network")
def list_networks(call: Call) -> Row:
    check_page(call)
    rows = [net for net in call.world.network if net.account is None or call.reaches(net)]
    name = call.raw.get("name")
    if name is not None:
        rows = [net for net in rows if same_name(net.name, name)]
    rows = select(call, rows, FILTERS, lambda net: (net.name, str(net.row["displaytext"])))
    return page(call, "network", rows, lambda net: view(call, net))


@command("listNics")
def list_nics(call: Call) -> Row:
    check_page(call)
    machine = call.entity("virtualmachineid", Machine)
    if machine is None:
        raise errors.missing("listNics", "virtualmachineid")
    if not call.reaches(machine):
        raise errors.denied()
    wanted = {"nicid": same_id("id"), "networkid": same_id("network")}
    rows = select(call, [call.world.nic[key] for key in machine.nics], wanted, lambda nic: (nic.ip,))

    def row(nic: Nic) -> Row:
        shown = machines.nic_row(call, nic, with_secondary=False)
        return {**shown, "virtualmachineid": machine.id}

    return page(call, "nic", rows, row)


@command("addIpToNic")
def add_ip(call: Call) -> Row:
    nic = call.need("nicid", Nic)
    network = call.world.network[nic.network]
    address = call.text("ipaddress")
    if address and (address in network.used or not addresses.is_inside(network, address)):
        raise errors.internal("Failed to assign secondary ip to nic")
    if address:
        network.used[address] = nic.id
    else:
        address = addresses.take(call, network, nic.id)
    table = call.world.secondary_ip
    one = table.add(SecondaryIp(call.world.uuid(), table.take_number(), nic.id, nic.account, address))
    nic.secondary.append(one.id)
    row: Row = {"id": one.id, "ipaddress": address, "nicid": nic.id, "networkid": network.id}

    def work() -> Steps:
        yield 0.1
        return {"nicsecondaryip": row}

    job = call.submit(work, nic, key=nic.machine)
    job.instance = one.id
    return {"id": one.id, "jobid": job.id}


@command("removeIpFromNic", "secondary_ip")
def remove_ip(call: Call) -> Row:
    one = call.need("id", SecondaryIp)
    nic = call.world.nic[one.nic]

    def work() -> Steps:
        yield 0.1
        if one.id in nic.secondary:
            nic.secondary.remove(one.id)
            call.world.network[nic.network].used.pop(one.ipaddress, None)
            call.world.secondary_ip.remove(one)
        return {"success": True}

    return call.later(work, nic, key=nic.machine)
