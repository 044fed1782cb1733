"""Roles of projects: what a member with one may do."""

from __future__ import annotations

import pytest
from sim_cloud import Cloud


@pytest.fixture
def project(cloud: Cloud) -> str:
    made = cloud.do("createProject", name="team", displaytext="team")
    cloud.wait(made)
    return str(made["id"])


@pytest.fixture
def role(cloud: Cloud, project: str) -> str:
    return str(cloud.do("createProjectRole", projectid=project, name="reader")["projectrole"]["id"])


def rule(cloud: Cloud, project: str, role: str, name: str, permission: str) -> dict:
    return cloud.do(
        "createProjectRolePermission", projectid=project, projectroleid=role, rule=name, permission=permission
    )


def join(cloud: Cloud, project: str, **more: object) -> None:
    assert cloud.run("addAccountToProject", projectid=project, account="other", **more)["jobstatus"] == 1


def may(cloud: Cloud, project: str, command: str = "createSecurityGroup") -> bool:
    answer = cloud.do(command, "other", projectid=project, **({} if command.startswith("list") else {"name": command}))
    return "errorcode" not in answer


def test_the_first_rule_that_matches_decides_and_none_allows(cloud: Cloud, project: str, role: str) -> None:
    join(cloud, project, projectroleid=role)
    assert may(cloud, project, "createSecurityGroup")
    allow = rule(cloud, project, role, "createAffinityGroup", "allow")["projectrolepermission"]["id"]
    deny = rule(cloud, project, role, "create*", "deny")["projectrolepermission"]["id"]
    assert not may(cloud, project, "createSecurityGroup")
    answer = cloud.do("createSecurityGroup", "other", projectid=project, name="x")
    assert (answer["errorcode"], "project role" in answer["errortext"]) == (531, True)
    assert may(cloud, project, "listSecurityGroups")
    order = {"projectid": project, "projectroleid": role, "ruleorder": f"{deny},{allow}"}
    assert cloud.do("updateProjectRolePermission", **order) == {"success": True}
    answer = cloud.do("createAffinityGroup", "other", projectid=project, name="x", type="host affinity")
    assert answer["errorcode"] == 531
    assert "errorcode" not in cloud.do("createSecurityGroup", "other", name="x"), "outside the project"


def test_admins_of_the_project_are_not_bound_by_roles(cloud: Cloud, project: str, role: str) -> None:
    join(cloud, project, projectroleid=role, roletype="Admin")
    rule(cloud, project, role, "*", "deny")
    assert may(cloud, project)


def test_a_rule_changes_and_goes(cloud: Cloud, project: str, role: str) -> None:
    join(cloud, project, projectroleid=role)
    key = rule(cloud, project, role, "*", "deny")["projectrolepermission"]["id"]
    asked = {"projectid": project, "projectroleid": role, "projectrolepermissionid": key}
    assert cloud.do("updateProjectRolePermission", permission="ALLOW", **asked) == {"success": True}
    assert may(cloud, project)
    [row] = cloud.do("listProjectRolePermissions", projectid=project)["projectrolepermission"]
    assert (row["id"], row["rule"], row["permission"], row["projectrolename"]) == (key, "*", "allow", "reader")
    assert cloud.do("deleteProjectRolePermission", projectid=project, id=key) == {"success": True}
    assert cloud.do("listProjectRolePermissions", projectid=project) == {}


def test_a_role_in_use_stays_and_goes_with_its_rules_after(cloud: Cloud, project: str, role: str) -> None:
    join(cloud, project, projectroleid=role)
    rule(cloud, project, role, "list*", "allow")
    members = cloud.do("listProjectAccounts", projectid=project)["projectaccount"]
    assert [row.get("projectroleid") for row in members] == [role, None]
    assert cloud.do("deleteProjectRole", projectid=project, id=role)["errorcode"] == 531
    cloud.run("deleteAccountFromProject", projectid=project, account="other")
    assert cloud.do("deleteProjectRole", projectid=project, id=role) == {"success": True}
    assert cloud.do("listProjectRoles", projectid=project) == {}
    assert len(cloud.simulator.world.role_permission) == 0


def test_roles_are_found_changed_and_named(cloud: Cloud, project: str, role: str) -> None:
    asked = {"projectid": project, "id": role, "name": "watcher", "description": "looks on"}
    assert cloud.do("updateProjectRole", **asked)["projectrole"]["description"] == "looks on"
    for found in ({"name": "WATCHER"}, {"keyword": "atch"}, {"projectroleid": role}):
        assert cloud.do("listProjectRoles", projectid=project, **found)["count"] == 1
    assert cloud.do("listProjectRoles", projectid=project, name="reader") == {}


def test_only_admins_of_the_project_change_its_roles(cloud: Cloud, project: str, role: str) -> None:
    for expected in ("not part", "unauthorized"):
        answer = cloud.do("createProjectRole", "other", projectid=project, name="mine")
        assert (answer["errorcode"], expected in answer["errortext"]) == (531, True)
        assert cloud.do("deleteProjectRole", "other", projectid=project, id=role)["errorcode"] == 531
        if expected == "not part":
            join(cloud, project)


@pytest.mark.parametrize(("name", "permission"), [("list-*", "allow"), ("list*", "maybe"), ("listZones", "deny")])
def test_a_rule_that_cannot_be_is_refused(cloud: Cloud, project: str, role: str, name: str, permission: str) -> None:
    rule(cloud, project, role, "listZones", "allow")
    assert rule(cloud, project, role, name, permission)["errorcode"] in (431, 530)
    assert cloud.do("listProjectRolePermissions", projectid=project)["count"] == 1
