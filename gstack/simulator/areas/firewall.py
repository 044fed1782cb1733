"""Firewall rules of public addresses, and egress rules of networks.

Apart from forwarding and balancing, which open the firewall through `net_rules`. Surprising: the same rule twice
is a conflict with one cserrorcode for ingress and another for egress, and `updateFirewallRule` can change nothing
but whether a rule is displayed.
"""

from __future__ import annotations

from ipaddress import ip_network

from .. import errors
from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, page, same_id, select
from ..model import Network, Row
from ..model_network import NetRule
from ..registry import command
from . import net_rules, networks

NEWER = "There is no new provider for IP {} of service Firewall!"


def view(call: Call, rule: NetRule) -> Row:
    row: Row = {"id": rule.id, "protocol": rule.protocol}
    if rule.start is not None:
        row.update(startport=rule.start, endport=rule.end)
    address = call.world.public_ip.get(rule.ip)
    if address is not None:
        row["ipaddressid"] = address.id
    row["networkid"] = rule.network
    if address is not None:
        row["ipaddress"] = address.address
    row.update(state=rule.state, cidrlist=",".join(rule.cidrs))
    if rule.icmptype is not None:
        row.update(icmptype=rule.icmptype, icmpcode=rule.icmpcode)
    row["tags"] = net_rules.tags(call, rule)
    row.update(destcidrlist=",".join(rule.destinations), traffictype="Egress" if rule.ip is None else "Ingress")
    return row


def read(call: Call, network: Network, account: str) -> NetRule:
    """The rule a call asks for, checked but for its conflicts."""
    protocol = (call.text("protocol") or "").lower()
    start, end = call.number("startport"), call.number("endport")
    if start is not None and end is None:
        end = start
    kind, code = call.number("icmptype"), call.number("icmpcode")
    if protocol == "icmp":
        if start is not None or end is not None:
            raise invalid("Can't specify start/end port when protocol is ICMP")
        kind, code = -1 if kind is None else kind, -1 if code is None else code
    elif kind is not None or code is not None:
        raise invalid("Can specify icmpCode and icmpType for ICMP protocol only")
    net_rules.check_ports(start, end)
    world = call.world
    return NetRule(
        world.uuid(),
        world.net_rule.take_number(),
        net_rules.FIREWALL,
        account,
        network.id,
        protocol,
        start=start,
        end=end,
        icmptype=kind,
        icmpcode=code,
    )


def submit(call: Call, rule: NetRule) -> Row:
    net_rules.add(call, rule)

    def work() -> Steps:
        yield 0.1
        net_rules.settle(call, rule)
        return {"firewallrule": view(call, rule)}

    job = call.submit(work, rule, key=rule.network)
    return {"id": rule.id, "jobid": job.id}


@command("createFirewallRule")
def create(call: Call) -> Row:
    address = net_rules.need_allocated(call, "ipaddressid")
    if address.vpc is not None:
        raise invalid(NEWER.format(address.address))
    network = net_rules.network_of(call, address)
    rule = read(call, network, str(address.account))
    zone = call.world.zone[address.zone]
    net_rules.check_protocol(call.text("protocol") or "", ("tcp", "udp", "icmp"), zone.number)
    rule.cidrs = net_rules.check_cidrs(call.words("cidrlist") or [net_rules.EVERYWHERE])
    rule.ip = address.id
    net_rules.check_conflict(call, rule, 4360)
    return submit(call, rule)


@command("createEgressFirewallRule")
def create_egress(call: Call) -> Row:
    network = call.need("networkid", Network)
    if network.account is None or network.row["type"] != "Isolated":
        raise invalid(f"Egress firewall rules are not supported for {network.row['type']}  networks")
    if not networks.has_service(call.world, network, "Firewall"):
        raise invalid("Service Firewall is not supported in the network")
    rule = read(call, network, network.account)
    number = call.world.zone[network.zone].number
    net_rules.check_protocol(call.text("protocol") or "", ("tcp", "udp", "icmp", "all"), number)
    rule.cidrs = net_rules.check_cidrs(call.words("cidrlist") or [network.cidr])
    rule.destinations = net_rules.check_cidrs(call.words("destcidrlist") or [], "Destination")
    guest = ip_network(network.cidr)
    for cidr in rule.cidrs:
        inner = ip_network(cidr, strict=False)
        if inner.version != guest.version or not set_within(inner, guest):
            raise ApiError(431, f"[{cidr}] is not within the guest CIDR [{network.cidr}]. ", 9999)
    net_rules.check_conflict(call, rule, 9999)
    return submit(call, rule)


def set_within(inner: object, outer: object) -> bool:
    try:
        return bool(inner.subnet_of(outer))  # type: ignore[attr-defined]  # the except is for what has none
    except TypeError:
        return False


FILTERS: Filters = {**ID_FILTERS, "ipaddressid": same_id("ip"), "networkid": same_id("network")}


def rules(call: Call, egress: bool) -> Row:
    check_page(call)
    rows = [rule for rule in net_rules.listed(call, net_rules.FIREWALL) if (rule.ip is None) is egress]
    rows = select(call, rows, FILTERS, lambda rule: ())
    return page(call, "firewallrule", rows, lambda rule: view(call, rule))


@command("listFirewallRules", "net_rule")
def list_ingress(call: Call) -> Row:
    return rules(call, egress=False)


@command("listEgressFirewallRules", "net_rule")
def list_egress(call: Call) -> Row:
    return rules(call, egress=True)


def need_rule(call: Call, purpose: str, egress: bool | None = None) -> NetRule:
    """The rule `id` names, if it is of the purpose this command is for."""
    rule = call.need("id", NetRule)
    if rule.purpose != purpose or egress not in (None, rule.ip is None):
        raise errors.invalid(f"Unable to find {rule.number} having purpose {purpose}")
    return rule


def touch(call: Call, egress: bool) -> Row:
    rule = need_rule(call, net_rules.FIREWALL, egress)

    def work() -> Steps:
        yield 0.1
        return {"firewallrule": view(call, rule)}

    return call.later(work, rule, key=rule.network)


def delete(call: Call, egress: bool) -> Row:
    rule = need_rule(call, net_rules.FIREWALL, egress)

    def work() -> Steps:
        yield 0.1
        net_rules.drop(call.world, rule)
        return {"success": True}

    return call.later(work, rule, key=rule.network)


@command("updateFirewallRule", "net_rule")
def update_ingress(call: Call) -> Row:
    return touch(call, egress=False)


@command("updateEgressFirewallRule", "net_rule")
def update_egress(call: Call) -> Row:
    return touch(call, egress=True)


@command("deleteFirewallRule", "net_rule")
def delete_ingress(call: Call) -> Row:
    return delete(call, egress=False)


@command("deleteEgressFirewallRule", "net_rule")
def delete_egress(call: Call) -> Row:
    return delete(call, egress=True)
