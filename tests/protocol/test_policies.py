"""Policies: what is honoured, remembered and refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gstack.errors import GceError
from gstack.protocol.policy import Policy


def _policy() -> Policy:
    return Policy(
        honoured={"name", "disks[].source", "networkInterfaces", "metadata"},
        remembered={"description", "disks[].deviceName", "networkInterfaces[].nicType", "scheduling"},
        refused={
            "guestAccelerators": "There are no accelerators.",
            "confidentialInstanceConfig": "Memory is not encrypted.",
            "networkInterfaces[].aliasIpRanges": "Alias ranges do not exist.",
            "keyRevocationActionType": "Keys are not revoked.",
        },
        only={"networkInterfaces[].stackType": ("IPV4_ONLY",), "disks[].mode": ("READ_WRITE",)},
    )


def _refused(body: dict[str, Any]) -> GceError:
    with pytest.raises(GceError) as caught:
        _policy().check(body)
    return caught.value


def test_what_is_honoured_or_remembered_passes() -> None:
    _policy().check({"name": "a", "description": "b", "disks": [{"source": "c", "deviceName": "d"}]})


def test_a_path_covers_what_lies_below_it() -> None:
    _policy().check({"metadata": {"items": [{"key": "a", "value": "b"}]}})


def test_a_member_in_no_list_is_refused_by_name() -> None:
    error = _refused({"hostname": "a.b", "disks": [{"boot": True}]})
    assert (error.kind, error.http) == ("unsupported", 400)
    assert [problem.location for problem in error.problems] == ["resource.hostname", "resource.disks[0].boot"]
    assert "Invalid value for field 'resource.hostname': 'a.b'. This field is not supported." in error.message


def test_a_refused_member_says_why() -> None:
    error = _refused({"guestAccelerators": [{"acceleratorCount": 1}]})
    assert error.message == "Invalid value for field 'resource.guestAccelerators': ''. There are no accelerators."


@pytest.mark.parametrize(
    "off",
    [
        {"guestAccelerators": []},
        {"guestAccelerators": [{"acceleratorCount": 0}]},
        {"confidentialInstanceConfig": {}},
        {"confidentialInstanceConfig": {"enableConfidentialCompute": False}},
        {"keyRevocationActionType": ""},
    ],
)
def test_a_refused_member_passes_while_it_is_off(off: dict[str, Any]) -> None:
    _policy().check(off)


def test_a_refused_member_passes_at_the_schemas_default() -> None:
    policy = Policy(refused={"sourceType": "Images come from templates."})
    with pytest.raises(GceError):
        policy.check({"sourceType": "RAW"})
    policy.bind("Image")
    policy.check({"sourceType": "RAW"})


def test_a_member_in_no_list_passes_only_when_empty() -> None:
    _policy().check({"serviceAccounts": [], "params": {}})
    for value in (False, 0, ""):
        with pytest.raises(GceError):
            _policy().check({"hostname": value})


def test_a_longer_path_wins() -> None:
    _policy().check({"networkInterfaces": [{"network": "n", "aliasIpRanges": []}]})
    error = _refused({"networkInterfaces": [{}, {"aliasIpRanges": [{"ipCidrRange": "10.0.0.0/24"}]}]})
    assert error.problems[0].location == "resource.networkInterfaces[1].aliasIpRanges"


def test_a_member_may_be_held_to_some_values() -> None:
    _policy().check({"networkInterfaces": [{"stackType": "IPV4_ONLY"}]})
    error = _refused({"networkInterfaces": [{"stackType": "IPV4_IPV6"}]})
    assert error.message.endswith("'IPV4_IPV6'. Only IPV4_ONLY is supported.")


def test_only_what_is_remembered_is_cut_out() -> None:
    body = {
        "name": "a",
        "description": "b",
        "scheduling": {"preemptible": False},
        "disks": [{"source": "c"}, {"source": "d", "deviceName": "e"}],
        "networkInterfaces": [{"network": "n"}],
    }
    assert _policy().remember(body) == {
        "description": "b",
        "scheduling": {"preemptible": False},
        "disks": [{}, {"deviceName": "e"}],
    }


def test_false_and_empty_values_are_remembered_as_they_came() -> None:
    policy = Policy(remembered={"canIpForward", "description", "metadata", "tags.items"})
    body = {"canIpForward": False, "description": "", "metadata": {}, "tags": {"items": []}}
    assert policy.remember(body) == body


def test_an_honoured_part_of_something_remembered_is_left_out() -> None:
    policy = Policy(remembered={"scheduling"}, honoured={"scheduling.preemptible"})
    assert policy.remember({"scheduling": {"preemptible": True, "automaticRestart": False}}) == {
        "scheduling": {"automaticRestart": False}
    }
    assert policy.remember({"scheduling": {"preemptible": True}}) == {"scheduling": {}}


@pytest.mark.parametrize(
    "path", ["nmae", "disks.source", "name[]", "labels[]", "disks[].initializeParams.size", "tags.*"]
)
def test_a_path_that_does_not_exist_fails_when_bound(path: str) -> None:
    with pytest.raises(ValueError, match="Instance has no"):
        Policy(honoured={path}).bind("Instance")


def test_an_output_only_path_fails_when_bound() -> None:
    with pytest.raises(ValueError, match="output-only"):
        Policy(honoured={"cpuPlatform"}).bind("Instance")


def test_a_good_policy_binds() -> None:
    _policy().bind("Instance")
    Policy(honoured={"labels.*", "tags.items[]", "disks[].initializeParams.diskSizeGb"}).bind("Instance")


def test_a_path_is_named_once() -> None:
    with pytest.raises(ValueError, match="name is named twice"):
        Policy(honoured={"name"}, remembered={"name"})


def test_the_table_lists_every_path_with_its_reason() -> None:
    table = {path: (state, why) for path, state, why in _policy().table()}
    assert table["name"] == ("honoured", "")
    assert table["description"] == ("remembered", "")
    assert table["guestAccelerators"] == ("refused", "There are no accelerators.")
    assert table["disks[].mode"] == ("honoured", "Only READ_WRITE is supported.")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "source", "deviceName", "mode", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["name", "disks", "scheduling", "metadata", "y"]), VALUES, max_size=5))
def test_whatever_comes_a_policy_refuses_with_a_gce_error_or_remembers_a_part(body: dict[str, Any]) -> None:
    try:
        _policy().check(body)
    except GceError as error:
        assert all(problem.location for problem in error.problems)
    assert _policy().remember(body).keys() <= body.keys()
