"""What is measured: an embedded CloudStack in its own process, filled, and a gateway in front of it."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from bench.processes import PYTHON, running, wait_until_up
from gstack import configure
from gstack.cloudstack.client import Cloud, Endpoint
from gstack.demo import free_port
from gstack.settings import Settings

ZONE = "ch-gva-2"  # the embedded cloud's basic zone


@dataclass
class Stage:
    """The running pieces, and the two ways to the same cloud."""

    settings: Settings
    config: Path
    cloud: Cloud
    gateway: subprocess.Popen[str]
    session: requests.Session
    token: str
    project: str
    zone: str
    start_seconds: float

    @property
    def root(self) -> str:
        return f"{self.settings.public_url}/compute/v1/projects/{self.project}"

    @property
    def authority(self) -> str:
        return str(self.settings.folder / "ca.pem")

    def get(self, path: str) -> dict[str, object]:
        """One GET through the gateway."""
        answer = self.session.get(f"{self.root}/{path}", timeout=120)
        answer.raise_for_status()
        return answer.json()  # type: ignore[no-any-return]  # JSON


@contextlib.contextmanager
def cloudstack(job_seconds: float) -> Iterator[tuple[str, str, str]]:
    """URL and key pair of an embedded CloudStack of its own."""
    port = free_port()
    command = [PYTHON, "-m", "gstack.simulator", "--port", str(port), "--job-seconds", str(job_seconds)]
    with running(command) as process:
        keys: tuple[str, str] = ("", "")
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("tenant: "):
                words = line.split()
                keys = (words[2], words[4])
            if line.startswith("listening on "):
                yield line.split()[2], *keys
                return


@contextlib.contextmanager
def stage(folder: Path, url: str, api_key: str, secret_key: str, command: list[str] | None = None) -> Iterator[Stage]:
    """A gateway in front of ``url``; ``command`` starts another server than ours."""
    parts = urlsplit(url)
    port = free_port()
    config = folder / "gstack.conf"
    settings = configure.install(
        config,
        {
            "PATH": str(folder),
            "GSTACK_PORT": port,
            "CLOUDSTACK_HOST": "127.0.0.1",
            "CLOUDSTACK_PORT": parts.port,
            "LOG_LEVEL": "WARNING",
        },
    )
    chosen = [part.format(folder=folder, port=port) for part in command or []]
    with running(
        chosen or [PYTHON, "-m", "gstack", "--config", str(config)],
        {"GSTACK_BENCH_CONFIG": str(config)},
    ) as gateway:
        start = wait_until_up(f"{settings.public_url}/healthz", str(folder / "ca.pem"), gateway)
        session = requests.Session()
        session.trust_env = False
        session.verify = str(folder / "ca.pem")
        grant = {"grant_type": "client_credentials", "client_id": api_key, "client_secret": secret_key}
        token = session.post(f"{settings.public_url}/token", data=grant, timeout=60).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        cloud = Endpoint(settings).cloud(api_key, secret_key, key="bench")
        yield Stage(settings, config, cloud, gateway, session, token, "tenant", ZONE, start)


def fill(cloud: Cloud, count: int) -> None:
    """``count`` machines, made with CloudStack's own API."""
    zone = next(row for row in cloud.list("listZones") if row["name"] == ZONE)
    template = cloud.list("listTemplates", templatefilter="featured")[0]
    offering = next(row for row in cloud.list("listServiceOfferings") if row["name"] == "Micro")
    jobs = []
    for number in range(count):
        jobs.append(
            cloud.call(
                "deployVirtualMachine",
                zoneid=zone["id"],
                templateid=template["id"],
                serviceofferingid=offering["id"],
                name=f"bench-{number:04}",
            )["jobid"]
        )
    for job in jobs:
        wait_for_job(cloud, job)


def wait_for_job(cloud: Cloud, jobid: str) -> None:
    """Until a job has ended."""
    while cloud.call("queryAsyncJobResult", jobid=jobid)["jobstatus"] == 0:
        time.sleep(0.02)


def pairs(ours: Callable[[], object], direct: Callable[[], object], runs: int) -> dict[str, float]:
    """Both in turn, ``runs`` times after one that does not count; medians in ms, and the ratio's median."""
    ours(), direct()
    rows = []
    for _ in range(runs):
        started = time.perf_counter()
        ours()
        between = time.perf_counter()
        direct()
        rows.append((between - started, time.perf_counter() - between))
    return {
        "gateway_ms": statistics.median(row[0] for row in rows) * 1000,
        "direct_ms": statistics.median(row[1] for row in rows) * 1000,
        "ratio": statistics.median(row[0] / row[1] for row in rows),
    }


CORES = os.cpu_count() or 1
