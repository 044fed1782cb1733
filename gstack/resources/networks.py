"""networks: the shared networks with security groups as ``default``, isolated networks as what their marks say.

Which networks there are, and their pieces, is decided in translate/networks.py. A network without a subnetwork exists
in the store only; its subnetworks are CloudStack networks, each in one zone. Visible differences: subnetworks of
different regions reach one another by their external addresses only; an auto network gets its subnetwork in a region
when it is first used there. Upstream calls: one, so that what was deleted elsewhere is not shown.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from gstack.errors import GceError, already_exists, in_use, invalid
from gstack.firewall.definitions import firewalls
from gstack.firewall.groups import Group
from gstack.operations import engine
from gstack.operations.networks import UNMAKING
from gstack.protocol.call import Call
from gstack.protocol.listing import listing, named
from gstack.protocol.methods import method, refused
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.store import overlay
from gstack.translate import kept, networks, reasons, reservations, routers
from gstack.translate.names import checked_name
from gstack.translate.networks import Network
from gstack.translate.times import rfc3339

BODY = Policy(
    honoured=("name", "autoCreateSubnetworks"),
    remembered=("description", "routingConfig.routingMode"),
    only={
        "params.resourceManagerTags.*": tuple(networks.MODELS),
        "mtu": (1500,),
        "routingConfig.bgpBestPathSelectionMode": ("LEGACY",),
        "networkFirewallPolicyEnforcementOrder": ("AFTER_CLASSIC_FIREWALL",),
    },
    refused={
        "IPv4Range": "Legacy networks are not supported. Say autoCreateSubnetworks instead.",
        "enableUlaInternalIpv6": reasons.IPV6,
        "internalIpv6Range": reasons.IPV6,
        "networkProfile": "Network profiles have no counterpart in CloudStack.",
        "params": reasons.RESOURCE_MANAGER_TAGS,
        "routingConfig.bgpAlwaysCompareMed": "There are no BGP routes.",
        "routingConfig.bgpInterRegionCost": "There are no BGP routes.",
    },
)
NEEDS = ("listNetworks",)
# What a network keeps for life, and where it is shown.
FIXED = ("name", "autoCreateSubnetworks", "description", "mtu")
# GCE's limits; a row outside of them says nothing that a client could use.
LEAST_MTU, MOST_MTU = 1300, 8896

for _verb in (
    "addPeering",
    "removePeering",
    "updatePeering",
    "listPeeringRoutes",
    "requestRemovePeering",
    "cancelRequestRemovePeering",
):
    refused(f"compute.networks.{_verb}", "CloudStack cannot connect networks with one another.")


@method("compute.networks.get", needs=NEEDS)
def get(call: Call) -> dict[str, Any]:
    """One network, by name or number."""
    return view(call, _found(call))


@method("compute.networks.list", needs=NEEDS)
def list_(call: Call) -> dict[str, Any]:
    """All networks."""
    return listing(call, networks.of_caller(call.caller, refresh=True), named(partial(view, call)))


@method("compute.networks.insert", needs=(*NEEDS, "createNetwork"), body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Make a network, which has no subnetwork so far: with ``autoCreateSubnetworks`` each comes with its first use."""
    body = call.body
    name = checked_name(body.get("name"))
    if "autoCreateSubnetworks" not in body:
        # As GCE: without it a legacy network is meant, with a range of its own.
        raise invalid("resource.autoCreateSubnetworks", "", "Legacy networks are not supported: say true or false.")
    path = _path(call, name)
    if networks.of_caller(call.caller, refresh=True).get(name) is not None:
        raise already_exists(path)
    key = kept.store_key(call.caller.project, networks.KIND, name)
    content = {
        **kept.born(call.caller.project, networks.KIND, name),
        "name": name,
        "mode": networks.AUTO if body["autoCreateSubnetworks"] else networks.CUSTOM,
        "mtu": body.get("mtu"),
        "description": body.get("description"),
        "routingMode": _routing(body),
        "model": _model(call),
    }
    if not overlay.add(networks.KIND, key, call.project, content):
        raise already_exists(path)  # by another request, since the look above
    return engine.done(call, type="insert", target=path, target_id=content["number"])


@method("compute.networks.patch", needs=(*NEEDS, "updateNetwork"), body=BODY)
def patch(call: Call) -> dict[str, Any]:
    """Change the routing mode, which says how far dynamic routes reach: there are none, so it is remembered."""
    network = _found(call)
    shown = view(call, network)
    for member in FIXED:
        if member in call.body and call.body[member] != shown.get(member, ""):
            raise invalid(f"resource.{member}", call.body[member], "It cannot be changed.")
    mode = _routing(call.body)
    if mode is not None:
        _keep(call, _changeable(call, network), {"routingMode": mode})
    return engine.done(call, type="patch", target=_path(call, network.name), target_id=network.number)


@method("compute.networks.switchToCustomMode", needs=(*NEEDS, "createTags", "deleteTags"))
def switch_to_custom_mode(call: Call) -> dict[str, Any]:
    """Make an auto network a custom one: it gets no more subnetworks by itself."""
    network = _changeable(call, _found(call))
    path = _path(call, network.name)
    if not network.auto:
        raise invalid("network", network.name, "The network is in custom subnet mode already.")
    plan = {
        "pieces": [piece.id for piece in network.subnetworks if piece.owned],
        "key": kept.store_key(call.caller.project, networks.KIND, network.name),
        "kept": {**_basics(call, network), "mode": networks.CUSTOM},
    }
    return engine.start(
        call,
        "op.networks.switchToCustomMode",
        type="switchToCustomMode",
        target=path,
        target_id=network.number,
        plan=plan,
    )


@method("compute.networks.delete", needs=(*NEEDS, "listSecurityGroups", *UNMAKING))
def delete(call: Call) -> dict[str, Any]:
    """Delete a network without subnetworks, firewalls and instances; the subnetworks of an auto one go with it."""
    network = _found(call)
    path = _path(call, network.name)
    if not network.owned:
        raise GceError("unsupported", f"The network '{path}' belongs to CloudStack's operator or to other tools.")
    if network.subnetworks and not network.auto:
        raise in_use(path, f"'projects/{call.project}/{network.subnetworks[0].path}'")
    guards = firewalls([Group(row) for row in call.caller.cloud.list("listSecurityGroups")])
    guard = next((one for one in guards if one.members["network"] == network.name), None)
    if guard is not None:
        raise in_use(path, f"'projects/{call.project}/global/firewalls/{guard.name}'")
    for router in kept.rows(call.caller.project, routers.KIND):
        if router["network"] == network.name:
            raise in_use(path, f"'projects/{call.project}/regions/{router['region']}/routers/{router['name']}'")
    for one in reservations.stored(call.caller):
        if one["network"] == network.name:
            raise in_use(path, f"'projects/{call.project}/regions/{one['region']}/addresses/{one['name']}'")
    plan = {
        "pieces": [piece.id for piece in network.subnetworks if piece.owned],
        "key": kept.store_key(call.caller.project, networks.KIND, network.name),
    }
    return engine.start(call, "op.networks.delete", type="delete", target=path, target_id=network.number, plan=plan)


def view(call: Call, network: Network) -> dict[str, Any]:
    """A network."""
    row = network.oldest.row if network.oldest else {}
    base = f"projects/{call.project}/global/networks"
    mtu = int(network.kept.get("mtu") or row.get("privatemtu") or 0)
    return render(
        "network",
        id=str(network.number),
        creation_timestamp=rfc3339(network.created),
        name=network.name,
        description=network.kept.get("description") if network.owned else row.get("displaytext"),
        auto=network.auto,
        routing_mode=network.kept.get("routingMode") or "REGIONAL",
        subnetworks=[call.links.absolute(f"projects/{call.project}/{piece.path}") for piece in network.subnetworks],
        mtu=mtu if LEAST_MTU <= mtu <= MOST_MTU else None,
        self_link=call.links.absolute(f"{base}/{network.name}"),
        self_link_with_id=call.links.absolute(f"{base}/{network.number}"),
    )


def _found(call: Call) -> Network:
    return networks.located(call.caller, call.params["network"])


def _changeable(call: Call, network: Network) -> Network:
    """``network``, if gstack keeps anything of it."""
    if not network.owned and network.name != networks.DEFAULT:
        message = f"The network '{_path(call, network.name)}' belongs to CloudStack's operator or to other tools."
        raise GceError("unsupported", message)
    return network


def _basics(call: Call, network: Network) -> dict[str, Any]:
    """What the store holds of a network, or should if it was lost."""
    basics = {
        "owner": kept.owner(call.caller.project),
        "name": network.name,
        "mode": networks.AUTO if network.auto else networks.CUSTOM,
    }
    if network.owned:  # the number of network default is that of its CloudStack network
        basics |= {"number": str(network.number), "created": network.created}
    return {**basics, **network.kept}


def _keep(call: Call, network: Network, members: dict[str, Any]) -> None:
    key = kept.store_key(call.caller.project, networks.KIND, network.name)
    if not overlay.change(
        networks.KIND, key, lambda row: {**row, **members}
    ):  # the store had nothing of it, or lost it
        overlay.write(networks.KIND, key, call.project, {**_basics(call, network), **members})


def _model(call: Call) -> str:
    """What the subnetworks will be in CloudStack."""
    chosen = ((call.body.get("params") or {}).get("resourceManagerTags")) or {}
    other = next((key for key in chosen if key.removeprefix("tagKeys/") != networks.MODEL_TAG), None)
    if other is not None:
        where = f"resource.params.resourceManagerTags.{other}"
        raise GceError("unsupported", f"'{where}': the one tag is {networks.MODEL_TAG}.", location=where)
    if len({networks.MODELS[word] for word in chosen.values()}) > 1:
        where = "resource.params.resourceManagerTags"
        raise invalid(where, ", ".join(chosen.values()), "A network has one model.")
    return next((networks.MODELS[word] for word in chosen.values()), call.caller.settings["NETWORK_MODEL"])


def _routing(body: dict[str, Any]) -> str | None:
    return (body.get("routingConfig") or {}).get("routingMode")


def _path(call: Call, name: str) -> str:
    return f"projects/{call.project}/global/networks/{name}"
