"""What a machine carries: user data, details, keys, groups, and the members of its row that are read."""

from __future__ import annotations

import base64

import pytest

LARGEST_USER_DATA = 32_768  # vm.userdata.max.length as shipped, in characters of base64


def test_user_data_is_read_back_as_it_was_sent(cloud, machine):
    text = base64.b64encode("#cloud-config\n# zürich ~*\n".encode()).decode()
    cloud.call("updateVirtualMachine", id=machine["id"], userdata=text)
    answer = cloud.call("getVirtualMachineUserData", virtualmachineid=machine["id"])
    assert answer["virtualmachineuserdata"]["userdata"] == text


def test_user_data_that_is_no_base64_is_refused_and_an_update_hides_why(cloud, machine):
    error = _refused_deploy(cloud, userdata="not base64!")
    assert (error.code, "not base64 encoded" in error.text) == (431, True)
    error = cloud.refused("updateVirtualMachine", id=machine["id"], userdata="not base64!")
    assert (error.code, "base64" in error.text) == (530, False)


def test_user_data_has_a_limit(cloud, machine):
    most = "QUFB" * (LARGEST_USER_DATA // 4)
    cloud.call("updateVirtualMachine", id=machine["id"], userdata=most)
    answer = cloud.call("getVirtualMachineUserData", virtualmachineid=machine["id"])
    assert answer["virtualmachineuserdata"]["userdata"] == most
    assert cloud.refused("updateVirtualMachine", id=machine["id"], userdata="QUFB" * 100_000).code == 530
    assert _refused_deploy(cloud, userdata="QUFB" * 100_000).code == 431


def test_user_data_is_not_in_lists(cloud, machine):
    assert "userdata" not in cloud.one("listVirtualMachines", id=machine["id"])


def test_details_on_update_replace_all_details(cloud):
    machine = cloud.machine(startvm=False)
    first = cloud.call("updateVirtualMachine", id=machine["id"], details={"gsc.one": "1", "gsc.two": "2"})
    assert first["virtualmachine"]["details"]["gsc.two"] == "2"
    cloud.call("updateVirtualMachine", id=machine["id"], details={"gsc.one": "3"})
    details = cloud.one("listVirtualMachines", id=machine["id"])["details"]
    assert (details["gsc.one"], "gsc.two" in details) == ("3", False)


def test_an_unknown_key_pair_is_refused(cloud):
    error = _refused_deploy(cloud, keypairs=["gsc-no-such-key"])
    assert (error.code, error.kind) == (431, "notFound")


def test_a_key_pair_puts_its_public_key_into_the_details(cloud):
    key = cloud.keypair()
    machine = cloud.machine(keypairs=[key["name"]], startvm=False)
    assert machine["keypairs"] == key["name"]
    assert machine["details"]["SSH.PublicKey"].startswith("ssh-rsa ")


def test_the_same_public_key_is_taken_once_under_any_name(cloud):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    made = cloud.call("registerSSHKeyPair", name=cloud.name("key"), publickey=public)["keypair"]
    cloud.made.append(("keypair", made))
    assert made["fingerprint"].count(":") == 15
    again = cloud.refused("registerSSHKeyPair", name=cloud.name("key"), publickey=public)
    assert (again.code, again.kind) == (431, "alreadyExists")


def test_a_machine_joins_the_groups_it_is_deployed_with(cloud):
    groups = [cloud.group() for _ in range(2)]
    machine = cloud.machine(securitygroupids=[group["id"] for group in groups], startvm=False)
    assert {row["id"] for row in machine["securitygroup"]} == {group["id"] for group in groups}
    held = cloud.one("listSecurityGroups", id=groups[0]["id"])
    assert (held["virtualmachinecount"], held["virtualmachineids"]) == (1, [machine["id"]])
    error = cloud.refused("deleteSecurityGroup", id=groups[0]["id"])
    assert (error.code, error.kind) == (536, "resourceInUseByAnotherResource")


def test_without_groups_a_machine_is_in_the_accounts_default_group(machine):
    assert [row["name"] for row in machine["securitygroup"]] == ["default"]


def test_groups_change_only_while_a_machine_is_stopped(cloud, machine):
    group = cloud.group()
    assert cloud.refused("updateVirtualMachine", id=machine["id"], securitygroupids=[group["id"]]).code == 530
    stopped = cloud.machine(startvm=False)
    cloud.call("updateVirtualMachine", id=stopped["id"], securitygroupids=[group["id"]])
    [joined] = cloud.one("listVirtualMachines", id=stopped["id"])["securitygroup"]
    assert joined["id"] == group["id"]


def test_a_destroyed_machine_holds_its_group(cloud):
    group = cloud.group()
    machine = cloud.machine(securitygroupids=[group["id"]], startvm=False)
    cloud.run("destroyVirtualMachine", id=machine["id"])
    if cloud.call("listCapabilities")["capability"]["allowuserexpungerecovervm"]:
        pytest.skip("this account may expunge")
    assert cloud.refused("deleteSecurityGroup", id=group["id"]).code == 536


def test_a_custom_offering_needs_cpus_and_memory(cloud):
    custom = [row for row in cloud.list("listServiceOfferings") if row["iscustomized"] and not row.get("hosttags")]
    if not custom:
        pytest.skip("there is no custom offering")
    offering = custom[0]
    limits = offering.get("serviceofferingdetails", {})
    details = {"cpuNumber": limits.get("mincpunumber", "1"), "memory": limits.get("minmemory", "512")}
    if "cpuspeed" not in offering:
        details["cpuSpeed"] = "500"
    assert _refused_deploy(cloud, serviceofferingid=offering["id"], details={}).code == 431
    machine = cloud.machine(serviceofferingid=offering["id"], details=details, startvm=False)
    assert (machine["cpunumber"], machine["memory"]) == (int(details["cpuNumber"]), int(details["memory"]))


def test_a_root_disk_may_be_larger_than_its_template_and_not_smaller(cloud):
    size = -(-cloud.template["size"] // 2**30)
    machine = cloud.machine(rootdisksize=size + 1, startvm=False)
    [root] = cloud.list("listVolumes", virtualmachineid=machine["id"], type="ROOT")
    assert root["size"] == (size + 1) * 2**30
    if size > 1:
        assert _refused_deploy(cloud, rootdisksize=size - 1).code == 431


def test_a_machines_row_has_what_an_instance_is_made_from(machine):
    kinds = {
        str: "id name displayname state zoneid zonename templateid templatename serviceofferingid serviceofferingname "
        "created account domainid hypervisor ostypeid osdisplayname",
        int: "cpunumber cpuspeed memory",
        bool: "haenable deleteprotection passwordenabled isdynamicallyscalable",
        list: "nic securitygroup tags affinitygroup",
        dict: "details",
    }
    assert _differing(machine, kinds) == {}
    nic = {str: "id networkid networkname ipaddress macaddress netmask gateway type traffictype", bool: "isdefault"}
    assert _differing(machine["nic"][0], nic) == {}
    assert machine["created"][10] == "T"
    assert machine["created"].endswith("+0000")


def test_a_machines_row_shows_its_groups_without_rules(machine):
    for group in machine["securitygroup"]:
        assert (group["ingressrule"], group["egressrule"]) == ([], [])


def _differing(row, kinds):
    return {
        name: type(row.get(name)).__name__
        for kind, names in kinds.items()
        for name in names.split()
        if not isinstance(row.get(name), kind)
    }


def _refused_deploy(cloud, **params):
    chosen = {
        "name": cloud.name("vm"),
        "zoneid": cloud.zone["id"],
        "templateid": cloud.template["id"],
        "serviceofferingid": cloud.offerings[0]["id"],
    }
    return cloud.refused("deployVirtualMachine", **(chosen | params))
