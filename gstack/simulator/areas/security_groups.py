"""Security groups and their rules.

Apart, because they belong to an account and not to a zone. Surprising: a call makes one rule for each CIDR
or group it names and answers only the rules it added; nearly everything but ids is checked in the job.
"""

from __future__ import annotations

from ipaddress import ip_interface

from .. import errors
from ..call import Call
from ..errors import HIDDEN, ApiError, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, page, same_name, select, visible_accounts
from ..model import Account, Machine, Row, Rule, SecurityGroup
from ..registry import command

NAMED = ("tcp", "udp", "icmp", "all")
MAX_PORT = 65_535


def rule_row(call: Call, rule: Rule, tagged: bool) -> Row:
    row: Row = {"ruleid": rule.id, "protocol": rule.protocol}
    if rule.protocol == "icmp":
        row.update(icmptype=rule.start, icmpcode=rule.end)
    else:
        row.update(startport=rule.start, endport=rule.end)
    if rule.allowed is not None:
        group = call.world.security_group[rule.allowed]
        row.update(securitygroupname=group.name, account=call.world.account[group.account].name)
    else:
        row["cidr"] = rule.cidr
    return {**row, "tags": call.world.tag_rows(rule.id, frozenset())} if tagged else row


def view(call: Call, group: SecurityGroup, rules: list[Rule] | None = None, counted: bool = True) -> Row:
    shown = rules if rules is not None else [rule for rule in call.world.rule if rule.group == group.id]
    row: Row = {"id": group.id, "name": group.name}
    if group.description:
        row["description"] = group.description
    row.update(call.world.owner(group.account))
    row["ingressrule"] = [rule_row(call, rule, counted) for rule in shown if rule.direction == "ingress"]
    row["egressrule"] = [rule_row(call, rule, counted) for rule in shown if rule.direction == "egress"]
    row["tags"] = call.world.tag_rows(group.id, frozenset())
    members = [machine.id for machine in call.world.machine if group.id in machine.groups] if counted else []
    if counted:
        row["virtualmachinecount"] = len(members)
    row["virtualmachineids"] = members
    return row


@command("createSecurityGroup")
def create(call: Call) -> Row:
    owner, name, world = call.owner(), call.text("name") or "", call.world
    if any(group.account == owner.id and same_name(group.name, name) for group in world.security_group):
        if call.simulator.faults.take(call.api.name, "race"):  # the check overtaken, the database refuses
            cause = f"DB Exception: Duplicate entry '{name}' for a security group of account {owner.number}"
            raise ApiError(530, cause, 9999, HIDDEN)
        raise invalid(f"Unable to create security group, a group with name {name} already exists.")
    number = world.security_group.take_number()
    group = SecurityGroup(world.uuid(), number, name, owner.id, call.text("description"))
    world.security_group.add(group)
    return {"securitygroup": view(call, group)}


def guards(group: SecurityGroup, wanted: object) -> bool:
    return isinstance(wanted, Machine) and group.id in wanted.groups


FILTERS: Filters = {
    **ID_FILTERS,
    "securitygroupname": lambda group, wanted: same_name(group.name, wanted),
    "virtualmachineid": guards,
}


@command("listSecurityGroups", "security_group")
def list_groups(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    rows = [group for group in call.world.security_group if mine(group.account)]
    rows = select(call, rows, FILTERS, lambda group: (group.name,))
    return page(call, "securitygroup", rows, lambda group: view(call, group))


@command("deleteSecurityGroup", "security_group")
def delete(call: Call) -> Row:
    name, world = call.text("name"), call.world
    if "id" not in call.args and name is None:
        raise invalid("Either id or name parameter is required by deleteSecurityGroup command")
    group = call.entity("id", SecurityGroup)
    if group is None:
        owner = call.owner()
        found = [g for g in world.security_group if g.account == owner.id and same_name(g.name, name)]
        if not found:
            raise invalid(f"Unable to find security group by name {name} for the account id={owner.number}")
        group = found[0]
    call.check_access(group)
    if group.name == "default":
        raise invalid("The network group default is reserved")
    if any(rule.allowed == group.id for rule in world.rule):
        raise errors.in_use("Cannot delete group when there are security rules that allow this group")
    if any(group.id in machine.groups for machine in world.machine):
        raise errors.in_use("Cannot delete group when it's in use by virtual machines")
    for rule in [rule for rule in world.rule if rule.group == group.id]:
        world.rule.remove(rule, leave_trace=False)
    world.tags.pop(group.id, None)
    world.security_group.remove(group, leave_trace=False)
    return {"success": True}


def target(call: Call) -> SecurityGroup:
    group = call.entity("securitygroupid", SecurityGroup)
    name = call.text("securitygroupname")
    if group is None and name is None:
        raise invalid(f"Either securityGroupId or securityGroupName is required by {call.api.name} command")
    if group is None:
        owner = call.owner()
        found = [g for g in call.world.security_group if g.account == owner.id and same_name(g.name, name)]
        if not found:
            raise invalid(f"Unable to find security group {name} for account id={owner.number}")
        group = found[0]
    call.check_access(group)
    return group


def traffic(call: Call) -> tuple[str, int, int]:
    """Protocol and the two numbers that go with it: ports, or ICMP type and code."""
    protocol = (call.text("protocol") or "all").lower()
    start, end = call.number("startport"), call.number("endport")
    if "protocol" not in call.args and (start is not None or end is not None):
        raise invalid("Cannot specify startPort or endPort without specifying protocol")
    if protocol.isdecimal():
        if not 0 <= int(protocol) <= 255:
            raise invalid(f"Invalid protocol number: {protocol}")
        return protocol, 0, 0
    if protocol not in NAMED:
        raise invalid(f"Invalid protocol {protocol}")
    if protocol == "all":
        return protocol, 0, 0
    if protocol == "icmp":
        return protocol, *icmp(call)
    if start is None or end is None:
        shown = ["null" if port is None else port for port in (start, end)]
        raise invalid(f"Invalid port range specified, startPort = {shown[0]}, endPort = {shown[1]}")
    if not (0 <= start <= MAX_PORT and 0 <= end <= MAX_PORT):
        raise invalid(f"Invalid port numbers {start}:{end}")
    if start > end:
        raise invalid(f"Invalid port range {start}:{end}")
    return protocol, start, end or MAX_PORT  # 0 to 0 is stored as 0 to 65535


def icmp(call: Call) -> tuple[int, int]:
    kind, code = call.number("icmptype"), call.number("icmpcode")
    if kind is None or code is None:
        shown = ["null" if value is None else value for value in (kind, code)]
        text = f"Invalid ICMP type/code specified, icmpType = {shown[0]}, icmpCode = {shown[1]}"
        raise ApiError(530, text)
    if not (-1 <= kind <= 255 and -1 <= code <= 255):
        raise invalid(f"Invalid icmp type/code {kind}/{code}")
    return kind, code


def check_cidr(cidr: str) -> str:
    try:
        if "/" not in cidr:
            raise ValueError
        ip_interface(cidr)
    except ValueError:
        raise invalid(f"Invalid cidr {cidr}") from None
    return cidr


def named_groups(call: Call) -> list[SecurityGroup]:
    found = []
    for pair in call.maps("usersecuritygrouplist"):
        account, name = pair.get("account", ""), pair.get("group", "")
        domain = call.world.domain[call.account.domain]
        owner = next((a for a in call.world.account if a.name == account and a.domain == domain.id), None)
        groups = [g for g in call.world.security_group if owner and g.account == owner.id and same_name(g.name, name)]
        if not groups:
            raise invalid(
                f"Nonexistent group {name} for account {account}/{domain.number} is given, unable to"
                f" authorize security"
                " group rule."
            )
        found.append(groups[0])
    return found


def authorize(call: Call, direction: str) -> Row:
    group = target(call)

    def work() -> Steps:
        protocol, start, end = traffic(call)
        cidrs = [check_cidr(cidr) for cidr in call.words("cidrlist") or ()]
        groups = named_groups(call)
        if not cidrs and not groups:
            raise invalid("At least one cidr or at least one security group needs to be specified")
        world = call.world
        known = {
            (r.protocol, r.start, r.end, r.cidr, r.allowed)
            for r in world.rule
            if r.group == group.id and r.direction == direction
        }
        ends: list[tuple[str | None, str | None]] = [(None, one.id) for one in groups]
        ends += [(cidr, None) for cidr in cidrs]
        added = []
        for cidr, allowed in ends:
            if (protocol, start, end, cidr, allowed) in known:
                continue
            known.add((protocol, start, end, cidr, allowed))
            number = world.rule.take_number()
            rule = Rule(world.uuid(), number, group.id, group.account, direction, protocol, start, end, cidr, allowed)
            added.append(world.rule.add(rule))
        if not added:
            raise ApiError(530, f"Failed to authorize security group {direction} rule(s)")
        yield 0.1
        return {"securitygroup": view(call, group, added, counted=False)}

    return call.later(work, group)


@command("authorizeSecurityGroupIngress")
def authorize_ingress(call: Call) -> Row:
    return authorize(call, "ingress")


@command("authorizeSecurityGroupEgress")
def authorize_egress(call: Call) -> Row:
    return authorize(call, "egress")


def revoke(call: Call, direction: str) -> Row:
    rule = call.need("id", Rule)

    def work() -> Steps:
        world = call.world
        if rule.id not in world.rule.rows:
            raise ApiError(530, f"Failed to revoke security group {direction} rule")
        if rule.direction != direction:
            shown = f'SecurityGroupRule {{"id":{rule.number},"type":"{rule.direction}","uuid":"{rule.id}"}}'
            raise invalid(f"Mismatch in rule type for security rule {shown}")
        yield 0.1
        if rule.id in world.rule.rows:
            world.rule.remove(rule, leave_trace=False)
            world.tags.pop(rule.id, None)
        return {"success": True}

    return call.later(work, rule, key=rule.group)


@command("revokeSecurityGroupIngress", "rule")
def revoke_ingress(call: Call) -> Row:
    return revoke(call, "ingress")


@command("revokeSecurityGroupEgress", "rule")
def revoke_egress(call: Call) -> Row:
    return revoke(call, "egress")


def default_group(call: Call, owner: Account) -> SecurityGroup:
    return next(g for g in call.world.security_group if g.account == owner.id and g.name == "default")
