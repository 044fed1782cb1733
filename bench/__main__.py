"""``python -m bench``: all measurements, written to docs/performance.json, .md and .svg.

Every figure is a median of one run of this program; nothing is repeated until it looks good.
"""

from __future__ import annotations

import itertools
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import load, report
from bench.processes import PYTHON, usage
from bench.stage import CORES, Stage, cloudstack, fill, pairs, stage, wait_for_job
from gstack import __version__

MACHINES = 500
IDLE_SECONDS = 10  # the kernel counts in hundredths of a second, and there is little to count
SERVERS = {
    "granian": None,
    "gunicorn": [
        PYTHON, "-m", "gunicorn", "bench.wsgi:app", "--worker-class", "gthread", "--workers", "2",
        "--threads", "32", "--bind", "127.0.0.1:{port}", "--certfile", "{folder}/server.pem",
        "--keyfile", "{folder}/server.key", "--keep-alive", "30", "--log-level", "error",
    ],
}  # fmt: skip


def main() -> None:
    """Measure and write the report."""
    results: dict[str, Any] = {
        "version": __version__,
        "python": platform.python_version(),
        "cores": CORES,
        "machines": MACHINES,
    }
    with cloudstack(job_seconds=0.05) as (url, api_key, secret_key):
        with tempfile.TemporaryDirectory() as folder, stage(Path(folder), url, api_key, secret_key) as ours:
            say(f"filling the cloud with {MACHINES} machines")
            fill(ours.cloud, MACHINES)
            results["start_seconds"] = ours.start_seconds
            results["latency"] = latency(ours)
            results["cpu"] = cpu(ours)
            results["memory_mb"] = usage(ours.gateway.pid).memory_mb
        results["throughput"] = {name: throughput(name, url, api_key, secret_key) for name in SERVERS}
    report.write(results, Path(__file__).parent.parent / "docs")


def latency(ours: Stage) -> dict[str, dict[str, float]]:
    """One request at a time, gateway and CloudStack in turn."""
    cloud, zone = ours.cloud, ours.zone
    row = cloud.first("listVirtualMachines", name="bench-0042") or {}
    found = {}
    scenarios = {
        "get an instance": (
            lambda: ours.get(f"zones/{zone}/instances/bench-0042"),
            lambda: cloud.call("listVirtualMachines", id=row["id"]),
            200,
        ),
        f"list {MACHINES} instances": (
            lambda: ours.get(f"zones/{zone}/instances?maxResults=500"),
            lambda: cloud.call("listVirtualMachines", page=1, pagesize=500),
            20,
        ),
        "list zones": (lambda: ours.get("zones"), lambda: cloud.call("listZones"), 200),
        "list machine types": (
            lambda: ours.get(f"zones/{zone}/machineTypes"),
            lambda: cloud.call("listServiceOfferings"),
            200,
        ),
        "list images": (
            lambda: ours.get("global/images"),
            lambda: cloud.call("listTemplates", templatefilter="featured"),
            200,
        ),
    }
    for name, (through, direct, runs) in scenarios.items():
        say(name)
        found[name] = pairs(through, direct, runs)
    say("insert to RUNNING")
    names = (f"made-{number}" for number in itertools.count())
    found["insert to RUNNING"] = pairs(lambda: insert(ours, next(names)), lambda: deploy(ours, row, next(names)), 10)
    return found


def insert(ours: Stage, name: str) -> None:
    """An instance through the gateway, until it is RUNNING."""
    body = {
        "name": name,
        "machineType": f"zones/{ours.zone}/machineTypes/micro",
        "disks": [
            {
                "boot": True,
                "autoDelete": True,
                "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-12"},
            }
        ],
        "networkInterfaces": [{"network": "global/networks/default"}],
    }
    answer = ours.session.post(f"{ours.root}/zones/{ours.zone}/instances", json=body, timeout=60)
    answer.raise_for_status()
    operation = answer.json()
    while operation["status"] != "DONE":
        operation = ours.session.post(operation["selfLink"] + "/wait", timeout=150).json()
    if "error" in operation:
        raise SystemExit(operation["error"])


def deploy(ours: Stage, like: dict[str, Any], name: str) -> None:
    """The same machine with CloudStack's own API."""
    made = ours.cloud.call(
        "deployVirtualMachine",
        zoneid=like["zoneid"],
        templateid=like["templateid"],
        serviceofferingid=like["serviceofferingid"],
        name=name,
    )
    wait_for_job(ours.cloud, made["jobid"])


def cpu(ours: Stage) -> dict[str, float]:
    """CPU that the gateway's processes spend on a request, from the kernel's accounting."""
    figures = {}
    idle = _cpu_of(ours, lambda: time.sleep(IDLE_SECONDS), 1) / IDLE_SECONDS
    for name, path, count in (
        ("get an instance, ms", f"zones/{ours.zone}/instances/bench-0042", 500),
        ("list zones, ms", "zones", 500),
        (f"list {MACHINES} instances, ms", f"zones/{ours.zone}/instances?maxResults=500", 30),
    ):
        started = time.perf_counter()
        spent = _cpu_of(ours, lambda path=path: ours.get(path), count)  # type: ignore[misc]  # mypy cannot infer it
        seconds = time.perf_counter() - started
        figures[name] = (spent - idle * seconds) / count * 1000
    figures["a listed instance, µs"] = figures[f"list {MACHINES} instances, ms"] / MACHINES * 1000
    figures["idle, % of a core"] = idle * 100
    return figures


def _cpu_of(ours: Stage, work: Any, count: int) -> float:
    before = usage(ours.gateway.pid).cpu
    for _ in range(count):
        work()
    return usage(ours.gateway.pid).cpu - before


def throughput(name: str, url: str, api_key: str, secret_key: str) -> dict[str, Any]:
    """Requests a second at 1, 8 and 64 connections, of one server."""
    say(f"throughput of {name}")
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder), url, api_key, secret_key, SERVERS[name]) as ours:
        found: dict[str, Any] = {}
        for scenario, path in (("list zones", "zones"), ("get an instance", f"zones/{ours.zone}/instances/bench-0042")):
            for connections in (1, 8, 64):
                done = load.run(f"{ours.root}/{path}", ours.token, ours.authority, connections, 4)
                found[f"{scenario}, {connections} connections"] = vars(done)
        found["memory_mb"] = sum(usage(ours.gateway.pid).memory_mb.values())
        return found


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"… {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
