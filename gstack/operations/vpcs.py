"""VPCs in workflows: the one that the tiers of a network share in a zone, and the access list of each tier.

Apart from the networks, whose workflows call this inside of their steps. A VPC is made with the first subnetwork that
is a tier of it and goes with the last one. The surprising thing: access lists cannot be tagged, so a list is gstack's
by its name, which is that of its subnetwork; and CloudStack releases a VPC's addresses together with it, so those that
are reserved are taken out before.
"""

from __future__ import annotations

from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.errors import GceError
from gstack.firewall.tiers import list_name
from gstack.firewall.writer import Writer
from gstack.translate import addresses, networks, tags

Row = dict[str, Any]

SERVICES = ["SourceNat", "StaticNat", "NetworkACL"]
PREFERRED = "Default VPC offering"  # others span regions, or need a provider that few zones have


def place(writer: Writer, plan: dict[str, Any]) -> dict[str, str]:
    """What createNetwork is told of a tier: its VPC and its access list, made unless they are there. ``plan``: of
    :func:`gstack.translate.networks.plan`."""
    vpcid = _vpc(writer, plan)
    aclid = _list(writer.cloud, vpcid, plan) or _make_list(writer, vpcid, plan)
    return {"vpcid": vpcid, "aclid": aclid}


def route(cloud: Cloud, vpcid: str) -> str | None:
    """A route that a VPC is needed for, for an error's sentence; None where there is none."""
    routes = cloud.list("listStaticRoutes", vpcid=vpcid)
    return f"a route to {routes[0]['cidr']}" if routes else None


def tidy(writer: Writer, vpcid: str) -> bool:
    """Take away what gstack's VPC holds of tiers that are gone, and the VPC itself with the last; whether all that is
    to go has gone."""
    row = writer.cloud.first("listVPCs", id=vpcid)
    if row is None or not _ours(row):
        return True
    used = {tier.get("aclid") for tier in row.get("network") or ()}
    lists = writer.cloud.list("listNetworkACLLists", vpcid=vpcid)
    mine = [one for one in lists if one.get("vpcid") == vpcid and one["name"].startswith(tags.OWN)]
    errors = writer.all([("deleteNetworkACLList", {"id": one["id"]}) for one in mine if one["id"] not in used])
    if not row.get("network") and not _holds(writer.cloud, vpcid):
        refusal = writer.one("deleteVPC", {"id": vpcid})
        errors += [refusal] if refusal is not None else []
    return all(error.kind == "notFound" for error in errors)


def found(cloud: Cloud, plan: dict[str, Any]) -> Row | None:
    """The VPC of a plan's network in its zone, also one that an earlier try has made and not marked; the oldest."""
    rows = sorted(cloud.list("listVPCs", zoneid=plan["zoneid"]), key=lambda row: (str(row.get("created")), row["id"]))
    name, text = plan["network"], networks.unfinished_vpc(plan["network"])
    marked = [row for row in rows if networks.marks(row).get(networks.NETWORK) == name]
    half = [row for row in rows if row.get("displaytext") == text and networks.NETWORK not in networks.marks(row)]
    return next(iter((*marked, *half)), None)


def _holds(cloud: Cloud, vpcid: str) -> bool:
    """Whether something else would go with a VPC: an address that came since its last tier went, or a route."""
    kept = addresses.visible(cloud.list("listPublicIpAddresses", vpcid=vpcid))
    return bool(kept) or route(cloud, vpcid) is not None


def _ours(row: Row) -> bool:
    return networks.NETWORK in networks.marks(row) or networks.is_unfinished(row)


def _vpc(writer: Writer, plan: dict[str, Any]) -> str:
    row = found(writer.cloud, plan)
    if row is None:
        params = {
            "name": plan["network"],
            "displaytext": networks.unfinished_vpc(plan["network"]),
            "zoneid": plan["zoneid"],
            "cidr": plan["vpc_range"],
            "vpcofferingid": _offering(writer.cloud, plan),
        }
        writer.obey("createVPC", params)
        row = found(writer.cloud, plan)
    if row is None:
        raise GceError("backendError", "CloudStack has made no VPC, and has not said why.")
    wanted = tags.plan_own(row.get("tags") or (), networks.marks_of(plan)).create
    if wanted:
        writer.obey("createTags", {"resourcetype": "Vpc", "resourceids": [row["id"]], "tags": wanted})
    return str(row["id"])


def _offering(cloud: Cloud, plan: dict[str, Any]) -> str:
    rows = cloud.list("listVPCOfferings", zoneid=plan["zoneid"], state="Enabled", supportedservices=SERVICES)
    if not rows:
        message = f"CloudStack has no offering for VPCs with {', '.join(SERVICES)} in {plan['zone']}."
        raise GceError("unsupported", message)
    return str(min(rows, key=lambda row: (row["name"] != PREFERRED, not row.get("isdefault"), row["name"]))["id"])


def _list(cloud: Cloud, vpcid: str, plan: dict[str, Any]) -> str | None:
    rows = cloud.list("listNetworkACLLists", vpcid=vpcid, name=list_name(plan["name"]))
    return next((str(row["id"]) for row in rows if row.get("vpcid") == vpcid), None)


def _make_list(writer: Writer, vpcid: str, plan: dict[str, Any]) -> str:
    text = f"Firewalls of subnetwork {plan['name']}"
    writer.obey("createNetworkACLList", {"vpcid": vpcid, "name": list_name(plan["name"]), "description": text})
    made = _list(writer.cloud, vpcid, plan)
    if made is None:
        raise GceError("backendError", "CloudStack has made no access list, and has not said why.")
    return made
