"""Load balancer rules and their members.

Apart from their policies. Surprising: a rule stays in state `Add` until its first member comes, nearly every
mistake about members fails in the job with one and the same text, and a rule made without a protocol cannot be
updated at all.
"""

from __future__ import annotations

from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, same_id, select
from ..model import Machine, Row
from ..model_network import NetRule
from ..registry import command
from . import machines, net_rules, networks
from .firewall import need_rule

ALGORITHMS = ("roundrobin", "leastconn", "source")
PROTOCOLS = ("tcp", "tcp-proxy", "ssl")
NOT_ASSIGNED = "Failed to assign load balancer rule"
NO_PROTOCOL = (
    'Cannot invoke "String.equals(Object)" because the return value of'
    ' "com.cloud.network.dao.LoadBalancerVO.getLbProtocol()" is null'
)


def view(call: Call, rule: NetRule) -> Row:
    world = call.world
    address = world.public_ip[str(rule.ip)]
    zone = world.zone[address.zone]
    row: Row = {"id": rule.id, "name": rule.name}
    if rule.description is not None:
        row["description"] = rule.description
    row.update(publicipid=address.id, publicip=address.address, publicport=str(rule.start))
    row.update(privateport=str(rule.inner_start), algorithm=rule.algorithm, networkid=rule.network)
    if rule.cidrs:
        row["cidrlist"] = " ".join(rule.cidrs)
    row.update(world.owner(rule.account), state=rule.state, zoneid=zone.id, zonename=zone.name)
    if rule.lb_protocol is not None:
        row["protocol"] = rule.lb_protocol
    row["tags"] = net_rules.tags(call, rule)
    return row


@command("createLoadBalancerRule")
def create(call: Call) -> Row:
    world = call.world
    if "publicipid" not in call.args:
        raise invalid("Can't define IP owner. Either specify account/domainId or publicIpId")
    address = net_rules.need_allocated(call, "publicipid")
    algorithm, protocol = call.text("algorithm") or "", call.text("protocol")
    if algorithm not in ALGORITHMS:
        raise ApiError(431, f"Invalid algorithm: {algorithm}", 9999)
    if address.machine is not None:
        raise ApiError(537, f"Can't do load balance on ip address: {address.address}", 9999)
    network = net_rules.network_of(call, address)
    if not networks.has_service(call.world, network, "Lb"):
        raise invalid("LB service is not supported in specified network id")
    if protocol is not None and protocol.lower() not in PROTOCOLS:
        raise ApiError(431, "LB service provider cannot support this rule", 9999)
    port, inner = call.number("publicport") or 0, call.number("privateport") or 0
    net_rules.check_ports(port, port)
    if not 0 <= inner <= net_rules.MAX_PORT:
        raise ApiError(431, f"privatePort is an invalid value: {inner}", 9999)
    rule = NetRule(
        id=world.uuid(),
        number=world.net_rule.take_number(),
        purpose=net_rules.BALANCING,
        account=str(address.account),
        network=network.id,
        protocol="tcp",
        ip=address.id,
        start=port,
        end=port,
        cidrs=net_rules.check_cidrs(call.words("cidrlist") or []),
        inner_start=inner,
        inner_end=inner,
        name=call.text("name") or "",
        description=call.text("description"),
        algorithm=algorithm,
        lb_protocol=protocol.lower() if protocol else None,
    )
    net_rules.check_conflict(call, rule, 9999)
    net_rules.open_firewall(call, rule)
    net_rules.add(call, rule)

    def work() -> Steps:
        yield 0.1
        return {"loadbalancer": view(call, rule)}

    job = call.submit(work, rule, key=rule.network)
    return {"id": rule.id, "jobid": job.id}


FILTERS: Filters = {
    **ID_FILTERS,
    "name": name_is,
    "publicipid": same_id("ip"),
    "networkid": same_id("network"),
    "virtualmachineid": lambda rule, wanted: getattr(wanted, "id", None) in rule.members,
}


@command("listLoadBalancerRules", "net_rule")
def list_rules(call: Call) -> Row:
    check_page(call)
    zone, ips = call.args.get("zoneid"), call.world.public_ip
    rows = net_rules.listed(call, net_rules.BALANCING)
    if zone is not None:
        rows = [rule for rule in rows if ips[str(rule.ip)].zone == getattr(zone, "id", None)]
    rows = select(call, rows, FILTERS, lambda rule: (rule.name,))
    return page(call, "loadbalancerrule", rows, lambda rule: view(call, rule))


@command("updateLoadBalancerRule", "net_rule")
def update(call: Call) -> Row:
    rule = need_rule(call, net_rules.BALANCING)

    def work() -> Steps:
        protocol, algorithm = call.text("protocol"), call.text("algorithm")
        if rule.lb_protocol is None:
            raise ApiError(530, NO_PROTOCOL)
        if algorithm is not None and algorithm not in ALGORITHMS:
            raise invalid(f"Invalid algorithm: {algorithm}")
        if protocol is not None and protocol.lower() not in PROTOCOLS:
            raise invalid(f"Modifications in lb rule {rule.name} are not supported.")
        cidrs = net_rules.check_cidrs(call.words("cidrlist") or [])
        yield 0.1
        rule.name = call.text("name") or rule.name
        rule.description = call.text("description") or rule.description
        rule.algorithm = algorithm or rule.algorithm
        rule.lb_protocol = protocol.lower() if protocol else rule.lb_protocol
        rule.cidrs = cidrs if "cidrlist" in call.args else rule.cidrs
        return {"loadbalancer": view(call, rule)}

    return call.later(work, rule, key=rule.network)


@command("deleteLoadBalancerRule", "net_rule")
def delete(call: Call) -> Row:
    rule = need_rule(call, net_rules.BALANCING)

    def work() -> Steps:
        yield 0.1
        net_rules.drop(call.world, rule)
        return {"success": True}

    return call.later(work, rule, key=rule.network)


def asked_members(call: Call) -> dict[str, list[str]]:
    """Machine → addresses; an empty list stands for its primary address."""
    found: dict[str, list[str]] = {}
    for machine in call.entities("virtualmachineids", Machine) or ():
        call.unchecked.append(machine)
        found[machine.id] = []
    for pair in call.maps("vmidipmap"):
        machine_id = pair.get("vmid", "").lower()
        found.setdefault(machine_id, [])
        if pair.get("vmip"):
            found[machine_id].append(pair["vmip"])
    return found


def member_addresses(call: Call, rule: NetRule, machine_id: str, wanted: list[str]) -> list[str]:
    """The addresses under which a machine joins; any mistake has the one text that jobs show."""
    world = call.world
    machine = world.machine.get(machine_id)
    nic = net_rules.nic_on(call, machine, world.network[rule.network]) if machine is not None else None
    if machine is None or nic is None or nic.ip is None or machine.state in machines.GONE or not call.reaches(machine):
        raise ApiError(530, NOT_ASSIGNED)
    known = [nic.ip, *(world.secondary_ip[key].ipaddress for key in nic.secondary)]
    chosen = wanted or [nic.ip]
    if not set(chosen) <= set(known) or set(chosen) & set(rule.members.get(machine_id, ())):
        raise ApiError(530, NOT_ASSIGNED)
    return chosen


@command("assignToLoadBalancerRule", "net_rule")
def assign(call: Call) -> Row:
    rule = need_rule(call, net_rules.BALANCING)
    wanted = asked_members(call)

    def work() -> Steps:
        if not wanted:
            raise ApiError(530, NOT_ASSIGNED)
        new = {key: member_addresses(call, rule, key, ips) for key, ips in wanted.items()}
        yield 0.1
        for key, ips in new.items():
            rule.members.setdefault(key, []).extend(ips)
        net_rules.settle(call, rule)
        return {"success": True}

    return call.later(work, rule, key=rule.network)


@command("removeFromLoadBalancerRule", "net_rule")
def remove(call: Call) -> Row:
    rule = need_rule(call, net_rules.BALANCING)
    wanted = asked_members(call)

    def work() -> Steps:
        if not wanted:
            raise invalid("Both instanceids and vmidipmap  can't be null")
        yield 0.1
        for key, ips in wanted.items():
            left = [ip for ip in rule.members.get(key, ()) if ips and ip not in ips]
            rule.members.pop(key, None)
            if left:
                rule.members[key] = left
        return {"success": True}

    return call.later(work, rule, key=rule.network)


@command("listLoadBalancerRuleInstances", "net_rule")
def list_members(call: Call) -> Row:
    check_page(call)
    rule = need_rule(call, net_rules.BALANCING)
    found = [call.world.machine[key] for key in rule.members if key in call.world.machine.rows]
    found = [machine for machine in found if machine.state not in machines.GONE]
    if not call.flag("applied", True):
        mine = [m for m in call.world.machine if m.account == rule.account and m.state not in machines.GONE]
        network, members = call.world.network[rule.network], set(rule.members)
        found = [m for m in mine if m.id not in members and net_rules.nic_on(call, m, network) and not members]
    if not call.flag("lbvmips"):
        return page(call, "loadbalancerruleinstance", found, lambda machine: machines.view(call, machine))

    def with_addresses(machine: Machine) -> Row:
        row = machines.view(call, machine)
        return {"loadbalancerruleinstance": row, "lbvmipaddresses": rule.members.get(machine.id, [])}

    return page(call, "lbrulevmidip", found, with_addresses)
