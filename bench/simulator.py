"""Measures the embedded CloudStack: how long it takes to start, to list machines, and what memory it takes.

    python -m bench.simulator [--machines 10000]

Apart from the benchmark of the gateway, whose other end the simulator is. Surprising: the machines are
deployed through the API, as any client would, since copied rows would measure another cloud.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time

from gstack.simulator import Simulator, sign

ZONE = "8fcd71d6-6d92-4547-b001-fd414bd9af7a"
TEMPLATE = "77a63f6d-beed-4757-9204-eddd840d9d17"
OFFERING = "893bd32a-cf34-489e-b52a-d2439a866460"
ROOMY = 100_000  # hosts' CPUs and MiB, so that every machine finds a place
START = "import time; t=time.perf_counter(); from gstack.simulator import Simulator; Simulator(); "
LIMITS = {"list_ms": 100.0, "start_seconds": 1.0, "memory_mib": 150.0}


def start_seconds() -> float:
    """From the first import to a cloud that answers, in a fresh interpreter; the best of three."""
    code = START + "print(time.perf_counter() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True) for _ in range(3)]
    return min(float(run.stdout) for run in runs)


def deploy(cloud: Simulator, number: int, stopped: bool) -> None:
    params = {"zoneid": ZONE, "templateid": TEMPLATE, "serviceofferingid": OFFERING, "name": f"m{number:05d}"}
    cloud.do("tenant", "deployVirtualMachine", **params, startvm="false" if stopped else "true")


def cloud_of(machines: int) -> Simulator:
    cloud = Simulator(job_seconds=0, seed=1)
    for zone in cloud.world.zone:
        hosts = zone.row["hosts"]
        assert isinstance(hosts, dict)
        hosts.update(cpunumber=ROOMY, memory=ROOMY * 1024)
    for number in range(machines):
        deploy(cloud, number, stopped=number >= 4_000)  # the basic zone has 4,093 addresses
    cloud.settle()
    return cloud


def list_ms(cloud: Simulator) -> float:
    """Milliseconds of a signed listVirtualMachines with a page of 500 rows: the median of nine."""
    key, secret = cloud.keys("tenant")
    raw = {"command": "listVirtualMachines", "page": "1", "pagesize": "500", "response": "json", "apiKey": key}
    raw["signature"] = sign(raw, secret)
    times = []
    for _ in range(9):
        before = time.perf_counter()
        answer = cloud.answer("GET", raw)
        times.append((time.perf_counter() - before) * 1000)
        assert answer.body.count(b'"rootdeviceid"') == 500
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.simulator", description=__doc__)
    parser.add_argument("--machines", type=int, default=10_000)
    options = parser.parse_args()
    figures = {"start_seconds": start_seconds(), "list_ms": list_ms(cloud_of(1_000))}
    before = time.perf_counter()
    cloud_of(options.machines)
    seconds = time.perf_counter() - before
    figures["memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"start to first answer    {figures['start_seconds']:8.2f} s    (at most {LIMITS['start_seconds']:.0f})")
    print(f"500 of 1,000 machines    {figures['list_ms']:8.1f} ms   (at most {LIMITS['list_ms']:.0f})")
    memory = figures["memory_mib"]
    print(f"peak memory, {options.machines:,} VMs {memory:8.1f} MiB  (at most {LIMITS['memory_mib']:.0f})")
    print(f"deployed in              {seconds:8.1f} s    ({options.machines / seconds:.0f} machines a second)")
    slow = [name for name, figure in figures.items() if figure > LIMITS[name]]
    sys.exit(f"over the limit: {', '.join(slow)}" if slow else 0)


if __name__ == "__main__":
    main()
