"""Asynchronous jobs: their queueing, their pace and their outcome.

Apart, because every area submits them. Surprising: there is no thread. A job is a generator whose steps
have due times, and every request first lets the steps that are due by the clock happen, so the same calls
always give the same states.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass

from .apis import load_apis
from .errors import ApiError
from .faults import Faults
from .model import Job, Row
from .world import World

# A job yields the share of its whole time that passes before its next step.
Steps = Generator[float, None, Row | None]
Work = Callable[[], Steps]
TICK = 0.2  # share of a job's time that it waits in the queue before it does anything
EXPIRE_SECONDS = 1440 * 60.0
LOOK_SECONDS = 600.0  # from one look for jobs to forget to the next


@dataclass(slots=True)
class Running:
    job: Job
    work: Work
    key: str
    done: Callable[[Job], None]
    steps: Steps | None = None
    on_failure: Callable[[], None] | None = None


class Jobs:
    def __init__(self, world: World, faults: Faults, job_seconds: float) -> None:
        self.world = world
        self.faults = faults
        self.job_seconds = job_seconds
        self.heap: list[tuple[float, int, Running]] = []
        self.queues: dict[str, deque[Running]] = {}
        self.pending: dict[str, list[Job]] = {}  # instance id → its pending jobs, oldest first
        self.ticket = 0
        self.changed = False
        self.next_look = 0.0

    def submit(self, running: Running) -> Job:
        job = self.world.job.add(running.job)
        if job.target:
            self.pending.setdefault(job.target, []).append(job)
        queue = self.queues.setdefault(running.key, deque())
        queue.append(running)
        if len(queue) == 1:
            self.schedule(running, self.world.now() + TICK * self.job_seconds)
        return job

    def schedule(self, running: Running, due: float) -> None:
        self.ticket += 1
        heapq.heappush(self.heap, (due, self.ticket, running))

    def advance(self) -> None:
        now = self.world.now()
        if now >= self.next_look:
            self.next_look = now + LOOK_SECONDS
            self.forget_old()
        while self.heap and self.heap[0][0] <= now:
            due, _, running = heapq.heappop(self.heap)
            self.step(running, due)
            self.changed = True

    def step(self, running: Running, due: float) -> None:
        try:
            if running.steps is None:
                running.steps = running.work()
                self.break_if_told(running)
            share = next(running.steps)
        except StopIteration as stop:
            self.finish(running, 1, 0, stop.value, due)
        except ApiError as error:
            job = running.job
            is_root = self.world.account[job.account].type == 1
            result: Row = {"errorcode": error.code, "errortext": error.text_for(is_root)}
            self.finish(running, 2, error.code, result, due)
        else:
            self.schedule(running, due + share * self.job_seconds)

    def break_if_told(self, running: Running) -> None:
        fault = self.faults.take(running.job.command, "fail-job", "jobless")
        if fault is None:
            return
        if running.on_failure:
            running.on_failure()
        if running.steps is not None:
            running.steps.close()
        if fault.kind == "jobless":
            running.steps = jobless()
            return
        raise ApiError(fault.code, fault.text or "Command failed due to Internal Server Error", None)

    def finish(self, running: Running, status: int, code: int, result: Row | None, due: float) -> None:
        job = running.job
        job.status, job.code, job.result, job.completed = status, code, result, due
        if result is None:
            job.status, job.code = 2, 530
        if job.target:
            self.pending[job.target].remove(job)
            if not self.pending[job.target]:
                del self.pending[job.target]
        running.done(job)
        queue = self.queues[running.key]
        queue.popleft()
        if queue:
            self.schedule(queue[0], due + TICK * self.job_seconds)
        else:
            del self.queues[running.key]

    def abandon(self, job: Job) -> None:
        """What a crash of the management server leaves of a pending job."""
        job.status, job.code, job.completed = 2, 530, self.world.now()

    def forget_old(self) -> None:
        limit = self.world.now() - EXPIRE_SECONDS
        old = [job for job in self.world.job if job.completed is not None and job.completed < limit]
        for job in old:
            self.world.job.remove(job)

    def mark(self, row: Row, target: str) -> Row:
        """Adds `jobid` and `jobstatus` to the row of an object that has a pending job."""
        pending = self.pending.get(target)
        if pending:
            row["jobid"] = pending[0].id
            row["jobstatus"] = 0
        return row

    def class_of(self, job: Job) -> str:
        name = load_apis()[job.command].job_class
        is_root = self.world.account[job.account].type == 1
        return name.replace(".user.", ".admin.") + "ByAdmin" if is_root and job.command in BY_ADMIN else name


def jobless() -> Steps:
    """Ends at once with no result at all."""
    return None
    yield 0.0


# Commands of which root runs a variant of its own; its job names that class.
BY_ADMIN = frozenset(
    {
        "deployVirtualMachine",
        "destroyVirtualMachine",
        "createVolume",
        "attachVolume",
        "detachVolume",
        "startVirtualMachine",
        "stopVirtualMachine",
        "rebootVirtualMachine",
        "resizeVolume",
    }
)
