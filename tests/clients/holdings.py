"""What an account has in CloudStack: tests of several clients compare it before and after.

Apart because of no client. The surprising thing: an address that is only reserved is in no list that does not ask for
it.
"""

from __future__ import annotations

from gstack.simulator import Simulator

# Every list of what an account can have.
LISTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("listAffinityGroups", {}),
    ("listAutoScaleVmGroups", {}),
    ("listEgressFirewallRules", {}),
    ("listFirewallRules", {}),
    ("listIsos", {"isofilter": "self"}),
    ("listLoadBalancerRules", {}),
    ("listNetworkACLLists", {}),
    ("listNetworkACLs", {}),
    ("listNetworks", {}),
    ("listPortForwardingRules", {}),
    ("listPublicIpAddresses", {}),
    ("listPublicIpAddresses", {"state": "Reserved"}),
    ("listSecurityGroups", {}),
    ("listSnapshots", {}),
    ("listSSHKeyPairs", {}),
    ("listStaticRoutes", {}),
    ("listTags", {}),
    ("listTemplates", {"templatefilter": "self"}),
    ("listVirtualMachines", {}),
    ("listVolumes", {}),
    ("listVPCs", {}),
)


def held(world: Simulator) -> dict[str, list[str]]:
    """What the demo's account has, by the list that says it."""
    found = {}
    for command, params in LISTS:
        answer = world.do("tenant", command, **params)
        rows = next((value for value in answer.values() if isinstance(value, list)), [])
        found[f"{command} {params}"] = sorted(str(row.get("id") or row) for row in rows)
    return found
