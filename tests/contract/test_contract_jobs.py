"""Asynchronous jobs: which commands have them, what is seen of them, what they leave. See gstack.cloudstack.jobs."""

from __future__ import annotations

import pytest

from gstack.cloudstack.commands import commands
from gstack.cloudstack.errors import JobGone
from gstack.cloudstack.jobs import poll


def test_every_command_is_asynchronous_or_not_as_our_table_says(cloud):
    there = {api["name"]: api["isasync"] for api in cloud.list("listApis")}
    known = commands()
    assert len(there) > 50
    assert {name for name in there if name in known and known[name].isasync != there[name]} == set()


def test_a_pending_job_has_no_result(cloud):
    with cloud.jobs_taking(0.2):
        answer = cloud.deploying(startvm=False)
        row = cloud.call("queryAsyncJobResult", jobid=answer["jobid"])
        if row["jobstatus"] != 0:
            pytest.skip("this cloud was too quick")
        assert "jobresult" not in row
        assert row["jobinstancetype"] == "VirtualMachine"
        cloud.wait(answer)


def test_a_done_job_tells_its_object_under_a_wrapper(cloud):
    group = cloud.group()
    answer = _authorize(cloud, group)
    cloud.wait(answer)
    row = cloud.call("queryAsyncJobResult", jobid=answer["jobid"])
    assert (row["jobstatus"], row["jobresultcode"], row["jobresulttype"]) == (1, 0, "object")
    assert row["jobresult"]["securitygroup"]["id"] == group["id"]
    assert row["cmd"].endswith("AuthorizeSecurityGroupIngressCmd")


def test_a_failed_job_tells_code_and_text(cloud):
    group = cloud.group()
    cloud.wait(_authorize(cloud, group))
    answer = _authorize(cloud, group)
    cloud.wait(answer)
    row = cloud.call("queryAsyncJobResult", jobid=answer["jobid"])
    assert (row["jobstatus"], row["jobresultcode"]) == (2, 530)
    assert row["jobresult"]["errorcode"] == 530
    assert row["jobresult"]["errortext"]


def test_an_unknown_job_is_gone(cloud):
    with pytest.raises(JobGone):
        poll(cloud.cloud, "11111111-2222-4333-8444-555555555555")


def test_another_accounts_job_is_forbidden(cloud, stranger):
    answer = _authorize(cloud, cloud.group())
    cloud.wait(answer)
    assert stranger.refused("queryAsyncJobResult", jobid=answer["jobid"]).code == 531


def test_what_a_deploy_yields_was_written_inside_the_job(cloud):
    answer = cloud.deploying(startvm=False)
    job = cloud.wait(answer)
    assert job.result["id"] == answer["id"]
    assert (job.result["jobid"], job.result["jobstatus"]) == (answer["jobid"], 0)
    assert "jobid" not in cloud.one("listVirtualMachines", id=answer["id"])


def test_creating_a_volume_and_a_machine_tells_the_id_at_once(cloud):
    volume = cloud.call("createVolume", name=cloud.name("disk"), zoneid=cloud.zone["id"],
                        diskofferingid=cloud.custom_disk["id"], size=1)  # fmt: skip
    cloud.made.append(("volume", volume))
    assert sorted(volume) == ["id", "jobid"]
    assert cloud.one("listVolumes", id=volume["id"])["name"].startswith(cloud.prefix)
    cloud.wait(volume)
    assert sorted(cloud.deploying(startvm=False)) == ["id", "jobid"]


def test_groups_and_key_pairs_are_made_without_a_job(cloud):
    assert cloud.group()["id"]
    key = cloud.keypair()
    assert key["privatekey"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert cloud.call("deleteSSHKeyPair", name=key["name"]) == {"success": True}


def _authorize(cloud, group):
    return cloud.call(
        "authorizeSecurityGroupIngress",
        securitygroupid=group["id"], protocol="tcp", startport=22, endport=22, cidrlist=["192.0.2.0/24"],
    )  # fmt: skip
