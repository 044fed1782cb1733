"""The commands, one file an area. Importing an area registers its commands.

Apart, so that adding an area is adding a file and a line here. Surprising: nothing else in the package
names a command.
"""

from importlib import import_module
from types import ModuleType

NAMES = (
    "accounts",
    "affinity",
    "audit",
    "autoscale_groups",
    "autoscale_profiles",
    "autoscale_rules",
    "capacity",
    "catalogue",
    "firewall",
    "guest_networks",
    "infrastructure",
    "instance_groups",
    "invitations",
    "jobs",
    "keypairs",
    "lb_policies",
    "load_balancers",
    "machine_snapshots",
    "machines",
    "machines_change",
    "machines_deploy",
    "machines_lifecycle",
    "memberships",
    "metrics",
    "network_acl_items",
    "network_acls",
    "networks",
    "nics",
    "operator",
    "people",
    "port_forwarding",
    "project_roles",
    "projects",
    "public_ips",
    "resource_details",
    "routers",
    "schedules",
    "security_groups",
    "snapshot_copies",
    "snapshot_policies",
    "snapshots",
    "tags",
    "template_registry",
    "template_sharing",
    "templates",
    "user_data",
    "volumes",
    "volumes_kept",
    "vpc_routes",
    "vpcs",
    "vpn_gateways",
)


def load() -> dict[str, ModuleType]:
    return {name: import_module(f"{__name__}.{name}") for name in NAMES}
