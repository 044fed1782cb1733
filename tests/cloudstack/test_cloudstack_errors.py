"""Which of GCE's error kinds each of CloudStack's is: texts as recorded from 4.22."""

from __future__ import annotations

import pytest

from gstack.cloudstack.errors import cloudstack_error, kind_of, scrub
from gstack.errors import KINDS

INVALID_ID = (
    "Unable to execute API command listzones due to invalid value. Invalid parameter id value=x due to "
    "incorrect long value format, or entity does not exist or due to incorrect parameter annotation for ..."
)
LIMIT = "Maximum amount of resources of Type = 'cpu', tag = 'null' for Account Name = other is exceeded"
HIDDEN = "Internal error executing command, please contact your system administrator"

RECORDED = [
    (
        "createSecurityGroup",
        400,
        "State changing command createSecurityGroup needs to be sent ...",
        "badRequest",
    ),
    ("listZones", 401, "unable to verify user credentials and/or request signature", "authError"),
    (
        "listVirtualMachines",
        430,
        "Unable to decode parameter tags[x].value; if specifying an object",
        "invalid",
    ),
    ("listZones", 431, INVALID_ID, "notFound"),
    ("startVirtualMachine", 431, "Unable to find UUID for id [45] of type [VirtualMachine]", "notFound"),
    ("deployVirtualMachine", 431, "Not all specified keypairs exist", "notFound"),
    ("deleteSSHKeyPair", 431, "A key pair with name 'gen1' does not exist for account tenant", "notFound"),
    (
        "authorizeSecurityGroupIngress",
        431,
        "Nonexistent group nope for account tenant/2 is given",
        "notFound",
    ),
    (
        "createSecurityGroup",
        431,
        "Unable to create security group, a group with name web already exists.",
        "alreadyExists",
    ),
    (
        "deployVirtualMachine",
        431,
        "The vm with hostName web-1 already exists in the network domain: x",
        "alreadyExists",
    ),
    ("createNetworkACL", 431, "ACL item with number 5 already exists in ACL: u", "alreadyExists"),
    ("deployVirtualMachine", 431, "Both userdata and userdata ID inputs are not allowed", "invalid"),
    ("createVolume", 431, "This disk offering does not allow custom size", "invalid"),
    (
        "createVolume",
        431,
        "Unable to execute API command createvolume due to missing parameter name",
        "invalid",
    ),
    (
        "deleteVolume",
        431,
        "Please specify a volume that is not attached to any VM.",
        "resourceInUseByAnotherResource",
    ),
    ("deleteVPC", 431, "Can't delete VPC VPC {} as its used by 1 networks", "resourceInUseByAnotherResource"),
    ("rebootVirtualMachine", 431, "The VM u (vm-a) is not running, unable to reboot it", "resourceNotReady"),
    ("createSnapshot", 431, "Volume: Volume {} is not in Ready state but Allocated.", "resourceNotReady"),
    (
        "changeServiceForVirtualMachine",
        431,
        "in state Running; make sure the virtual machine is stopped",
        "resourceNotReady",
    ),
    ("destroyVirtualMachine", 431, "Instance [id = u] has delete protection enabled", "failedPrecondition"),
    ("createFirewallRule", 431, "Protocol all is not supported in zone 2", "unsupported"),
    (
        "listHosts",
        432,
        "The API [listHosts] does not exist or is not available for the account",
        "notImplemented",
    ),
    ("resizeVolume", 432, "Going from existing size of 2 to size of 1 would shrink the volume.", "invalid"),
    ("deployVirtualMachine", 530, HIDDEN, "backendError"),
    ("createTags", 530, "tag env already on UserVm with id u", "alreadyExists"),
    (
        "createTags",
        530,
        "Unable to persist on DB, due to: Data truncation: Incorrect string value: 'x'",
        "invalid",
    ),
    ("createTags", 530, "Caller does not have permission to operate with provided resource.", "forbidden"),
    ("destroyVirtualMachine", 530, "Account does not have permission for expunging.", "forbidden"),
    ("scaleVirtualMachine", 530, LIMIT, "quotaExceeded"),
    (
        "updateVirtualMachine",
        530,
        "Failed to update VM, due to: VM u must be stopped prior to update",
        "resourceNotReady",
    ),
    ("deleteNetwork", 530, "Failed to delete network", "resourceInUseByAnotherResource"),
    ("attachVolume", 531, "Caller does not have permission to operate with provided resource.", "forbidden"),
    (
        "deployVirtualMachine",
        531,
        "Cannot perform this operation, Zone is currently disabled: Zone {}",
        "failedPrecondition",
    ),
    ("associateIpAddress", 533, "Insufficient address capacity", "stockout"),
    (
        "startVirtualMachine",
        530,
        "Unable to start a VM [u] due to [Unable to create a deployment for VM instance {}].",
        "stockout",
    ),
    ("createVolume", 535, LIMIT, "quotaExceeded"),
    (
        "deleteSecurityGroup",
        536,
        "Cannot delete group when it's in use by virtual machines",
        "resourceInUseByAnotherResource",
    ),
    (
        "createFirewallRule",
        537,
        "The range specified, 80-80, conflicts with rule FirewallRule {}",
        "conflict",
    ),
    ("enableStaticNat", 537, "as it's already assigned to antoher vm", "resourceInUseByAnotherResource"),
    ("whatever", 534, "never seen", "backendError"),
    ("whatever", 439, "never seen", "invalid"),
]


@pytest.mark.parametrize(("command", "code", "text", "kind"), RECORDED)
def test_a_recorded_error_becomes_this_kind(command, code, text, kind):
    assert kind_of(command, code, text) == kind
    assert kind in KINDS


def test_cloudstacks_own_words_come_through_with_command_and_code():
    error = cloudstack_error("createVolume", 535, LIMIT)
    assert error.message == f"{LIMIT} (CloudStack createVolume, error 535)"


def test_a_command_the_role_lacks_is_named_without_the_random_id():
    error = cloudstack_error("listHosts", 432, "The API [listHosts] does not exist or is not available [u]")
    assert "listHosts" in error.message
    assert "[u]" not in error.message


def test_no_upstream_failure_is_an_internal_error_of_ours():
    assert cloudstack_error("deployVirtualMachine", 530, HIDDEN).http == 503


@pytest.mark.parametrize(
    "text",
    [
        "GET /client/api?apikey=abcdef&x=1",
        "apiKey: abcdef",
        '{"secretkey":"abcdef"}',
        "signature=abcdef%3D",
        "password = 'abcdef'",
    ],
)
def test_the_values_of_secret_parameters_are_hidden(text):
    assert "abcdef" not in scrub(text)
    assert "[hidden]" in scrub(text)


def test_ordinary_words_are_left_alone():
    assert scrub("userdata and userdata ID inputs are not allowed") == "userdata and userdata ID inputs are not allowed"


def test_a_very_long_text_is_cut():
    assert len(scrub("k" * 5000)) == 1000
