"""Projects: who may do what to them and to what they own."""

from __future__ import annotations

from sim_cloud import DEBIAN, MICRO, ZONE, Cloud


def project(cloud: Cloud, name: str = "shop", who: str = "tenant") -> str:
    answer = cloud.do("createProject", who, name=name)
    cloud.wait(answer, who)
    return str(answer["id"])


def test_a_new_project_has_a_default_security_group_of_its_own(cloud: Cloud) -> None:
    key = project(cloud)
    rows = cloud.do("listSecurityGroups", projectid=key)["securitygroup"]
    assert [(row["name"], row["projectid"]) for row in rows] == [("default", key)]


def test_names_of_projects_are_unique_in_a_domain(cloud: Cloud) -> None:
    project(cloud)
    refused = cloud.do("createProject", "other", name="SHOP")
    assert refused["errortext"] == "Project with name SHOP already exists in domain id=2"


def test_only_members_see_a_project_and_what_it_owns(cloud: Cloud) -> None:
    key = project(cloud)
    assert cloud.do("listProjects", "other", id=key) == {}
    assert cloud.do("listVirtualMachines", "other", projectid=key)["errorcode"] == 531
    cloud.run("addAccountToProject", projectid=key, account="other")
    assert cloud.do("listProjects", "other", id=key)["count"] == 1
    assert cloud.do("listVirtualMachines", "other", projectid=key) == {}


def test_a_regular_member_cannot_change_the_project(cloud: Cloud) -> None:
    key = project(cloud)
    cloud.run("addAccountToProject", projectid=key, account="other")
    for command in ("updateProject", "suspendProject", "deleteProject"):
        assert cloud.do(command, "other", id=key)["errorcode"] == 531


def test_the_domain_admin_may_change_a_project_of_the_domain(cloud: Cloud) -> None:
    key = project(cloud)
    done = cloud.run("updateProject", "acme-admin", id=key, displaytext="By the admin")
    assert done["jobresult"]["project"]["displaytext"] == "By the admin"


def test_nothing_starts_in_a_suspended_project(cloud: Cloud) -> None:
    key = project(cloud)
    machine = cloud.deploy("web-1", projectid=key)
    cloud.run("suspendProject", id=key)
    row = cloud.do("listVirtualMachines", projectid=key, id=machine)["virtualmachine"][0]
    assert row["state"] == "Stopped"
    assert cloud.run("startVirtualMachine", id=machine)["jobresultcode"] == 530
    cloud.run("activateProject", id=key)
    assert cloud.run("startVirtualMachine", id=machine)["jobstatus"] == 1


def test_a_project_with_machines_goes_only_with_all_it_owns(cloud: Cloud) -> None:
    key = project(cloud)
    cloud.deploy("web-1", projectid=key)
    refused = cloud.run("deleteProject", id=key)
    text = "Can't delete the project yet because it has 1 VirtualMachine to clean up"
    assert refused["jobresult"] == {"errorcode": 530, "errortext": text}
    assert cloud.run("deleteProject", id=key, cleanup="true")["jobresult"] == {"success": True}
    assert cloud.do("listProjects", id=key) == {}
    assert cloud.do("listVirtualMachines", projectid=-1) == {}
    assert "id" in cloud.do("deployVirtualMachine", **cloud_params("web-1"))


def cloud_params(name: str) -> dict[str, str]:
    return {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO, "name": name}


def test_the_only_admin_cannot_leave(cloud: Cloud) -> None:
    key = project(cloud)
    assert cloud.do("deleteAccountFromProject", projectid=key, account="tenant")["errorcode"] == 431


def test_another_admin_takes_the_project_over(cloud: Cloud) -> None:
    key = project(cloud)
    cloud.run("addAccountToProject", projectid=key, account="other")
    cloud.run("updateProject", id=key, account="other")
    rows = cloud.do("listProjectAccounts", "other", projectid=key)["projectaccount"]
    assert {row["account"]: row["role"] for row in rows} == {"other": "Admin", "tenant": "Regular"}


def test_with_invitations_required_a_member_has_to_accept(cloud: Cloud) -> None:
    cloud.simulator.settings["project.invite.required"] = True
    key = project(cloud)
    cloud.run("addAccountToProject", projectid=key, account="other")
    assert cloud.do("listProjects", "other") == {}
    rows = cloud.do("listProjectInvitations", "other")["projectinvitation"]
    assert [(row["projectid"], row["account"], row["state"]) for row in rows] == [(key, "other", "Pending")]
    cloud.run("updateProjectInvitation", "other", projectid=key, accept="true")
    assert cloud.do("listProjects", "other")["count"] == 1
    assert cloud.do("listProjectInvitations", "other", activeonly="true") == {}


def test_projects_count_against_the_quota(cloud: Cloud) -> None:
    next(a for a in cloud.simulator.world.account if a.name == "other").limits = {"project": 1}
    project(cloud, "one", "other")
    assert cloud.do("createProject", "other", name="two")["errorcode"] == 535
