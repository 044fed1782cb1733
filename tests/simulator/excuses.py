"""Every difference between the recordings and the embedded cloud that is let pass, each with its reason; nowhere else.

Apart from the replay, which compares. Surprising: a line that is excused here still counts as unequal; only the
numbers and the fleeting fields, which no two runs of the real server share, count for nothing.
"""

from __future__ import annotations

import re

# Internal numbers inside error texts; they count what a database has seen.
NUMBERS = re.compile(
    r'(?<="id":)\d+|(?<=i-)\d+-\d+(?=-VM)|(?<=id \[)\d+|(?<=job id=)\d+|(?<=volumeId":)\d+'
    r'|(?<=instanceId":)\d+|(?<="uniqueName":")\d+-\d+-[0-9a-f-]{36}|(?<=VM_VS_)\d+|(?<=_)\d{14}|(?<=account id=)\d+'
    r'|(?<="networkId":)\d+|(?<="id": )\d+|(?<="networkofferingid": )\d+|(?<=vm id=)\d+|(?<=LB rule:)\d+'
    r"|(?<=Network ID=)\d+|(?<=retry after \[)\d+|(?<=ROOT-)\d+|(?<=DATA-)\d+"
)
# Error texts name an account with a uuid that is another one each time.
RANDOM_ACCOUNT = re.compile(r'("accountName":"[^"]*","id":)\d+,"uuid":"[^"]*"')
# Measured by the hypervisor every minute or so, of machines and volumes that ran when it was.
MEASURED = (
    *("cpuused", "memoryintfreekbs", "memorykbs", "memorytargetkbs", "networkkbsread", "networkkbswrite"),
    *("diskioread", "diskiowrite", "diskkbsread", "diskkbswrite"),
)
# Compared by type and, where it is text, by what is left when numbers stand for each other: no two runs share these.
MOMENTS = "created completed allocated attached lastupdated sent startdate expireAfter"
# Compared by type alone, as are the counts below.
SECRETS = "apikey secretkey password encryptedpassword privatekey fingerprint token url sessionkey"
# Chosen at random, or the next that is free after all that the recorder had used.
DRAWN = "ipaddress macaddress broadcasturi isolationuri publicip vmguestip vmipaddress lbvmipaddresses hostname"
# How much of everything the recorded cloud and its accounts held at that moment.
COUNTED = (
    "alerts iptotal networktotal volumetotal snapshottotal templatetotal vpctotal primarystoragetotal"
    " secondarystoragetotal receivedbytes sentbytes capacityused capacitytotal percentused"
    " disksizeallocated memoryallocated memoryallocatedbytes memoryallocatedpercentage gputotal"
)
SHAPED = frozenset(f"{MOMENTS} {DRAWN}".split())
UNLIKE = frozenset(" ".join((MOMENTS, SECRETS, DRAWN, COUNTED)).split())
# The same of one command's answer: wrapper and field.
UNLIKE_IN = {
    ("listapisresponse", "description"): "sentences of CloudStack's, which the embedded one leaves out",
    ("listeventsresponse", "description"): "sentences of CloudStack's, which the embedded one words in its own way",
    ("listconfigurationsresponse", "description"): "sentences of CloudStack's, which the embedded one leaves out",
    ("listalertsresponse", "description"): "names a router that nothing else names",
    ("listvirtualmachinesresponse", "jobid"): "of several jobs in the queue the real one shows now this, now that",
    ("listtagsresponse", "resourceid"): "tags of one resource type come in no order, so a page may begin with either",
    ("listhostsresponse", "name"): "drawn at random for each host",
    ("listdomainsresponse", "backupstorageavailable"): "a limit of the domain that no recorded call set",
}
# Lists that the real one reads in no order, so that no two runs share it.
UNORDERED = {
    ".listtagsresponse.tag": "sorted by nothing but the resource type",
    ".listzonesresponse.zone[].capacity": "held in a hash table",
    ".listresourcedetailsresponse.resourcedetail": "held in a hash table",
    ".listsecuritygroupsresponse.securitygroup": "the ids of a page are sorted, and then its rows are read by them",
}
# Lines whose rows stand in an order that hangs on the moment each was made.
UNORDERED_IN = {
    ("edge_races", "race: VMs with same name"): "made at once; which call made which row nobody knows",
    ("vpc", "listVPCs"): "of those made in one second the older comes first; here seconds lie between all",
    ("vpc", "listVPCs name partial"): "as above",
    ("vpc", "listVPCs keyword"): "as above",
    ("vpc", "listStaticRoutes"): "as above",
}
# Shown by an object while a job of it is still in the queue, which the real one clears a moment after the job's end.
QUEUED = ("jobid", "jobstatus")
FLEETING = frozenset({*MEASURED, *QUEUED})

EVENTS = "counts the 2,608 events that the recorder had left, most of them unrecorded"

KNOWN: dict[str, dict[str, str]] = {
    "advanced_networks": {},
    "vpc": {},
    "security_groups": {},
    "ssh_keys": {},
    "vm_basic": {},
    "vm_lifecycle": {
        "destroy-while-starting/state Starting": "the address came earlier than in other lines",
        "stop-while-starting/state Starting": "the host came a moment later than in other lines",
        "destroy-while-starting/state Running": "a detail went a moment later than in all other lines",
    },
    "volumes_snapshots": {"stop vm/job-final": "one of its two disks is called the root, and once it is the other"},
    "tags": {},
    "accounts_projects_events": {
        "listEvents page": EVENTS,
        "listEvents type": EVENTS,
        "listEvents level": EVENTS,
        "listEvents startdate": EVENTS,
        "listEvents startdate date": EVENTS,
        "listEvents user2": EVENTS,
    },
    "vm_extra": {},
    "edge_races": {},
    "catalog": {},
    # The rest is sent by tests of its own: test_raw_transport.py and test_enforcement.py.
    "auth_transport": {
        "POST body of ~1100000 bytes": "the page goes on with a page of the servlet container's own code",
        "POST body of ~3000000 bytes": "the page goes on with a page of the servlet container's own code",
    },
    "restart_throttle_post": {},
}
# How many lines of an area cannot be replayed. A number here only ever gets smaller.
UNREPLAYED = {
    "accounts_projects_events": 0,
    "advanced_networks": 0,
    "auth_transport": 0,
    "catalog": 0,
    "edge_races": 0,
    "restart_throttle_post": 0,
    "security_groups": 0,
    "ssh_keys": 0,
    "tags": 0,
    "vm_basic": 0,
    "vm_extra": 0,
    "vm_lifecycle": 0,
    "volumes_snapshots": 0,
    "vpc": 0,
}
