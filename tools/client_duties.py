"""What every client must have done before its row of docs/clients/results.md is whole, and who has no way to do it.

Apart from test_clients.py, which runs the clients, because this is the list one reads and adds to. The surprising
thing: nobody writes the table. The gateway counts the methods that it answered while a client's tests ran (its own
``/metrics``), and a duty is done when one of its methods was among them, so that no cell can be filled by a promise.
"""

from __future__ import annotations

FAILED = "a failed operation"  # recorded beside the methods: operations that ended with an error
# What is to be done, and the methods of which one does it.
DUTIES: dict[str, tuple[str, ...]] = {
    "zones": ("zones.list",),
    "types": ("machineTypes.list", "machineTypes.aggregatedList"),
    "images": ("images.list",),
    "image of a family": ("images.getFromFamily", "imageFamilyViews.get"),
    "network or firewall": ("networks.insert", "firewalls.insert"),
    "insert": ("instances.insert",),
    "get": ("instances.get",),
    "list": ("instances.list",),
    "aggregated list": ("instances.aggregatedList",),
    "metadata": ("instances.setMetadata",),
    "tags": ("instances.setTags",),
    "labels": ("instances.setLabels",),
    "create a disk": ("disks.insert",),
    "attach": ("instances.attachDisk",),
    "detach": ("instances.detachDisk",),
    "snapshot": ("disks.createSnapshot", "snapshots.insert"),
    "stop": ("instances.stop",),
    "start": ("instances.start",),
    "delete": ("instances.delete",),
    "a failure is seen": (FAILED,),
}
# What a client has no way to do, and why; everything else is a gap.
NO_WAY: dict[str, dict[str, str]] = {
    "Ansible with google.cloud": {
        "zones": "no module for it",
        "types": "no module for it",
        "image of a family": "names the family in the body of the instance",
        "metadata": "set when the instance is made, never changed",
        "tags": "set when the instance is made, never changed",
        "detach": "attaches only",
    },
    "Terraform": {
        "list": "reads what it knows by name",
        "aggregated list": "reads what it knows by name",
    },
    "jclouds google-compute-engine": {
        "image of a family": "knows no families",
        "labels": "knows no labels",
    },
}


def matrix(asked: dict[str, set[str]]) -> list[str]:
    """The lines of the table, a client a column; ``asked`` has the methods each client's tests were answered."""
    clients = list(asked)
    lines = [
        "| | " + " | ".join(str(number) for number, _ in enumerate(clients, 1)) + " |",
        "|---|" + ":-:|" * len(clients),
    ]
    for duty in DUTIES:
        lines.append(f"| {duty} | " + " | ".join(_cell(client, duty, asked[client]) for client in clients) + " |")
    notes = [f"{number}: {client}" for number, client in enumerate(clients, 1)]
    reasons: dict[tuple[str, str], list[str]] = {}
    for client in clients:
        for duty, why in NO_WAY.get(client, {}).items():
            reasons.setdefault((client, why), []).append(duty)
    return [
        *lines,
        "",
        "; ".join(notes) + ".",
        "",
        *(f"* {client}: {', '.join(duties)}: {why}." for (client, why), duties in reasons.items()),
    ]


def gaps(asked: dict[str, set[str]]) -> list[str]:
    """What a client could have done and did not, a sentence each; and excuses that are none any more."""
    found = []
    for client, methods in asked.items():
        for duty in DUTIES:
            excused = duty in NO_WAY.get(client, {})
            if done(duty, methods) == excused:
                found.append(f"{client}: {duty} " + ("is done after all" if excused else "was not seen"))
    return found


def done(duty: str, methods: set[str]) -> bool:
    return any(method in methods for method in DUTIES[duty])


def _cell(client: str, duty: str, methods: set[str]) -> str:
    if done(duty, methods):
        return "✓"
    return "-" if duty in NO_WAY.get(client, {}) else "**gap**"
