"""Network ACL lists: what may pass between the tiers of a VPC and the world.

Apart from firewall rules, which VPCs do not have. Surprising: two lists belong to nobody, serve every VPC and cannot
be changed, and a tier made without a list denies everything although it shows none.
"""

from __future__ import annotations

from .. import errors
from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, check_page, name_is, page, select, visible_accounts
from ..model import Network, Row
from ..model_network import AclList, Gateway, Vpc
from ..registry import command

GLOBAL = "Only Root Admin can create global ACLs."


def list_row(call: Call, acl: AclList) -> Row:
    row: Row = {"id": acl.id, "name": acl.name}
    if acl.description is not None:
        row["description"] = acl.description
    vpc = call.world.vpc.get(acl.vpc)
    if vpc is not None:
        row.update(vpcid=vpc.id, vpcname=vpc.name)
    return row


@command("createNetworkACLList")
def create_list(call: Call) -> Row:
    if "vpcid" not in call.args and not call.is_root:
        raise errors.denied(GLOBAL)
    world = call.world
    vpc = call.need("vpcid", Vpc) if "vpcid" in call.args else None
    number, name = world.acl.take_number(), call.text("name") or ""
    ends = (vpc.id, vpc.account) if vpc else (None, None)
    acl = world.acl.add(AclList(world.uuid(), number, name, call.text("description"), *ends))

    def work() -> Steps:
        yield 0.1
        return {"networkacllist": list_row(call, acl)}

    job = call.submit(work, acl, on_failure=lambda: world.acl.remove(acl))
    return {"id": acl.id, "jobid": job.id}


def visible_lists(call: Call) -> list[AclList]:
    """The two of every VPC and the caller's own, newest first."""
    mine = visible_accounts(call)
    return [acl for acl in reversed(list(call.world.acl)) if acl.account is None or mine(acl.account)]


@command("listNetworkACLLists", "acl")
def list_lists(call: Call) -> Row:
    check_page(call)
    rows = visible_lists(call)
    if "vpcid" in call.args:
        wanted = getattr(call.args["vpcid"], "id", None)
        rows = [acl for acl in rows if acl.vpc in (None, wanted)]
    if "networkid" in call.args:
        used = getattr(call.args["networkid"], "acl", None)
        rows = [acl for acl in rows if acl.id == used]
    rows = select(call, rows, {**ID_FILTERS, "name": name_is}, lambda acl: (acl.name, acl.description))
    return page(call, "networkacllist", rows, lambda acl: list_row(call, acl))


def own_list(call: Call, name: str) -> AclList:
    acl = call.entity(name, AclList)
    if acl is None:
        raise invalid("Unable to find specified ACL.")
    if acl.vpc is None and not call.is_root:
        raise invalid("Default ACL cannot be modified")
    call.check_access(acl)
    return acl


@command("updateNetworkACLList", "acl")
def update_list(call: Call) -> Row:
    acl = call.need("id", AclList)

    def work() -> Steps:
        if acl.vpc is None and not call.is_root:
            raise ApiError(530, "Must be Root Admin to update a global ACL.")
        yield 0.1
        acl.name = call.text("name") or acl.name
        acl.description = call.text("description") or acl.description
        return {"networkacllist": list_row(call, acl)}

    return call.later(work, acl)


@command("deleteNetworkACLList", "acl")
def delete_list(call: Call) -> Row:
    acl = call.need("id", AclList)

    def work() -> Steps:
        world = call.world
        if acl.vpc is None:
            raise invalid("Default ACL cannot be removed")
        tiers = sum(net.acl == acl.id for net in world.network)
        if tiers:
            text = f"ACL is still associated with {tiers} tier(s). Cannot delete network ACL: {acl.id}"
            raise ApiError(530, text)
        if any(gateway.acl == acl.id for gateway in world.gateway):
            raise ApiError(530, f"ACL is still associated with private gateways. Cannot delete network ACL: {acl.id}")
        yield 0.1
        for item in [one for one in world.acl_item if one.acl == acl.id]:
            world.tags.pop(item.id, None)
            world.acl_item.remove(item, leave_trace=False)
        world.acl.remove(acl, leave_trace=False)
        return {"success": True}

    return call.later(work, acl)


@command("replaceNetworkACLList")
def replace_list(call: Call) -> Row:
    acl = call.entity("aclid", AclList)
    target: Network | Gateway | None = call.entity("networkid", Network) or call.entity("gatewayid", Gateway)
    if acl is None or target is None:
        raise invalid("Network id or private gateway id is required")
    call.unchecked += [acl, target]

    def work() -> Steps:
        if target.vpc is None:
            raise invalid(f"Network is not part of a VPC: {target.id}")
        if acl.vpc not in (None, target.vpc):
            raise invalid(f"Network: {target.id} and ACL: {acl.id} do not belong to the same VPC")
        yield 0.1
        target.acl = acl.id
        return {"success": True}

    return call.later(work, key=acl.id)
