"""Every mutation that is served: what is sent, and what has to be there before. For what holds for all of them.

Apart from those tests because ``tests/test_structure.py`` looks in here as well: a mutation that is served from now on
fails there until it has a line in ``CHANGES``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gstack.protocol.fingerprints import fingerprint

VM, FW, FRA = "zones/ch-gva-2/instances/vm", "global/firewalls/fw", "zones/de-fra-1/instances/vm"
ROOT = "zones/ch-gva-2/disks/vm"
DISK, SNAP, IMAGE = "zones/ch-gva-2/disks/disk", "global/snapshots/snap", "global/images/img"
NET, SUB, ADDRESS = "global/networks/net", "regions/de-fra/subnetworks/sub", "regions/de-fra/addresses/addr"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
ALLOWED = [{"IPProtocol": "tcp", "ports": ["80"]}]
FIREWALL = {"name": "fw", "network": "global/networks/default", "allowed": ALLOWED}
SUBNETWORK = {"name": "sub", "network": NET, "ipCidrRange": "10.1.0.0/24"}
ROUTER = "regions/de-fra/routers/router"
ROUTE = {
    "name": "far",
    "network": NET,
    "destRange": "172.16.0.0/16",
    "nextHopIp": "10.1.0.9",
    "priority": 1000,
}
VPC = {"resourceManagerTags": {"gstack-network-model": "vpc"}}
INSTANCE = {
    "name": "new",
    "machineType": "zones/ch-gva-2/machineTypes/e2-small",
    "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}],
    "networkInterfaces": [{}],
}
PROPERTIES = {name: value for name, value in INSTANCE.items() if name != "name"} | {"machineType": "e2-small"}
MANY = {"count": "2", "namePattern": "many-#", "instanceProperties": PROPERTIES}
OWN = "instanceTemplates/small"
TEMPLATE, OF_TEMPLATE = f"global/{OWN}", {"name": "small", "properties": PROPERTIES}
ACCOUNT = {"email": "default", "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}
BULK = {"labels": {"a": "b"}, "labelFingerprint": fingerprint({})}
FINGERPRINT = object()  # stands for the current one of what is changed
SEEN = {"fingerprint": FINGERPRINT}
UPDATED = {"machineType": "zones/ch-gva-2/machineTypes/tiny", "labels": {}, **SEEN}

POLICY = "regions/ch-gva/resourcePolicies/daily"
SCHEDULED = {"resourcePolicies": [POLICY]}
SCHEDULE = {
    "name": "daily",
    "snapshotSchedulePolicy": {
        "schedule": {"dailySchedule": {"daysInCycle": 1, "startTime": "04:00"}},
        "retentionPolicy": {"maxRetentionDays": 7},
    },
}

CHECK, REGION_CHECK = "global/healthChecks/hc", "regions/ch-gva/healthChecks/hc"
HTTP_CHECK, HTTPS_CHECK = "global/httpHealthChecks/hc", "global/httpsHealthChecks/hc"
CHECKED = {"name": "hc", "type": "TCP"}
POOL, RULE = "regions/de-fra/targetPools/pool", "regions/de-fra/forwardingRules/rule"
FORWARDED = {"name": "rule", "target": POOL, "portRange": "80"}
MEMBERS = {"instances": [{"instance": "zones/de-fra-1/instances/vm"}]}
GROUP, SERVICE = "zones/de-fra-1/instanceGroups/ig", "regions/de-fra/backendServices/be"
SERVED = {"name": "be", "protocol": "TCP", "backends": [{"group": GROUP, "capacityScaler": 1}], "description": "d"}
CHECKS_OF_POOL = {"healthChecks": [{"healthCheck": HTTP_CHECK}]}

Change = tuple[str, str, Any, tuple[str, ...]]
# By method: verb, path, body, and what has to be there before.
CHANGES: dict[str, Change] = {
    "addresses.insert": ("POST", "regions/de-fra/addresses", {"name": "addr"}, ("sub",)),
    "addresses.delete": ("DELETE", ADDRESS, None, ("addr",)),
    "addresses.setLabels": ("POST", f"{ADDRESS}/setLabels", {"labelFingerprint": FINGERPRINT}, ("addr",)),
    "disks.addResourcePolicies": ("POST", f"{ROOT}/addResourcePolicies", SCHEDULED, ("vm", "policy")),
    "disks.bulkSetLabels": ("POST", "zones/ch-gva-2/disks/bulkSetLabels", {"requests": [BULK]}, ("disk",)),
    "disks.createSnapshot": ("POST", "zones/ch-gva-2/disks/vm/createSnapshot", {"name": "snap"}, ("vm",)),
    "disks.delete": ("DELETE", DISK, None, ("disk",)),
    "disks.insert": ("POST", "zones/ch-gva-2/disks", {"name": "disk", "sizeGb": "10"}, ()),
    "disks.removeResourcePolicies": (
        "POST",
        f"{ROOT}/removeResourcePolicies",
        SCHEDULED,
        ("vm", "policy", "scheduled"),
    ),
    "disks.resize": ("POST", "zones/ch-gva-2/disks/vm/resize", {"sizeGb": "40"}, ("vm",)),
    "disks.setLabels": ("POST", f"{DISK}/setLabels", {"labelFingerprint": FINGERPRINT}, ("disk",)),
    "disks.update": ("PATCH", DISK, {"labelFingerprint": FINGERPRINT}, ("disk",)),
    "firewalls.delete": ("DELETE", FW, None, ("fw",)),
    "firewalls.insert": ("POST", "global/firewalls", FIREWALL, ()),
    "firewalls.patch": ("PATCH", FW, {"priority": 7}, ("fw",)),
    "firewalls.update": ("PUT", FW, FIREWALL | {"priority": 7}, ("fw",)),
    "forwardingRules.delete": ("DELETE", RULE, None, ("pool", "rule")),
    "forwardingRules.insert": ("POST", "regions/de-fra/forwardingRules", FORWARDED, ("pool",)),
    "forwardingRules.patch": ("PATCH", RULE, {"networkTier": "PREMIUM"}, ("pool", "rule")),
    "forwardingRules.setLabels": ("POST", f"{RULE}/setLabels", {"labelFingerprint": FINGERPRINT}, ("pool", "rule")),
    "forwardingRules.setTarget": ("POST", f"{RULE}/setTarget", {"target": POOL}, ("pool", "rule")),
    "healthChecks.delete": ("DELETE", CHECK, None, ("check",)),
    "healthChecks.insert": ("POST", CHECK.rpartition("/")[0], CHECKED, ()),
    "healthChecks.patch": ("PATCH", CHECK, {"timeoutSec": 3}, ("check",)),
    "healthChecks.update": ("PUT", CHECK, CHECKED, ("check",)),
    "httpHealthChecks.delete": ("DELETE", HTTP_CHECK, None, ("http check",)),
    "httpHealthChecks.insert": ("POST", HTTP_CHECK.rpartition("/")[0], {"name": "hc"}, ()),
    "httpHealthChecks.patch": ("PATCH", HTTP_CHECK, {"timeoutSec": 3}, ("http check",)),
    "httpHealthChecks.update": ("PUT", HTTP_CHECK, {"name": "hc"}, ("http check",)),
    "httpsHealthChecks.delete": ("DELETE", HTTPS_CHECK, None, ("https check",)),
    "httpsHealthChecks.insert": ("POST", HTTPS_CHECK.rpartition("/")[0], {"name": "hc"}, ()),
    "httpsHealthChecks.patch": ("PATCH", HTTPS_CHECK, {"timeoutSec": 3}, ("https check",)),
    "httpsHealthChecks.update": ("PUT", HTTPS_CHECK, {"name": "hc"}, ("https check",)),
    "images.delete": ("DELETE", IMAGE, None, ("img",)),
    "images.deprecate": ("POST", f"{IMAGE}/deprecate", {"state": "DEPRECATED"}, ("img",)),
    "images.insert": ("POST", "global/images", {"name": "img", "sourceDisk": ROOT}, ("stopped",)),
    "images.patch": ("PATCH", IMAGE, {"description": "d"}, ("img",)),
    "images.setLabels": ("POST", f"{IMAGE}/setLabels", {"labelFingerprint": FINGERPRINT}, ("img",)),
    "instanceGroups.addInstances": ("POST", f"{GROUP}/addInstances", MEMBERS, ("fra vm", "group")),
    "instanceGroups.delete": ("DELETE", GROUP, None, ("group",)),
    "instanceGroups.insert": ("POST", GROUP.rpartition("/")[0], {"name": "ig"}, ()),
    "instanceGroups.removeInstances": (
        "POST",
        f"{GROUP}/removeInstances",
        MEMBERS,
        ("fra vm", "group", "grouped"),
    ),
    "instanceGroups.setNamedPorts": (
        "POST",
        f"{GROUP}/setNamedPorts",
        {"namedPorts": [{"name": "http", "port": 80}], **SEEN},
        ("group",),
    ),
    "instanceTemplates.delete": ("DELETE", TEMPLATE, None, ("template",)),
    "instanceTemplates.insert": ("POST", "global/instanceTemplates", OF_TEMPLATE, ()),
    "instances.addAccessConfig": ("POST", f"{FRA}/addAccessConfig", {"name": "nat"}, ("fra vm",)),
    "instances.addNetworkInterface": (
        "POST",
        "zones/de-fra-1/instances/vm/addNetworkInterface",
        {"network": "global/networks/auto"},
        ("fra vm", "auto"),
    ),
    "instances.deleteNetworkInterface": (
        "POST",
        "zones/de-fra-1/instances/vm/deleteNetworkInterface",
        None,
        ("fra vm", "auto", "nic"),
    ),
    "instances.attachDisk": ("POST", f"{VM}/attachDisk", {"source": DISK, "deviceName": "d"}, ("vm", "disk")),
    "instances.bulkInsert": ("POST", "zones/ch-gva-2/instances/bulkInsert", MANY, ()),
    "instances.delete": ("DELETE", VM, None, ("vm",)),
    "instances.deleteAccessConfig": ("POST", f"{FRA}/deleteAccessConfig", None, ("fra vm", "config")),
    "instances.detachDisk": ("POST", f"{VM}/detachDisk", None, ("vm", "disk", "attached")),
    "instances.insert": ("POST", "zones/ch-gva-2/instances", INSTANCE, ()),
    "instances.reset": ("POST", f"{VM}/reset", None, ("vm",)),
    "instances.setDeletionProtection": ("POST", f"{VM}/setDeletionProtection", None, ("vm",)),
    "instances.setDiskAutoDelete": ("POST", f"{VM}/setDiskAutoDelete", None, ("vm", "disk", "attached")),
    "instances.setLabels": ("POST", f"{VM}/setLabels", {"labelFingerprint": FINGERPRINT}, ("vm",)),
    "instances.setMachineType": ("POST", f"{VM}/setMachineType", {"machineType": "e2-medium"}, ("stopped",)),
    "instances.setMetadata": ("POST", f"{VM}/setMetadata", {"fingerprint": FINGERPRINT}, ("vm",)),
    "instances.setName": ("POST", f"{VM}/setName", {"name": "vm9", "currentName": "vm"}, ("stopped",)),
    "instances.setScheduling": ("POST", f"{VM}/setScheduling", {"automaticRestart": False}, ("vm",)),
    "instances.setServiceAccount": ("POST", f"{VM}/setServiceAccount", ACCOUNT, ("stopped",)),
    "instances.setTags": ("POST", f"{VM}/setTags", {"fingerprint": FINGERPRINT}, ("vm",)),
    "instances.start": ("POST", f"{VM}/start", None, ("stopped",)),
    "instances.stop": ("POST", f"{VM}/stop", None, ("vm",)),
    "instances.update": ("PUT", VM, UPDATED, ("vm",)),
    "instances.updateAccessConfig": ("POST", f"{FRA}/updateAccessConfig", {"name": "nat"}, ("fra vm", "config")),
    "instances.updateNetworkInterface": ("PATCH", f"{FRA}/updateNetworkInterface", SEEN, ("fra vm",)),
    "networks.delete": ("DELETE", NET, None, ("net",)),
    "networks.insert": ("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False}, ()),
    "networks.patch": ("PATCH", NET, {"routingConfig": {"routingMode": "GLOBAL"}}, ("net",)),
    "networks.switchToCustomMode": ("POST", "global/networks/auto/switchToCustomMode", None, ("auto",)),
    "projects.setCommonInstanceMetadata": ("POST", "setCommonInstanceMetadata", {"fingerprint": FINGERPRINT}, ()),
    "projects.setDefaultNetworkTier": ("POST", "setDefaultNetworkTier", {"networkTier": "PREMIUM"}, ()),
    "regionBackendServices.delete": ("DELETE", SERVICE, None, ("group", "service")),
    "regionBackendServices.insert": ("POST", SERVICE.rpartition("/")[0], SERVED, ("group",)),
    "regionBackendServices.patch": ("PATCH", SERVICE, {"timeoutSec": 8, **SEEN}, ("group", "service")),
    "regionBackendServices.update": ("PUT", SERVICE, {**SERVED, "timeoutSec": 8, **SEEN}, ("group", "service")),
    "regionHealthChecks.delete": ("DELETE", REGION_CHECK, None, ("region check",)),
    "regionHealthChecks.insert": ("POST", REGION_CHECK.rpartition("/")[0], CHECKED, ()),
    "regionHealthChecks.patch": ("PATCH", REGION_CHECK, {"timeoutSec": 3}, ("region check",)),
    "regionHealthChecks.update": ("PUT", REGION_CHECK, CHECKED, ("region check",)),
    "regionInstanceTemplates.delete": ("DELETE", f"regions/ch-gva/{OWN}", None, ("region template",)),
    "regionInstanceTemplates.insert": ("POST", "regions/ch-gva/instanceTemplates", OF_TEMPLATE, ()),
    "regionInstances.bulkInsert": ("POST", "regions/ch-gva/instances/bulkInsert", MANY, ()),
    "resourcePolicies.delete": ("DELETE", POLICY, None, ("policy",)),
    "resourcePolicies.insert": ("POST", "regions/ch-gva/resourcePolicies", SCHEDULE, ()),
    "resourcePolicies.patch": ("PATCH", POLICY, {"description": "d"}, ("policy",)),
    "routers.delete": ("DELETE", ROUTER, None, ("router",)),
    "routers.insert": ("POST", "regions/de-fra/routers", {"name": "router", "network": NET}, ("net",)),
    "routers.patch": ("PATCH", ROUTER, {"description": "d"}, ("router",)),
    "routers.update": ("PUT", ROUTER, {"name": "router", "network": NET, "description": "d"}, ("router",)),
    "routes.delete": ("DELETE", "global/routes/far", None, ("tier", "route")),
    "routes.insert": ("POST", "global/routes", ROUTE, ("tier",)),
    "snapshots.delete": ("DELETE", SNAP, None, ("vm", "snap")),
    "snapshots.insert": ("POST", "global/snapshots", {"name": "snap", "sourceDisk": ROOT}, ("vm",)),
    "snapshots.setLabels": ("POST", f"{SNAP}/setLabels", {"labelFingerprint": FINGERPRINT}, ("vm", "snap")),
    "subnetworks.delete": ("DELETE", SUB, None, ("sub",)),
    "subnetworks.insert": ("POST", "regions/de-fra/subnetworks", SUBNETWORK, ("net",)),
    "subnetworks.patch": ("PATCH", SUB, {"fingerprint": FINGERPRINT}, ("sub",)),
    "subnetworks.setPrivateIpGoogleAccess": (
        "POST",
        f"{SUB}/setPrivateIpGoogleAccess",
        {"privateIpGoogleAccess": False},
        ("sub",),
    ),
    "targetPools.addHealthCheck": ("POST", f"{POOL}/addHealthCheck", CHECKS_OF_POOL, ("http check", "pool")),
    "targetPools.addInstance": ("POST", f"{POOL}/addInstance", MEMBERS, ("pool",)),
    "targetPools.delete": ("DELETE", POOL, None, ("pool",)),
    "targetPools.insert": ("POST", "regions/de-fra/targetPools", {"name": "pool"}, ()),
    "targetPools.removeHealthCheck": (
        "POST",
        f"{POOL}/removeHealthCheck",
        CHECKS_OF_POOL,
        ("http check", "pool", "checked pool"),
    ),
    "targetPools.removeInstance": ("POST", f"{POOL}/removeInstance", MEMBERS, ("pool", "member")),
}  # fmt: skip
QUERIES = {
    "disks.bulkSetLabels": {"resource": "disk"},
    "instances.deleteAccessConfig": {"accessConfig": "External NAT", "networkInterface": "nic0"},
    "instances.addAccessConfig": {"networkInterface": "nic0"},
    "instances.updateAccessConfig": {"networkInterface": "nic0"},
    "instances.updateNetworkInterface": {"networkInterface": "nic0"},
    "instances.deleteNetworkInterface": {"networkInterfaceName": "nic1"},
    "instances.detachDisk": {"deviceName": "d"},
    "instances.setDiskAutoDelete": {"deviceName": "d", "autoDelete": "true"},
    "instances.setDeletionProtection": {"deletionProtection": "true"},
}


def _stopped(gateway: Any) -> None:
    gateway.cloudstack("stopVirtualMachine", id=gateway.deploy("vm", rootdisksize=20)["id"])
    gateway.simulator.settle()


def _image(gateway: Any) -> None:
    _stopped(gateway)
    gateway.run("POST", "global/images", {"name": "img", "sourceDisk": ROOT})


def _subnetwork(gateway: Any) -> None:
    MAKERS["net"](gateway)
    gateway.run("POST", "regions/de-fra/subnetworks", SUBNETWORK)


def _tier(gateway: Any) -> None:
    gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False, "params": VPC})
    gateway.run("POST", "regions/de-fra/subnetworks", SUBNETWORK)


def _router(gateway: Any) -> None:
    MAKERS["net"](gateway)
    gateway.run("POST", "regions/de-fra/routers", {"name": "router", "network": NET})


def _machine_in_fra(gateway: Any) -> None:
    _subnetwork(gateway)
    place = {"networkInterfaces": [{"subnetwork": SUB}], "machineType": "tiny", "name": "vm"}
    gateway.run("POST", "zones/de-fra-1/instances", INSTANCE | place)


INSIDE = {"name": "inside", "addressType": "INTERNAL", "subnetwork": SUB}


def _address(gateway: Any) -> None:
    _subnetwork(gateway)
    gateway.run("POST", "regions/de-fra/addresses", {"name": "addr"})


MAKERS: dict[str, Callable[[Any], Any]] = {
    "vm": lambda gateway: gateway.deploy("vm", rootdisksize=20),
    "stopped": _stopped,
    "disk": lambda gateway: gateway.run("POST", "zones/ch-gva-2/disks", {"name": "disk", "sizeGb": "10"}),
    "attached": lambda gateway: gateway.run("POST", f"{VM}/attachDisk", {"source": DISK, "deviceName": "d"}),
    "fw": lambda gateway: gateway.run("POST", "global/firewalls", FIREWALL),
    "snap": lambda gateway: gateway.run("POST", "zones/ch-gva-2/disks/vm/createSnapshot", {"name": "snap"}),
    "img": _image,
    "net": lambda gateway: gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False}),
    "auto": lambda gateway: gateway.run("POST", "global/networks", {"name": "auto", "autoCreateSubnetworks": True}),
    "sub": _subnetwork,
    "addr": _address,
    "inside": lambda gateway: gateway.run("POST", "regions/de-fra/addresses", INSIDE),
    "tier": _tier,
    "route": lambda gateway: gateway.run("POST", "global/routes", ROUTE),
    "router": _router,
    "policy": lambda gateway: gateway.run("POST", "regions/ch-gva/resourcePolicies", SCHEDULE),
    "scheduled": lambda gateway: gateway.run("POST", f"{ROOT}/addResourcePolicies", SCHEDULED),
    "pool": lambda gateway: gateway.run("POST", "regions/de-fra/targetPools", {"name": "pool"}),
    "checked pool": lambda gateway: gateway.run("POST", f"{POOL}/addHealthCheck", CHECKS_OF_POOL),
    "member": lambda gateway: gateway.run("POST", f"{POOL}/addInstance", MEMBERS),
    "group": lambda gateway: gateway.run("POST", GROUP.rpartition("/")[0], {"name": "ig"}),
    "grouped": lambda gateway: gateway.run("POST", f"{GROUP}/addInstances", MEMBERS),
    "service": lambda gateway: gateway.run("POST", SERVICE.rpartition("/")[0], SERVED),
    "rule": lambda gateway: gateway.run("POST", "regions/de-fra/forwardingRules", FORWARDED),
    "check": lambda gateway: gateway.run("POST", "global/healthChecks", CHECKED),
    "region check": lambda gateway: gateway.run("POST", "regions/ch-gva/healthChecks", CHECKED),
    "http check": lambda gateway: gateway.run("POST", "global/httpHealthChecks", {"name": "hc"}),
    "https check": lambda gateway: gateway.run("POST", "global/httpsHealthChecks", {"name": "hc"}),
    "fra vm": _machine_in_fra,
    "template": lambda gateway: gateway.run("POST", "global/instanceTemplates", OF_TEMPLATE),
    "region template": lambda gateway: gateway.run("POST", "regions/ch-gva/instanceTemplates", OF_TEMPLATE),
    "nic": lambda gateway: gateway.run("POST", f"{FRA}/addNetworkInterface", {"network": "global/networks/auto"}),
    "config": lambda gateway: gateway.run(
        "POST", f"{FRA}/addAccessConfig", {"name": "External NAT"}, networkInterface="nic0"
    ),
}
