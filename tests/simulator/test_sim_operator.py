"""What the operator's verbs change for everybody else."""

from __future__ import annotations

from sim_cloud import DEBIAN, MICRO, ZONE, Cloud


def test_a_disabled_zone_is_hidden_from_users_and_closed_to_them(cloud: Cloud) -> None:
    key = cloud.deploy("web-1", startvm="false")
    cloud.do("updateZone", "admin", id=ZONE, allocationstate="Disabled")
    assert ZONE not in [zone["id"] for zone in cloud.do("listZones")["zone"]]
    assert ZONE in [zone["id"] for zone in cloud.do("listZones", "admin")["zone"]]
    params = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO, "name": "web-2"}
    assert cloud.do("deployVirtualMachine", **params)["errorcode"] == 531
    assert cloud.run("startVirtualMachine", id=key)["jobresultcode"] == 533


def test_only_the_operator_has_these_verbs(cloud: Cloud) -> None:
    for who in ("tenant", "acme-admin"):
        assert cloud.do("updateZone", who, id=ZONE, allocationstate="Disabled")["errorcode"] == 432
    assert cloud.do("updateResourceLimit", resourcetype=0, max=1)["errorcode"] == 432


def test_a_domain_admin_sets_the_limits_of_an_account_of_the_domain(cloud: Cloud) -> None:
    domain = cloud.do("listAccounts")["account"][0]["domainid"]
    wanted = {"resourcetype": 0, "max": 0, "account": "other", "domainid": domain}
    assert cloud.do("updateResourceLimit", "acme-admin", **wanted)["resourcelimit"]["max"] == 0
    params = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO}
    assert cloud.do("deployVirtualMachine", "other", **params)["errorcode"] == 535


def test_a_removed_offering_is_offered_no_more(cloud: Cloud) -> None:
    key = cloud.deploy("web-1", startvm="false")
    cloud.do("deleteServiceOffering", "admin", id=MICRO)
    assert cloud.do("listServiceOfferings", id=MICRO) == {}
    params = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO}
    assert cloud.do("deployVirtualMachine", **params)["errortext"] == f"Service offering is inactive: [{MICRO}]."
    assert cloud.run("startVirtualMachine", id=key)["jobstatus"] == 1


def test_storage_tags_that_no_pool_has_leave_no_place(cloud: Cloud) -> None:
    made = cloud.do("createDiskOffering", "admin", name="fast", displaytext="fast", disksize=5, tags="nvme")
    params = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO, "name": "web-1"}
    job = cloud.run("deployVirtualMachine", **params, diskofferingid=made["diskoffering"]["id"])
    assert job["jobresultcode"] == 533


def test_scaling_a_running_machine_can_be_switched_off(cloud: Cloud) -> None:
    bigger = next(row for row in cloud.do("listServiceOfferings")["serviceoffering"] if row["name"] == "Small")
    key = cloud.deploy("web-1", templateid="78ca403c-80ad-4715-b115-882168a09dd5")
    cloud.do("updateConfiguration", "admin", name="enable.dynamic.scale.vm", value="false")
    assert cloud.run("scaleVirtualMachine", id=key, serviceofferingid=bigger["id"])["jobresultcode"] == 531
    cloud.do("updateConfiguration", "admin", name="enable.dynamic.scale.vm", value="true")
    assert cloud.run("scaleVirtualMachine", id=key, serviceofferingid=bigger["id"])["jobresultcode"] == 0


def test_a_setting_nobody_knows_is_refused(cloud: Cloud) -> None:
    assert cloud.do("updateConfiguration", "admin", name="no.such", value="1")["errorcode"] == 431


def test_a_domain_admin_sees_the_own_domain_and_root_all(cloud: Cloud) -> None:
    assert [row["path"] for row in cloud.do("listDomains", "acme-admin")["domain"]] == ["ROOT/acme"]
    assert cloud.do("listDomains", "admin")["count"] == 2


def test_details_are_added_and_taken_away_by_the_operator(cloud: Cloud) -> None:
    key = cloud.deploy("web-1")
    which = {"resourceid": key, "resourcetype": "UserVm"}
    cloud.run("addResourceDetail", "admin", **which, **{"details[0].key": "rack", "details[0].value": "7"})
    assert cloud.do("listResourceDetails", **which, key="rack")["resourcedetail"][0]["value"] == "7"
    cloud.run("removeResourceDetail", "admin", **which, key="rack")
    assert cloud.do("listResourceDetails", **which, key="rack") == {}
