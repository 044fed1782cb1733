"""What the networks of advanced zones are made of: addresses, rules, virtual private clouds.

Apart from `model`, whose kinds every zone has. Surprising: firewall rules, forwardings and load balancers are
one kind, as in CloudStack's database, where they share their internal numbers and conflict with one another.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .model import Entity


@dataclass(slots=True)
class PublicIp(Entity):
    address: str
    zone: str
    network: str  # the public network it belongs to
    state: str = "Free"  # Free, Allocating, Allocated
    account: str | None = None
    allocated: float | None = None
    associated: str | None = None  # the guest network it serves
    vpc: str | None = None
    sourcenat: bool = False
    system: bool = False  # held by the cloud itself; users never see it
    machine: str | None = None  # of its static NAT
    nic: str | None = None
    inner: str | None = None  # the address on the guest network that static NAT leads to


@dataclass(slots=True)
class NetRule(Entity):
    purpose: str  # Firewall, PortForwarding, LoadBalancing
    account: str
    network: str
    protocol: str
    ip: str | None = None  # None: an egress rule, which belongs to the network as a whole
    start: int | None = None
    end: int | None = None
    cidrs: list[str] = field(default_factory=list)
    destinations: list[str] = field(default_factory=list)
    icmptype: int | None = None
    icmpcode: int | None = None
    state: str = "Add"
    opener: str | None = None  # the forwarding or load balancer this firewall rule was opened for
    inner_start: int | None = None
    inner_end: int | None = None
    machine: str | None = None
    inner: str | None = None
    name: str = ""
    description: str | None = None
    algorithm: str = ""
    lb_protocol: str | None = None
    members: dict[str, list[str]] = field(default_factory=dict)  # machine → its addresses behind the load balancer


@dataclass(slots=True)
class Stickiness(Entity):
    rule: str
    account: str
    name: str
    method: str
    params: dict[str, str] = field(default_factory=dict)
    description: str | None = None


@dataclass(slots=True)
class VpnGateway(Entity):
    vpc: str
    account: str
    ip: str  # id of the public address it answers on


@dataclass(slots=True)
class Vpc(Entity):
    name: str
    displaytext: str
    account: str
    zone: str
    cidr: str
    offering: str
    networkdomain: str
    created: float
    state: str = "Enabled"


@dataclass(slots=True)
class AclList(Entity):
    name: str
    description: str | None
    vpc: str | None  # None: one of the two that every VPC may use and nobody changes
    account: str | None


@dataclass(slots=True)
class AclItem(Entity):
    acl: str
    account: str | None
    position: int  # what the API calls number
    protocol: str
    action: str = "Allow"
    traffictype: str | None = "Ingress"
    cidrs: list[str] | None = None  # None: the list it is in can no longer be read
    start: int | None = None
    end: int | None = None
    icmptype: int | None = None
    icmpcode: int | None = None
    reason: str | None = None
    state: str = "Active"


@dataclass(slots=True)
class Gateway(Entity):
    vpc: str
    account: str
    gateway: str
    netmask: str
    ipaddress: str
    vlan: str
    acl: str
    sourcenat: bool = False
    state: str = "Ready"


@dataclass(slots=True)
class StaticRoute(Entity):
    vpc: str
    account: str
    cidr: str
    created: float
    gateway: str | None = None
    nexthop: str | None = None
    state: str = "Active"
