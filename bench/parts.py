"""``python -m bench.parts``: what the pure pieces of a request cost, in microseconds. Medians of five rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from gstack.protocol.bodies import check_body
from gstack.protocol.filters import compile_filter
from gstack.protocol.rendering import render

BODY = {
    "name": "vm",
    "machineType": "zones/z/machineTypes/micro",
    "disks": [{"boot": True, "initializeParams": {"sourceImage": "projects/p/global/images/i", "diskSizeGb": "20"}}],
    "networkInterfaces": [{"network": "global/networks/default", "accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}],
    "metadata": {"items": [{"key": f"k{number}", "value": "v"} for number in range(10)]},
    "scheduling": {"automaticRestart": True, "preemptible": False},
}
ZONE = {"id": "1", "creation_timestamp": "t", "name": "z-1", "status": "UP", "region": "r", "self_link": "l"}
RESOURCE = {"name": "vm", "status": "RUNNING", "labels": {"env": "prod"}, "tags": {"items": ["a", "b"]}}


def microseconds(work: Callable[[], object], times: int = 2000) -> float:
    """CPU time of one call."""
    rounds = []
    for _ in range(5):
        started = time.process_time()
        for _ in range(times):
            work()
        rounds.append((time.process_time() - started) / times * 1e6)
    return statistics.median(rounds)


def main() -> None:
    """Print the table."""
    old = compile_filter(r'(name eq ".*\bvm\b.*") (status eq RUNNING)')
    new = compile_filter("name = vm-* AND labels.env = prod AND tags.items:b")
    for name, work in (
        ("check the body of instances.insert", lambda: check_body("Instance", BODY, "compute.instances.insert")),
        ("render a zone", lambda: render("zone", **ZONE)),
        ("match a filter of the old syntax", lambda: old.matches(RESOURCE)),
        ("match a filter of the AIP-160 syntax", lambda: new.matches(RESOURCE)),
    ):
        print(f"{name:40} {microseconds(work):8.1f} µs")


if __name__ == "__main__":
    main()
