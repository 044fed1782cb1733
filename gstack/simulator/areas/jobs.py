"""queryAsyncJobResult and listAsyncJobs.

Apart, because these read jobs and run none. Surprising: listAsyncJobs shows pending jobs only, so it is no
history, and a job a crash ended has no `jobresult` at all.
"""

from __future__ import annotations

from ..call import Call
from ..errors import denied
from ..lists import check_page, page
from ..model import Job, Row
from ..registry import command
from ..world import date

MANAGEMENT_SERVER = "9ddecd0e-c000-4a3a-b171-169d1bbb041c"


def view(call: Call, job: Job) -> Row:
    world = call.world
    account = world.account[job.account]
    domain = world.domain[account.domain]
    api = call.simulator.apis[job.command]
    row: Row = {
        "accountid": account.id,
        "account": account.name,
        "domainid": domain.id,
        "domainpath": domain.path,
    }
    row.update(userid=job.user, cmd=call.simulator.jobs.class_of(job))
    row.update(jobprocstatus=0, jobresultcode=job.code)
    if job.result is not None:
        row.update(jobresulttype="object", jobresult=job.result)
    if api.instance_type is not None and (job.instance is not None or not api.has_instance_id):
        row["jobinstancetype"] = api.instance_type
    if job.instance:
        row["jobinstanceid"] = job.instance
    if job.result is None:  # pending, or abandoned in a crash of this server
        row.update(managementserverid=MANAGEMENT_SERVER, managementservername="localhost")
    row["created"] = date(job.created)
    if job.completed is not None:
        row["completed"] = date(job.completed)
    row.update(jobid=job.id, jobstatus=job.status)
    return row


@command("queryAsyncJobResult")
def query_job(call: Call) -> Row:
    job = call.entity("jobid", Job)
    assert job is not None
    if not call.rules(call.world.account[job.account]):
        me = call.described()
        raise denied(f"Account Account [{me}] is not authorized to see job id={job.number}")
    return view(call, job)


@command("listAsyncJobs")
def list_jobs(call: Call) -> Row:
    check_page(call)
    wide = call.account.type != 0 and call.flag("listall")
    world = call.world
    rows = [
        job
        for pending in call.simulator.jobs.queues.values()
        for job in (running.job for running in pending)
        if (call.rules(world.account[job.account]) if wide else job.account == call.account.id)
    ]
    start = call.args.get("startdate")
    if isinstance(start, float):
        rows = [job for job in rows if job.created >= start]
    return page(call, "asyncjobs", sorted(rows, key=lambda job: job.number), lambda job: view(call, job))
