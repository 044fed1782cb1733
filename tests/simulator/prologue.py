"""What the recorder did that no line shows: objects made before, and what happened right before a line.

Apart from the replay, which only carries it out, because it is data about the recordings. Surprising: an object is
made when a line first names its id, so the lists before that line do not show it.
"""

from __future__ import annotations

from collections.abc import Callable

from bulk import deploy_all
from prologue_steps import (
    DEBIAN,
    FRANKFURT,
    MICRO,
    SSD_10,
    TEMPORARY,
    UBUNTU,
    ZONE,
    ZONED,
    Step,
    disk,
    done,
    group,
    key,
    machine,
    made,
    read,
    root_of,
)
from prologue_tags import (
    NET_VM,
    TAGGED,
    TAGGED_GROUP,
    TAGGED_NETWORK,
    TAGGED_RULE,
    TEMPLATES_BEFORE,
    TIERS,
    open_group,
    tagged,
)

from gstack.simulator import Simulator
from gstack.simulator.limits import DEFAULTS

# Lines sent while the jobs before them were still running, though nothing polls those.
HOLD = {
    ("vm_lifecycle", "two stops: second"),
    ("vm_lifecycle", "listAsyncJobs pending"),
    ("vm_extra", "deploy interrupted by crash: before"),
    ("vm_extra", "deploy interrupted by crash: job before"),
}
# Signed by a client that encodes `*`, which CloudStack does not.
WRONGLY_SIGNED = {("vm_extra", "createVMSchedule")}
# What the recorder did by other means right before a line.
BEFORE = {
    ("vm_lifecycle", "start fails on host"): lambda cloud: cloud.faults.add("no-start"),
    ("vm_lifecycle", "deploy fails on host"): lambda cloud: cloud.faults.add("no-start"),
    ("vm_lifecycle", "destroy expunge=true as user (setting on)"): lambda cloud: cloud.settings.update(
        {"allow.user.expunge.recover.vm": True}
    ),
    ("vm_lifecycle", "deploy for name reuse"): lambda cloud: cloud.settings.update(
        {"allow.user.expunge.recover.vm": False}
    ),
}


VOLUME, DISKS_VM, DISKS_ROOT = (
    "fc5eb8ed-863e-4930-a398-03996e878cbb",
    "9b512302-e090-47f2-9114-605eb14b4038",
    "ba7802cc-96de-4c98-a831-5b4d5cdd3e85",
)
RECOVERED = "5244cca2-1b90-4bac-83ed-a0743709e18b"
# What was there before the first line of an area, as the lists of the area show.
STILL_TAGGED = [
    *open_group("tagsg1795252159", "5eb8649a-9863-46d0-b4d9-fc399a869339"),
    *open_group("tagsg1795252254", "67385280-3db3-4bdd-a334-d79933f1b4a1"),
    *TAGGED[:3],
    tagged("SecurityGroup", TAGGED_GROUP),
    tagged("SecurityGroupRule", TAGGED_RULE),
    group("web", "d0738e28-3f79-456d-a403-f03e63bfd597"),
    group("db", "c3e2532f-512e-421e-83ed-198a25f721d0"),
    machine("tagvm2", "d169fdb5-58e7-48de-a818-3b986606dd9b", offering=MICRO, startvm="false"),
    machine("tagvm3", "7a6a3a23-f1db-478a-9054-97a4d14dfc37", offering=MICRO, startvm="false"),
    *TAGGED_NETWORK[:2],
    machine("tagged-at-create", "9fb3bc4c-aed2-48e0-8a2e-158784a58b57", offering=MICRO, startvm="false"),
]


def events_of(uuid: str, *events: str) -> Step:
    """The recorded ids of the events of a machine, the oldest first."""
    params = {"resourceid": uuid, "resourcetype": "VirtualMachine"}
    return "user", "listEvents", params, {event: f"event.{n}.id" for n, event in enumerate(events)}


ALERT = {"type": "9", "name": "ALERT.SERVICE.DOMAINROUTER", "description": "Health checks failed"}
FIRST: dict[str, list[Step]] = {
    "tags": TAGGED_NETWORK[:2],  # the machine takes the address for source NAT
    "accounts_projects_events": [
        *STILL_TAGGED,
        events_of(
            NET_VM,
            "508aa6e8-9a12-4453-9f32-3cde432f953d",
            "3c6e0a86-df02-41fc-86aa-bb98035742cb",
            "6c9f182a-5203-4e43-bd3e-1d1b8412f8b0",
        ),
        events_of(
            "9fb3bc4c-aed2-48e0-8a2e-158784a58b57",
            "1a5fc050-7026-486f-a5a8-48c1ceb410dd",
            "734de47d-a3f9-41ba-a4a1-8b397292378a",
        ),
        *[("admin", "generateAlert", ALERT, {})] * 28,
    ],
    "auth_transport": [
        *STILL_TAGGED,
        machine("q-1795252440", "b2ef6479-c89c-47c4-982e-b8596cdad4d1", offering=MICRO, startvm="false"),
        machine("inj-1795252441", "ea2f8872-d6f2-47f7-a632-9421e8a4ad2d", offering=MICRO, startvm="false"),
    ],
}
# What was made or done right before a line, when the line that names it comes too late to make it.
AT: dict[tuple[str, str], list[Step]] = {
    ("edge_races", "detach for delete"): [
        made("createSnapshot", "2be6a089-4ea8-4731-9251-ff1436b9cb2d", volumeid=VOLUME, name="sv-54160"),
        root_of(DISKS_VM, DISKS_ROOT),
        made("createSnapshot", "6b2ed62c-a091-4f48-ab0f-6fa344185215", volumeid=DISKS_ROOT, name="sr-54160"),
    ],
    ("edge_races", "root snapshot after vm expunge"): [("admin", "expungeVirtualMachine", {"id": DISKS_VM}, {})],
    ("edge_races", "sg+destroy: delete sg after expunge"): [
        ("admin", "destroyVirtualMachine", {"id": RECOVERED, "expunge": "true"}, {})
    ],
}
# Ids that a caller chooses: nothing has them yet.
CHOSEN = ("customid", "injectedjobid")
PREPARE: dict[str, list[Step]] = {
    # The capacities are those of a cloud with one machine running in the first zone.
    "catalog": [("user", "deployVirtualMachine", {**machine("first", "")[2]}, {})],
    "ssh_keys": [("user2", "registerSSHKeyPair", {"name": "rsa1", "publickey": "rsa1"}, {})],
    "security_groups": [
        machine(
            "inuse",
            "ac31c75c-8689-48ce-b1b4-ab4cd08b9ac9",
            securitygroupids="d5322d25-ff30-4038-b290-5f5d39a970d7",
        ),
    ],
    "vm_basic": [
        group("web", "7455d2cf-46df-4430-a490-750fc465a0bc"),
        group("db", "a2c10c75-0107-4082-a97b-06badff7f0a4"),
        key("rsa1"),
        key("ed1"),
    ],
    "vm_lifecycle": [
        disk("detailed", "5f00c09e-2078-4e94-8ef3-94bf634aba9d"),
        group("inuse", "db21f4ac-3d40-4402-b176-e27735385e2d"),
        group("web", "d0738e28-3f79-456d-a403-f03e63bfd597"),
        group("db", "c3e2532f-512e-421e-83ed-198a25f721d0"),
        key("rsa1"),
        key("ed1"),
    ],
    "volumes_snapshots": [
        machine("volvm", "9543b30d-82b9-41de-85fd-b0a9f6dc5a92"),
        machine("volvm2", "317f175b-a61b-445f-b100-c85d7d602866", startvm="false"),
        root_of("9543b30d-82b9-41de-85fd-b0a9f6dc5a92", "4536965d-bf34-435e-9073-ada815321157"),
        made(
            "createSnapshot",
            "2be6a089-4ea8-4731-9251-ff1436b9cb2d",
            volumeid="5f725253-faad-4eb6-a128-bbe08b447245",
        ),
    ],
    "tags": [
        machine("tagvm", "3ca13c44-9ff7-402c-8138-c80e6839388d", offering=MICRO),
        machine("tagvm2", "d169fdb5-58e7-48de-a818-3b986606dd9b", offering=MICRO, startvm="false"),
        machine("tagvm3", "7a6a3a23-f1db-478a-9054-97a4d14dfc37", offering=MICRO, startvm="false"),
        key("ec1"),
        *TAGGED_NETWORK,
        *TIERS,
        *TAGGED,
        *TEMPLATES_BEFORE,
        done("createVolume", zoneid=ZONE, diskofferingid=SSD_10, name="tagvol2"),
    ],
    "accounts_projects_events": [
        ("user2", "listVolumes", {"type": "ROOT"}, {"b9e6b654-247f-45fd-bd78-ddc737906006": "volume.0.id"}),
        made(
            "deployVirtualMachine",
            "ae6b69b7-169f-4959-b2e9-355e57251206",
            "jobid",
            zoneid=ZONE,
            templateid=UBUNTU,
            serviceofferingid=MICRO,
            name="q-1795252440",
            startvm="false",
        ),
    ],
    "vm_extra": [
        ("admin", "createServiceOffering", TEMPORARY, {"03c32550-0347-4fa4-8a7a-fd8af6c7319a": "serviceoffering.id"}),
        ("admin", "createServiceOffering", ZONED, {"2771c427-2f80-46ce-926b-6f8252b20bf0": "serviceoffering.id"}),
        machine("scheduled", "7926b7da-2afe-40ab-adaa-c23cd185265e", offering=MICRO),
    ],
    "edge_races": [
        (
            "user",
            "listSecurityGroups",
            {"securitygroupname": "racesg-54160"},
            {"d47fc958-b5cf-4bbf-94ab-c38faa12f1b0": "securitygroup.0.id"},
        ),
        (
            "user",
            "createAffinityGroup",
            {"name": "aa-54160", "type": "host anti-affinity"},
            {"66a72bf4-150a-4b69-9e2c-28ad57ea1220": "id"},
        ),
        machine("disks-54160", "9b512302-e090-47f2-9114-605eb14b4038", offering=MICRO, templateid=DEBIAN),
        *(
            disk(f"lim-54160-{number}", uuid)
            for number, uuid in enumerate(
                (
                    "fc5eb8ed-863e-4930-a398-03996e878cbb",
                    "548adc9b-af05-4f80-abc7-6baa7bf219e6",
                    "d6632c2d-1428-4e60-97ae-1af8819c42b4",
                    "d1be0fe0-f0bd-44b4-b1f4-2c6f82f1f51a",
                    "05a94617-3d51-4ab4-a66d-357dec39b353",
                    "d5f9b892-f059-40ac-8385-650d9facb8c0",
                    "b7146f08-f026-43bc-ac18-228bade3d4e1",
                )
            )
        ),
        made(
            "createVolume",
            "6ebb56ad-34d4-44ee-b7da-8311cc40fcf5",
            zoneid=FRANKFURT,
            diskofferingid=SSD_10,
            name="far-54160",
        ),
        disk("rs-54160", "a8917b97-ffef-4d06-887f-959548cc4139"),
        group("rc-54987", "f62c2c10-b37f-41c5-bf22-7ccb353949a6"),
        machine(
            "rc-54987",
            "5244cca2-1b90-4bac-83ed-a0743709e18b",
            offering=MICRO,
            templateid=DEBIAN,
            securitygroupids="f62c2c10-b37f-41c5-bf22-7ccb353949a6",
        ),
    ],
}


def quota(name: str, top: int) -> Callable[[Simulator], None]:
    """Only this limit of `other` stands in the way."""

    def change(cloud: Simulator) -> None:
        account = next(account for account in cloud.world.account if account.name == "other")
        account.limits = {"*": -1, name: top}

    return change


def zone_state(state: str) -> Callable[[Simulator], None]:
    """What the operator did to the zone between two lines."""
    return lambda cloud: cloud.do("admin", "updateZone", id=ZONE, allocationstate=state)


def turn(seconds: float) -> Callable[[Simulator], None]:
    """A moment passes."""

    def change(cloud: Simulator) -> None:
        cloud.world.clock.now += seconds  # type: ignore[attr-defined]

    return change


def six_more(cloud: Simulator) -> None:
    """Machines of other areas, which a count counts."""
    params = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO, "startvm": "false"}
    for number in range(6):
        cloud.do("tenant", "deployVirtualMachine", name=f"before-{number}", **params)


BEFORE["vm_extra", "retrieveonlyresourcecount"] = six_more
BEFORE["vm_extra", "deploy interrupted by crash: before"] = turn(0.5)


def a_thousand(cloud: Simulator) -> None:
    asked = next(line for line in read("vm_extra") if line["name"].startswith("paging ids 200"))
    where = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO}
    deploy_all(cloud, asked["request"]["ids"].split(","), **where)


BEFORE["vm_extra", "paging no page"] = a_thousand
BEFORE["vm_extra", "listZones disabled (user)"] = zone_state("Disabled")
BEFORE["vm_extra", "deploy on temp offering"] = zone_state("Enabled")


def remove_offering(cloud: Simulator) -> None:
    offering = next(row for row in cloud.world.service_offering if row.name == "tmp-53648")
    cloud.do("admin", "deleteServiceOffering", id=offering.id)


BEFORE["vm_extra", "listServiceOfferings removed id"] = remove_offering


def overtaken(command: str, times: int) -> Callable[[Simulator], None]:
    """So many of the calls that arrived at once looked for the name before any had taken it."""
    return lambda cloud: cloud.faults.add("race", command, times=times)


def no_secondary_storage(cloud: Simulator) -> None:
    text = "Failed to create templateNo remote endpoint to send command, check if host or ssvm is down?"
    cloud.faults.add("fail-job", "createTemplate", text=text)


def shipped_limits(cloud: Simulator) -> None:
    """Every limit that was lowered was put back, in the order of the first change."""
    account = next(account for account in cloud.world.account if account.name == "other")
    lowered = "user_vm cpu memory volume primary_storage network vpc project public_ip snapshot template"
    account.limits = {name: DEFAULTS[name] for name in lowered.split()}


BEFORE["edge_races", "race: same VM name x6"] = overtaken("deployVirtualMachine", 5)
BEFORE["edge_races", "race: same SG name x6"] = overtaken("createSecurityGroup", 2)
BEFORE["edge_races", "createTemplate from snapshot of expunged vm"] = no_secondary_storage
BEFORE["accounts_projects_events", "listResourceLimits user2"] = shipped_limits
BEFORE.update(
    {
        ("accounts_projects_events", line): quota(name, top)
        for line, name, top in (
            ("quota user_vm", "user_vm", 0),
            ("quota cpu", "cpu", 0),
            ("quota memory", "memory", 100),
            ("quota volume on deploy", "volume", 0),
            ("quota volume", "volume", 0),
            ("quota primary storage", "primary_storage", 5),
            ("quota ok vm", "cpu", 1),
            ("quota snapshot", "snapshot", 0),
            ("quota cpu on scale", "cpu", 1),
            ("quota template", "template", 0),
            ("quota project", "project", 0),
            ("quota network", "network", 0),
            ("quota vpc", "vpc", 0),
        )
    }
)
