"""Holds every implemented command against the recorded list of commands, and the table of seen wrappers.

Apart from the replay, because it covers commands that no recorded line calls. `shapes.json.gz` is listApis
without its sentences, the wrappers and the kinds of jobs that were seen.
"""

from __future__ import annotations

import gzip
import json

import pytest
from prologue_steps import FOLDER

from gstack.simulator import Simulator
from gstack.simulator.apis import load_apis
from gstack.simulator.params import KINDS
from gstack.simulator.registry import COMMANDS

SHAPES = json.loads(gzip.decompress((FOLDER / "shapes.json.gz").read_bytes()))
# Ids of things that no simulated cloud holds; naming one is an unknown id.
NEVER_HELD = {
    "accessvpnid",
    "asnumberid",
    "backupid",
    "backupofferingid",
    "clusterid",
    "extensionid",
    "gpucardid",
    "hostid",
    "iconid",
    "imagestoreid",
    "imagestoreuuid",
    "isoid",
    "kubernetesclusterid",
    "leaseid",
    "managementserverid",
    "nodeid",
    "parenttemplateid",
    "podid",
    "projectroleid",
    "roleid",
    "serviceinstanceid",
    "storageid",
    "storagepolicy",
    "vgpuprofileid",
    "virtualrouterid",
    "vlanid",
}


@pytest.fixture(scope="module")
def announced() -> dict[str, dict[str, dict]]:
    cloud = Simulator(job_seconds=0)
    return {
        who: {api["name"]: api for api in cloud.do(who, "listApis")["api"]} for who in ("tenant", "admin", "acme-admin")
    }


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_parameters_kind_and_wrapper_of_a_command_are_those_recorded(announced: dict, name: str) -> None:
    recorded, api = SHAPES["apis"][name], load_apis()[name]
    told = announced["tenant" if recorded["user"] else "admin"][name]
    assert (name in announced["tenant"]) == recorded["user"]
    assert told["isasync"] == api.is_async == recorded["isasync"]
    assert told.get("since") == recorded["since"]
    params = {param["name"]: [param["type"], param["length"], param["required"]] for param in told["params"]}
    assert params == {name: row[:3] for name, *row in recorded["params"]}
    seen = SHAPES["wrappers"].get(name)
    assert seen is None or api.wrapper in seen
    fields = {field["name"] for field in told["response"] if field}
    assert set(recorded["response"]) <= fields


@pytest.mark.parametrize("name", sorted(name for name in COMMANDS if load_apis()[name].is_async))
def test_a_job_names_its_class_and_instance_as_recorded(name: str) -> None:
    api = load_apis()[name]
    seen = SHAPES["async_jobs"].get(api.job_class.rsplit(".", 1)[1])
    if seen is not None:
        assert [api.instance_type] == seen["jobinstancetype"]
        assert [api.has_instance_id] == seen["jobinstanceid"]


def test_every_id_that_a_command_takes_is_looked_up_somewhere() -> None:
    unknown = {
        param.name
        for name in COMMANDS
        for param in load_apis()[name].params
        if param.type == "uuid" and param.name not in ("id", *KINDS)
    }
    assert unknown <= NEVER_HELD, sorted(unknown - NEVER_HELD)


def test_a_domain_admin_may_more_than_a_user_and_less_than_root(announced: dict) -> None:
    assert set(announced["tenant"]) < set(announced["acme-admin"]) < set(announced["admin"])
    assert {"listDomains", "updateResourceLimit", "disableAccount"} <= set(announced["acme-admin"])
    assert not {"updateZone", "updateConfiguration"} & set(announced["acme-admin"])
