"""Port forwarding rules.

Apart from load balancers, which forward too but to many. Surprising: ports are strings here and numbers in
firewall rules, a forwarding opens the firewall for the whole world whatever its own `cidrlist` says, and icmp is
refused as a protocol the zone lacks.
"""

from __future__ import annotations

from ..call import Call
from ..errors import invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, page, same_id, select
from ..model import Machine, Network, Row
from ..model_network import NetRule
from ..registry import command
from . import net_rules, public_ips
from .firewall import need_rule

UNEQUAL = "Source port and destination port ranges should be of equal sizes."


def view(call: Call, rule: NetRule) -> Row:
    world = call.world
    machine, address = world.machine[str(rule.machine)], world.public_ip[str(rule.ip)]
    return {
        "id": rule.id,
        "privateport": str(rule.inner_start),
        "privateendport": str(rule.inner_end),
        "protocol": rule.protocol,
        "publicport": str(rule.start),
        "publicendport": str(rule.end),
        "virtualmachineid": machine.id,
        "virtualmachinename": machine.name,
        "virtualmachinedisplayname": machine.displayname,
        "ipaddressid": address.id,
        "ipaddress": address.address,
        "state": rule.state,
        "cidrlist": ",".join(rule.cidrs),
        "tags": net_rules.tags(call, rule),
        "vmguestip": rule.inner,
        "networkid": rule.network,
    }


def inner_address(call: Call, machine: Machine, network: Network) -> str:
    nic = net_rules.nic_on(call, machine, network)
    if nic is None:
        raise invalid("Vm doesn't belong to network associated with ipAddress")
    asked = call.text("vmguestip")
    known = [str(nic.ip), *(call.world.secondary_ip[key].ipaddress for key in nic.secondary)]
    if asked is not None and asked not in known:
        raise invalid("IP Address is not in the VM nic's network ")
    return asked or known[0]


@command("createPortForwardingRule")
def create(call: Call) -> Row:
    world = call.world
    address, machine = net_rules.need_allocated(call, "ipaddressid"), call.need("virtualmachineid", Machine)
    if address.machine is not None:
        shown = public_ips.described(call, address)
        raise invalid(f"Unable to create port forwarding rule; ip {shown} has static nat enabled")
    protocol = (call.text("protocol") or "").lower()
    net_rules.check_protocol(call.text("protocol") or "", ("tcp", "udp"), world.zone[address.zone].number)
    network = net_rules.network_of(call, address, machine)
    start, inner_start = call.number("publicport") or 0, call.number("privateport") or 0
    end, inner_end = call.number("publicendport") or start, call.number("privateendport") or inner_start
    net_rules.check_ports(start, end)
    if inner_start > inner_end:
        raise invalid("Start port can't be bigger than end port")
    if end - start != inner_end - inner_start:
        raise invalid(UNEQUAL)
    rule = NetRule(
        id=world.uuid(),
        number=world.net_rule.take_number(),
        purpose=net_rules.FORWARDING,
        account=str(address.account),
        network=network.id,
        protocol=protocol,
        ip=address.id,
        start=start,
        end=end,
        cidrs=net_rules.check_cidrs(call.words("cidrlist") or []),
        inner_start=inner_start,
        inner_end=inner_end,
        machine=machine.id,
        inner=inner_address(call, machine, network),
    )
    net_rules.check_conflict(call, rule, 4360)
    net_rules.open_firewall(call, rule)
    net_rules.add(call, rule)

    def work() -> Steps:
        yield 0.1
        net_rules.settle(call, rule)
        return {"portforwardingrule": view(call, rule)}

    job = call.submit(work, rule, key=rule.network)
    return {"id": rule.id, "jobid": job.id}


FILTERS: Filters = {**ID_FILTERS, "ipaddressid": same_id("ip"), "networkid": same_id("network")}


@command("listPortForwardingRules", "net_rule")
def list_rules(call: Call) -> Row:
    check_page(call)
    rows = select(call, net_rules.listed(call, net_rules.FORWARDING), FILTERS, lambda rule: ())
    return page(call, "portforwardingrule", rows, lambda rule: view(call, rule))


@command("updatePortForwardingRule", "net_rule")
def update(call: Call) -> Row:
    rule = need_rule(call, net_rules.FORWARDING)
    machine = call.need("virtualmachineid", Machine) if "virtualmachineid" in call.args else None

    def work() -> Steps:
        start = call.number("privateport") or rule.inner_start or 0
        width = (rule.end or 0) - (rule.start or 0)
        end = call.number("privateendport") or start + width
        if end - start != width:
            raise invalid("Unable to update the private port range of port forwarding rule as  the sizes differ")
        if machine is None and call.text("vmguestip"):
            raise invalid("vmguestip should be set along with virtualmachineid")
        inner = inner_address(call, machine, call.world.network[rule.network]) if machine else rule.inner
        yield 0.1
        rule.inner_start, rule.inner_end, rule.inner = start, end, inner
        rule.machine = machine.id if machine else rule.machine
        if "cidrlist" in call.args:
            rule.cidrs = net_rules.check_cidrs(call.words("cidrlist") or [])
        return {"portforwardingrule": view(call, rule)}

    return call.later(work, rule, key=rule.network)


@command("deletePortForwardingRule", "net_rule")
def delete(call: Call) -> Row:
    rule = need_rule(call, net_rules.FORWARDING)

    def work() -> Steps:
        yield 0.1
        net_rules.drop(call.world, rule)
        return {"success": True}

    return call.later(work, rule, key=rule.network)
