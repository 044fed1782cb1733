"""The processes under measurement, and what the kernel says of them.

The embedded CloudStack runs in a process of its own, as a real one does, so that its CPU is not counted as ours.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU seconds spent and memory held by a tree of processes."""

    cpu: float
    memory_mb: dict[str, float]


def children(pid: int) -> list[int]:
    """``pid`` and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += children(int(child))
    return found


def usage(pid: int) -> Usage:
    """What the tree under ``pid`` has used so far. Memory is the proportional share, so that pages which
    forked workers share are counted once."""
    cpu, memory = 0.0, {}
    for process in children(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        cpu += (int(fields[11]) + int(fields[12])) / TICKS
        command = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        role = "operations worker" if "operations.worker" in command else "server"
        pss = next(
            int(line.split()[1])
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            if line.startswith("Pss:")
        )
        memory[f"{role} {process}"] = pss / 1024
    return Usage(cpu, memory)


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process, stopped at the end."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | (environment or {}))
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_up(url: str, authority: str, process: subprocess.Popen[str]) -> float:
    """Seconds until ``url`` answers."""
    started = time.perf_counter()
    with requests.Session() as session:
        session.trust_env = False
        while process.poll() is None and time.perf_counter() - started < 60:
            with contextlib.suppress(requests.RequestException):
                if session.get(url, verify=authority, timeout=1).ok:
                    return time.perf_counter() - started
            time.sleep(0.005)
    raise SystemExit(f"{url} did not come up")


PYTHON = sys.executable
