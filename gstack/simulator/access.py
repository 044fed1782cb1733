"""Where another account's object is refused: in the answer, in the job, or in a list that is to hold what hangs on it.

Apart, because it is one rule with many exceptions, and both are tables. Surprising: nothing about a command says which
it is. In CloudStack some commands check their parameters before they queue a job and some inside it; some lists look at
the object a filter names, most only leave out what the caller may not see.
"""

from __future__ import annotations

# What these are about is looked at only when the job runs; it then fails with 530, not 531.
IN_JOB = frozenset(
    {
        "assignToLoadBalancerRule",
        "deleteLBStickinessPolicy",
        "deleteLoadBalancerRule",
        "deleteNetworkACL",
        "deleteNetworkACLList",
        "disableStaticNat",
        "disassociateIpAddress",
        "removeFromLoadBalancerRule",
        "removeIpFromNic",
        "replaceNetworkACLList",
        "updateEgressFirewallRule",
        "updateFirewallRule",
        "updateIpAddress",
        "updateLoadBalancerRule",
        "updateNetworkACLItem",
        "updateNetworkACLList",
        "updatePortForwardingRule",
        "updateVmNicIp",
    }
)

# Where the job then fails in other words.
OTHER_WORDS = {"assignToLoadBalancerRule": "Failed to assign load balancer rule"}

# Lists that refuse the caller another account's object in these filters.
IN_LIST: dict[str, tuple[str, ...]] = {
    "listFirewallRules": ("ipaddressid",),
    "listNetworkACLLists": ("vpcid",),
    "listNetworkACLs": ("aclid",),
    "listPortForwardingRules": ("ipaddressid",),
    "listPublicIpAddresses": ("associatednetworkid", "vpcid"),
    "listSnapshotPolicies": ("volumeid",),
    "listSnapshots": ("volumeid",),
}
