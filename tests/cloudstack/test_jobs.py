"""Jobs as CloudStack 4.22 was recorded to show them."""

from __future__ import annotations

import pytest

from gstack.cloudstack.errors import CloudStackError, JobGone
from gstack.cloudstack.jobs import poll, read_job


def test_a_job_under_way_is_pending():
    job = read_job({"jobid": "j", "jobstatus": 0, "jobprocstatus": 0, "jobresultcode": 0})
    assert (job.pending, job.done, job.failed) == (True, False, False)


def test_a_done_job_gives_its_object_out_of_the_wrapper():
    job = read_job(
        {
            "jobid": "j",
            "jobstatus": 1,
            "jobresult": {"virtualmachine": {"id": "v", "password": "pw"}},
            "jobinstanceid": "v",
        }
    )
    assert job.done
    assert job.result == {"id": "v", "password": "pw"}
    assert job.instance_id == "v"


def test_a_done_job_without_an_object_keeps_its_success():
    assert read_job({"jobid": "j", "jobstatus": 1, "jobresult": {"success": True}}).result == {"success": True}
    assert read_job({"jobid": "j", "jobstatus": 1}).result == {}


def test_a_failed_job_says_why():
    row = {
        "jobid": "j",
        "jobstatus": 2,
        "jobresultcode": 431,
        "cmd": "org.apache.cloudstack.api.command.user.vm.StartVMCmd",
        "jobresult": {"errorcode": 431, "errortext": "The virtual machine v (vm-a) is already running"},
    }
    job = read_job(row)
    assert job.failed
    assert job.error is not None
    assert (job.error.code, job.error.kind, job.error.command) == (431, "resourceNotReady", "StartVMCmd")
    assert read_job(row, "startVirtualMachine").error.command == "startVirtualMachine"


def test_a_job_cut_by_a_crash_has_no_result_and_still_an_error():
    job = read_job({"jobid": "j", "jobstatus": 2, "jobresultcode": 530, "jobinstancetype": "VirtualMachine"})
    assert job.failed
    assert (job.error.code, job.error.kind) == (530, "backendError")
    assert "without a result" in job.error.text


def test_projects_have_no_instance_id():
    assert read_job({"jobid": "j", "jobstatus": 0, "jobinstanceid": "None"}).instance_id is None


def test_a_password_shows_in_no_repr():
    assert "pw" not in repr(read_job({"jobid": "j", "jobstatus": 1, "jobresult": {"vm": {"password": "pw"}}}))


def test_polling_asks_for_the_job(fake, cloud):
    fake.answers["queryAsyncJobResult"] = {"jobid": "j", "jobstatus": 0}
    assert poll(cloud, "j").pending
    assert fake.params() == {"jobid": "j"}


def test_a_job_that_cloudstack_forgot_is_gone(fake, cloud):
    fake.answers["queryAsyncJobResult"] = (431, {"errorcode": 431, "errortext": "entity does not exist"})
    with pytest.raises(JobGone):
        poll(cloud, "j")


def test_somebody_elses_job_is_forbidden(fake, cloud):
    fake.answers["queryAsyncJobResult"] = (
        531,
        {"errorcode": 531, "errortext": "not authorized to see job id=7"},
    )
    with pytest.raises(CloudStackError) as caught:
        poll(cloud, "j")
    assert caught.value.kind == "forbidden"
