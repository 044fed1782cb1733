"""Nics: listing them, adding and removing them, the default one, their addresses.

Apart from networks, because a nic is the machine's. Surprising: the default nic is always device 0, so making
another the default renumbers both; and every mistake but an unknown id shows only in the job.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from .. import errors
from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..lists import check_page, page, same_id, select
from ..model import Machine, Network, Nic, Row, SecondaryIp
from ..registry import command
from . import addresses, guest_networks, machines

SHOWN = frozenset({"nics"})  # what the row of a machine holds after its nics changed


def described(call: Call, network: Network) -> str:
    offering = call.world.network_offering[str(network.offering)].number
    return (
        f'Network {{"id": {network.number}, "name": "{network.name}", "uuid": "{network.id}",'
        f' "networkofferingid": {offering}}}'
    )


@command("listNics")
def list_nics(call: Call) -> Row:
    check_page(call)
    machine = call.entity("virtualmachineid", Machine)
    if machine is None:
        raise errors.missing("listNics", "virtualmachineid")
    if not call.reaches(machine):
        raise errors.internal(errors.DENIED)
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
        check_unused(call, one)
        yield 0.1
        if one.id in nic.secondary:
            nic.secondary.remove(one.id)
            call.world.network[nic.network].used.pop(one.ipaddress, None)
            call.world.secondary_ip.remove(one)
        return {"success": True}

    return call.later(work, nic, key=nic.machine)


def check_unused(call: Call, one: SecondaryIp) -> None:
    world, address = call.world, one.ipaddress
    machine = world.nic[one.nic].machine
    if any(rule.machine == machine and rule.inner == address for rule in world.net_rule):
        raise invalid(f"Can't remove the secondary ip {address} is associate with the port forwarding rule")
    held = next((ip for ip in world.public_ip if ip.nic == one.nic and ip.inner == address), None)
    if held is not None:
        raise invalid(f"Can' remove the ip {address} is associate with static NAT rule public IP address id {held.id}")
    if any(address in rule.members.get(machine, ()) for rule in world.net_rule):
        raise invalid(f"Can't remove the secondary ip {address} is mapped to load balancing rule")


def is_basic(call: Call, machine: Machine) -> bool:
    return call.world.zone[machine.zone].row["networktype"] == "Basic"


@command("addNicToVirtualMachine")
def add_nic(call: Call) -> Row:
    machine, network = call.need("virtualmachineid", Machine), call.entity("networkid", Network)
    if network is None:
        raise errors.missing(call.api.name, "networkid")
    if network.account is not None:
        call.check_access(network)
    address = call.text("ipaddress")

    def work() -> Steps:
        zone = call.world.zone[machine.zone]
        if is_basic(call, machine):
            raise ApiError(
                530, f"Zone {zone.name}, has a NetworkType of Basic. Can't add a new NIC to a VM on a Basic Network"
            )
        if network.zone != machine.zone:
            raise ApiError(530, f"{machine.name} is in zone: {zone.name} but {network.name} is in another zone")
        if any(call.world.nic[key].network == network.id for key in machine.nics):
            name = machines.instance_name(machine)
            raise ApiError(530, f"A NIC already exists for VM:{name} in network: {network.id}")
        nic = attach(call, machine, network, address)
        if machine.state == "Running":
            guest_networks.begin(call, network)
            nic.wired = True
        yield 0.3
        guest_networks.implemented(network)
        return {"virtualmachine": machines.view(call, machine, SHOWN)}

    return {"jobid": call.submit(work, machine).id}


def attach(call: Call, machine: Machine, network: Network, address: str | None) -> Nic:
    """A new nic. Everywhere but in basic zones it has its address from the first moment."""
    world = call.world
    if address and (address in network.used or not addresses.is_inside(network, address)):
        raise ApiError(530, f"Unable to acquire Guest IP address {address} for network {network.name}")
    nic = Nic(world.uuid(), world.nic.take_number(), network.id, len(machine.nics), machine.id, machine.account)
    world.nic.add(nic)
    machine.nics.append(nic.id)
    if address:
        nic.ip = address
        network.used[address] = nic.id
    elif network.cidr and not is_basic(call, machine):
        nic.ip = addresses.take(call, network, nic.id)
    if nic.ip:
        addresses.give_mac(call, nic)
    return nic


def own_nic(call: Call, machine: Machine, nic: Nic) -> None:
    if nic.machine != machine.id:
        raise invalid(f"{nic.id} is not a nic on {machines.described(machine)}")


@command("removeNicFromVirtualMachine")
def remove_nic(call: Call) -> Row:
    machine, nic = call.need("virtualmachineid", Machine), call.need("nicid", Nic)

    def work() -> Steps:
        world = call.world
        own_nic(call, machine, nic)
        network = world.network[nic.network]
        where = f"Unable to remove nic from {machines.described(machine)} in {described(call, network)}"
        if nic.deviceid == 0:
            raise invalid(f"{where}, nic is default.")
        used = any(address.nic == nic.id for address in world.public_ip)
        rules = (rule for rule in world.net_rule if rule.network == network.id)
        if used or any(rule.machine == machine.id or machine.id in rule.members for rule in rules):
            raise invalid(f"{where}, nic has associated Port forwarding or Load balancer or Static NAT rules.")
        yield 0.3
        addresses.release(world, nic)
        machine.nics.remove(nic.id)
        world.nic.remove(nic)
        for place, key in enumerate(machine.nics):
            world.nic[key].deviceid = place
        guest_networks.watch(call, network)
        return {"virtualmachine": machines.view(call, machine, SHOWN)}

    return call.later(work, key=machine.id)


@command("updateDefaultNicForVirtualMachine")
def update_default(call: Call) -> Row:
    machine, nic = call.need("virtualmachineid", Machine), call.need("nicid", Nic)

    def work() -> Steps:
        own_nic(call, machine, nic)
        if nic.deviceid == 0:
            raise ApiError(530, "refusing to set default nic because chosen nic is already the default")
        if machine.state not in ("Running", "Stopped"):
            text = f"refusing to set default {machines.described(machine)} is not Running or Stopped"
            raise ApiError(530, text)
        yield 0.1
        first = call.world.nic[machine.nics[0]]
        first.deviceid, nic.deviceid = nic.deviceid, 0
        machine.nics.sort(key=lambda key: call.world.nic[key].deviceid)
        return {"virtualmachine": machines.view(call, machine, SHOWN)}

    return call.later(work, key=machine.id)


def check_free(call: Call, network: Network, nic: Nic, asked: str | None) -> None:
    """A NIC does not get the address it has either."""
    if not asked:
        return
    try:
        ends = ip_network(network.cidr)[0], ip_network(network.cidr)[-1]
        wanted = ip_address(asked)
    except ValueError:
        raise ApiError(530, f"Invalid ip address {asked}") from None
    if asked in network.used or wanted in ends or not addresses.is_inside(network, asked):
        shown = f'"iPv4Address":"{nic.ip}","id":{nic.number},"instanceId":{call.world.machine[nic.machine].number}'
        shown = f'Nic {{"broadcastUri":null,"deviceId":{nic.deviceid},{shown},"reservationId":"{call.world.uuid()}"'
        raise invalid(f'Allocating ip to guest nic {shown},"uuid":"{nic.id}"}} failed, please choose another ip')


@command("updateVmNicIp")
def update_ip(call: Call) -> Row:
    nic, asked = call.need("nicid", Nic), call.text("ipaddress")
    call.unchecked.clear()  # whose it is comes second

    def work() -> Steps:
        world = call.world
        machine, network = world.machine[nic.machine], world.network[nic.network]
        if machine.state != "Stopped":
            raise invalid("VM is not Stopped, unable to update the vm nic having the specified id")
        if not call.reaches(nic):
            raise ApiError(530, errors.DENIED)
        check_free(call, network, nic, asked)
        yield 0.1
        new = asked or addresses.take(call, network, nic.id)
        network.used.pop(nic.ip or "", None)
        network.used[new] = nic.id
        for address in world.public_ip:
            if address.nic == nic.id and address.inner == nic.ip:
                address.inner = new
        nic.ip = new
        addresses.give_mac(call, nic)
        return {"virtualmachine": machines.view(call, machine)}

    return call.later(work, key=nic.machine)
