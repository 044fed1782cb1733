"""What the recorder had made before it recorded tags: one of everything that can have some.

Apart from the rest of the prologue, which is short in comparison.
"""

from __future__ import annotations

from prologue_steps import (
    FRANKFURT,
    ISOLATED,
    MICRO,
    VPC_OFFERING,
    ZONE,
    Step,
    disk,
    done,
    group,
    machine,
    made,
    root_of,
    template,
)

NET, IP, NET_VM = (
    "d532fea4-3ad9-4d79-8fd1-84f36028ffe6",
    "c58c48de-ff72-4a1f-855e-94ffebad69a2",
    "716c963c-9acc-4b34-8054-12269f2ea736",
)
VPC, ACL = "8965031c-f53b-496d-ae7f-b8692f98627d", "03745330-5ed2-4352-b85b-b1949079014d"


# A network and a VPC with one of everything that can hang on them.
TAGGED_NETWORK = [
    made("createNetwork", NET, "network.id", zoneid=FRANKFURT, networkofferingid=ISOLATED, name="net-b"),
    machine("tagvm-net", NET_VM, offering=MICRO, zoneid=FRANKFURT, networkids=NET),
    made("associateIpAddress", IP, networkid=NET),
    made(
        "createFirewallRule",
        "7973e94e-becf-4800-af65-cc6a219ea9e7",
        ipaddressid=IP,
        protocol="tcp",
        startport="22",
        endport="22",
    ),
    made("createEgressFirewallRule", "005aeab1-9ca7-4ae7-989a-2352e4f563c6", networkid=NET, protocol="all"),
    made(
        "createPortForwardingRule",
        "5263d150-d5af-4c0e-bd13-8e05268add2e",
        ipaddressid=IP,
        protocol="tcp",
        publicport="80",
        privateport="80",
        virtualmachineid=NET_VM,
    ),
    made(
        "createLoadBalancerRule",
        "29cab9c3-a319-4972-8c9e-b501c2b7a490",
        publicipid=IP,
        name="taglb",
        algorithm="roundrobin",
        publicport="81",
        privateport="81",
    ),
    made(
        "createVPC",
        VPC,
        zoneid=FRANKFURT,
        vpcofferingid=VPC_OFFERING,
        name="vpc-a2",
        displaytext="new",
        cidr="10.50.0.0/16",
    ),
    made("createNetworkACLList", ACL, vpcid=VPC, name="acl-web2"),
    made("createNetworkACL", "04d74527-d3f5-43df-adf3-96b01553a11d", aclid=ACL, number="55", protocol="tcp"),
    made(
        "createStaticRoute",
        "19628b22-a497-4c4f-98e4-33c943b65fc2",
        vpcid=VPC,
        nexthop="10.50.1.50",
        cidr="10.81.0.0/16",
    ),
    made(
        "listNics",
        "f9329be9-fdc8-496c-a5cb-56054ae7f056",
        "nic.0.id",
        virtualmachineid="3ca13c44-9ff7-402c-8138-c80e6839388d",
    ),
]
# What was left of the recorder's work on disks: a machine whose disk had grown, and what it had made of that.
VOLVM, VOLVM_ROOT, VOLVM_DATA, ROOT_SNAPSHOT, DATA_SNAPSHOT, RENAMED, COPIED = (
    "9543b30d-82b9-41de-85fd-b0a9f6dc5a92",
    "4536965d-bf34-435e-9073-ada815321157",
    "c29f5a59-3797-4fa5-96bf-524732464c85",
    "028a7a07-f83a-4b8d-a6de-75ee5f764639",
    "9579954e-4793-4e14-89c1-1a47f1727ed6",
    "5a22bafb-3387-4baa-ac98-d92fa6aeb09e",
    "1a09b31b-f59c-4723-a4e6-6b5462c490f3",
)


TEMPLATES_BEFORE = [
    machine("volvm", VOLVM),
    root_of(VOLVM, VOLVM_ROOT),
    disk("data-1", VOLVM_DATA),
    done("resizeVolume", id=VOLVM_ROOT, size="30"),
    done("attachVolume", id=VOLVM_DATA, virtualmachineid=VOLVM),
    made("createSnapshot", ROOT_SNAPSHOT, volumeid=VOLVM_ROOT, name="snap-root-1"),
    made("createSnapshot", DATA_SNAPSHOT, volumeid=VOLVM_DATA),
    template("tpl-snap", RENAMED, snapshotid=ROOT_SNAPSHOT, displaytext="tpl from snap"),
    done("updateTemplate", id=RENAMED, name="tpl-renamed", sshkeyenabled="true", passwordenabled="true"),
    done("stopVirtualMachine", id=VOLVM),
    template("tpl-vol", COPIED, volumeid=VOLVM_ROOT),
    done("copyTemplate", id=COPIED, sourcezoneid=ZONE, destzoneid=FRANKFURT),
    done("deleteTemplate", id=COPIED, zoneid=ZONE),
    template("tpl-data", None, snapshotid=DATA_SNAPSHOT),
    template("tpl-pub", None, snapshotid=ROOT_SNAPSHOT, ispublic="true"),
    template("tpl-snap", "0b81ab1f-dc8e-4300-8e10-482863d2096a", snapshotid=ROOT_SNAPSHOT, displaytext="dup"),
]


def tier(number: int, offering: str, **more: str) -> Step:
    ends = {"gateway": f"10.50.{number}.1", "netmask": "255.255.255.0"}
    return done(
        "createNetwork",
        zoneid=FRANKFURT,
        vpcid=VPC,
        networkofferingid=offering,
        name=f"tier-{number}",
        displaytext=f"tier {number}",
        **ends,
        **more,
    )


FOR_VPC, FOR_VPC_NO_LB = "d182ea16-8be3-4688-acf4-1282712f0f05", "2a2a6a21-79e3-486c-aa72-86bdad249828"
TIERS = [
    tier(1, FOR_VPC, aclid=ACL),
    tier(2, FOR_VPC_NO_LB, aclid="3578ce03-e584-11f1-ba46-02fc00000001"),
    tier(3, FOR_VPC),
]
# One more of everything that can be tagged.
TAGGED_RULE = "b65dcfcf-80b5-4eb1-8710-743f6112e012"
TAGGED_GROUP, TAGGED_ROOT, TAGGED_SNAPSHOT = (
    "15db2f4e-d93d-474b-83c7-871fed8061fc",
    "e45f1144-f548-4b55-b91e-3dfa692b643e",
    "24cdefe4-bb74-4a2a-aa2e-87b3e0300333",
)


def tagged(kind: str, uuid: str) -> Step:
    tag = {"tags[0].key": f"type-{kind.lower()}", "tags[0].value": "x"}
    return "user", "createTags", {"resourcetype": kind, "resourceids": uuid, **tag}, {}


def open_group(name: str, uuid: str) -> list[Step]:
    """A group that lets in one port."""
    rule = {"securitygroupid": uuid, "protocol": "tcp", "startport": "22", "endport": "22", "cidrlist": "0.0.0.0/0"}
    return [group(name, uuid), ("user", "authorizeSecurityGroupIngress", rule, {})]


TAGGED = [
    *open_group("tagsg1795252322", TAGGED_GROUP),
    made(
        "listSecurityGroups",
        TAGGED_RULE,
        "securitygroup.0.ingressrule.0.ruleid",
        id=TAGGED_GROUP,
    ),
    disk("tagvol", "b021e84a-d977-45a3-9203-4721fe25c1c9"),
    root_of("3ca13c44-9ff7-402c-8138-c80e6839388d", TAGGED_ROOT),
    made("createSnapshot", TAGGED_SNAPSHOT, volumeid=TAGGED_ROOT, name="tagsnap"),
    made(
        "createSnapshotPolicy",
        "f48953a0-df2e-49f2-af85-f8021dc25f83",
        "snapshotpolicy.id",
        volumeid=TAGGED_ROOT,
        intervaltype="DAILY",
        schedule="00:02",
        timezone="UTC",
        maxsnaps="1",
    ),
    made("listSSHKeyPairs", "64150b28-db07-44dd-ba2e-8421d4243111", "sshkeypair.0.id", name="ec1"),
    made("createAffinityGroup", "5154baf3-68d1-4c00-9b1a-acc1101ce02a", name="tagaff", type="host anti-affinity"),
]
