"""What a cloud offers, and the members of those rows that are read."""

from __future__ import annotations

import pytest


def _kinds(row, **kinds):
    """The members that are not of the kind given, by name."""
    return {name: row.get(name) for name, kind in kinds.items() if type(row.get(name)) is not kind}


def test_a_zone_has_what_a_zone_is_made_from(cloud):
    for zone in cloud.list("listZones"):
        wrong = _kinds(zone, id=str, name=str, networktype=str, securitygroupsenabled=bool, allocationstate=str)
        assert wrong == {}
        assert zone["allocationstate"] == "Enabled"


def test_a_service_offering_has_numbers_unless_it_is_custom(cloud):
    for row in cloud.list("listServiceOfferings"):
        assert _kinds(row, id=str, name=str, iscustomized=bool, displaytext=str, created=str) == {}
        if not row["iscustomized"]:
            assert _kinds(row, cpunumber=int, cpuspeed=int, memory=int) == {}


def test_a_disk_offering_has_its_size_in_gb_and_zero_if_it_is_custom(cloud):
    for row in cloud.list("listDiskOfferings"):
        assert _kinds(row, id=str, name=str, iscustomized=bool, disksize=int, storagetype=str) == {}
        assert (row["disksize"] == 0) == row["iscustomized"]


def test_a_template_has_what_an_image_is_made_from(cloud):
    rows = cloud.list("listTemplates", templatefilter="featured")
    assert rows
    for row in rows:
        wrong = _kinds(row, id=str, name=str, displaytext=str, created=str, zoneid=str, ostypename=str, isready=bool)
        assert wrong == {}
        if row["isready"]:
            assert type(row["size"]) is int


@pytest.mark.parametrize("kind", ["self", "selfexecutable", "sharedexecutable", "executable", "community", "featured"])
def test_templates_are_listed_by_every_filter_a_user_has(cloud, kind):
    assert isinstance(cloud.list("listTemplates", templatefilter=kind), list)


def test_all_templates_are_for_administrators(cloud):
    if cloud.has("listHosts"):
        pytest.skip("the account is an administrator")
    assert cloud.refused("listTemplates", templatefilter="all").code == 431


def test_the_zones_network_has_its_addresses(cloud, machine):
    nic = machine["nic"][0]
    network = cloud.one("listNetworks", id=nic["networkid"])
    assert _kinds(network, id=str, name=str, type=str, zoneid=str, state=str, traffictype=str) == {}
    assert any(service["name"] == "SecurityGroup" for service in network["service"])


def test_limits_are_told_for_every_kind_of_resource(cloud):
    rows = cloud.list("listResourceLimits")
    assert {"0", "1", "2", "3", "4", "8", "9", "10"} <= {row["resourcetype"] for row in rows}
    assert all(type(row["max"]) is int for row in rows)


def test_an_account_tells_what_it_uses(cloud, machine):
    [account] = cloud.list("listAccounts", name=machine["account"])
    assert account["vmtotal"] >= 1
    assert _kinds(account, id=str, name=str, domainid=str, domain=str, vmlimit=str, cputotal=int) == {}
    assert type(account["secondarystoragetotal"]) is float


def test_the_keys_user_finds_itself_among_the_users_of_its_account(cloud):
    users = [user for account in cloud.list("listAccounts") for user in account["user"]]
    [me] = [user for user in users if user.get("apikey") == cloud.keys[0]]
    assert _kinds(me, id=str, username=str, accountid=str, account=str, domainid=str) == {}


def test_operating_systems_have_names(cloud):
    rows = cloud.list("listOsTypes")
    assert rows
    assert _kinds(rows[0], id=str, description=str) == {}


def test_capabilities_tell_whether_users_may_expunge(cloud):
    capability = cloud.call("listCapabilities")["capability"]
    assert _kinds(capability, allowuserexpungerecovervm=bool, cloudstackversion=str, dynamicrolesenabled=bool) == {}


def test_another_accounts_quota_that_is_spent_is_535(stranger):
    limits = {row["resourcetype"]: row["max"] for row in stranger.list("listResourceLimits")}
    if limits["2"] not in range(21):
        pytest.skip("the second account has no small limit of volumes")
    before = len(stranger.made)
    try:
        for _ in range(limits["2"]):
            stranger.volume()
        zone, offering = stranger.zone["id"], stranger.custom_disk["id"]
        more = {"name": stranger.name("disk"), "zoneid": zone, "diskofferingid": offering, "size": 1}
        error = stranger.refused("createVolume", **more)
        assert (error.code, error.kind) == (535, "quotaExceeded")
    finally:
        stranger.remove(before)
