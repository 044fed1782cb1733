"""The end of a VPN that a VPC has on its side.

Apart from VPCs, since nothing else of VPNs is here: customers' gateways and connections are not. Surprising: it
answers on the address that the VPC has for source NAT, and takes none of its own.
"""

from __future__ import annotations

from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..lists import Filters, check_page, page, same_id, select, visible_accounts
from ..model import Row
from ..model_network import PublicIp, Vpc, VpnGateway
from ..registry import command


def view(call: Call, gateway: VpnGateway) -> Row:
    world, vpc = call.world, call.world.vpc[gateway.vpc]
    row: Row = {"id": gateway.id, "publicip": world.public_ip[gateway.ip].address}
    return {**row, "vpcid": vpc.id, "vpcname": vpc.name, **world.owner(gateway.account)}


@command("createVpnGateway")
def create(call: Call) -> Row:
    world, vpc = call.world, call.need("vpcid", Vpc)
    if any(gateway.vpc == vpc.id for gateway in world.vpn_gateway):
        shown = f'VPC {{"id":{vpc.number},"name":"{vpc.name}","uuid":"{vpc.id}"}}'
        raise invalid(f"The VPN gateway of VPC {shown} already existed!")
    address = next(address for address in world.public_ip if address.vpc == vpc.id and address.sourcenat)
    asked = call.entity("ipaddressid", PublicIp)
    if asked is not None and asked is not address:
        raise ApiError(530, f"Cannot use requested IP {asked.address} as it is not the Source NAT IP")
    number = world.vpn_gateway.take_number()
    gateway = world.vpn_gateway.add(VpnGateway(world.uuid(), number, vpc.id, vpc.account, address.id))

    def work() -> Steps:
        yield 0.1
        return {"vpngateway": view(call, gateway)}

    job = call.submit(work, gateway, on_failure=lambda: world.vpn_gateway.remove(gateway, leave_trace=False))
    return {"id": gateway.id, "jobid": job.id}


FILTERS: Filters = {"id": same_id("id"), "vpcid": same_id("vpc")}


@command("listVpnGateways", "vpn_gateway")
def list_gateways(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    rows = select(call, [one for one in call.world.vpn_gateway if mine(one.account)], FILTERS, lambda one: ())
    return page(call, "vpngateway", rows, lambda gateway: view(call, gateway))


@command("deleteVpnGateway", "vpn_gateway")
def delete(call: Call) -> Row:
    gateway = call.need("id", VpnGateway)

    def work() -> Steps:
        yield 0.1
        call.world.vpn_gateway.remove(gateway)
        return {"success": True}

    return call.later(work, gateway)
