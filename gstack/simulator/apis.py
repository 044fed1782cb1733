"""The recorded list of CloudStack's commands: parameters, their types and limits, who may call them.

Apart, because parameter checking, authorisation and listApis all read it. Surprising: it knows all 815
commands, also those the simulator does not implement, because an unimplemented and an unknown command are
refused differently.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).resolve().parent.parent / "data" / "simulator"

# Wrappers that no recorded call shows, read in CloudStack's source (design notes, "Envelopes").
WRAPPERS = {
    "listVolumesMetrics": "listvolumesresponse",
    "deleteLBStickinessPolicy": "deleteLBstickinessrruleresponse",
    "checkVolume": "checkandrepairvolumeresponse",
    "listCounters": "counterresponse",
    "createCondition": "conditionresponse",
    "createAutoScalePolicy": "autoscalepolicyresponse",
    "createAutoScaleVmGroup": "autoscalevmgroupresponse",
    "createAutoScaleVmProfile": "autoscalevmprofileresponse",
    "enableAutoScaleVmGroup": "enableautoscalevmGroupresponse",
    "disableAutoScaleVmGroup": "disableautoscalevmGroupresponse",
    "removeFromGlobalLoadBalancerRule": "removefromloadbalancerruleresponse",
}


@dataclass(frozen=True, slots=True)
class Param:
    name: str
    type: str
    required: bool
    length: int
    since: str | None
    for_users: bool = True  # one that is not is ignored when anybody but root sends it
    related: str | None = None  # commands, by commas, whose answers hold what it names; None: it names nothing


class Field(NamedTuple):
    """What an answer may hold, nameless where listApis has an empty row; `inside` is what an object holds in turn."""

    name: str
    type: str
    inside: tuple[Field, ...] | None = None


@dataclass(frozen=True, slots=True)
class Api:
    name: str
    is_async: bool
    for_users: bool
    wrapper: str
    since: str | None
    related: str | None
    params: tuple[Param, ...]
    response: tuple[Field, ...]
    job_class: str
    instance_type: str | None
    has_instance_id: bool
    by_name: dict[str, Param] = field(default_factory=dict)

    def params_for(self, is_root: bool) -> list[Param]:
        return [param for param in self.params if is_root or param.for_users]


def fields(rows: list[list[Any]]) -> tuple[Field, ...]:
    return tuple(Field(name, kind, fields(inside[0]) if inside else None) for name, kind, *inside in rows)


def make_api(name: str, row: dict[str, Any]) -> Api:
    params = tuple(Param(*values) for values in row["params"])
    return Api(
        name=name,
        is_async=row["async"],
        for_users=row["user"],
        wrapper=row.get("wrapper") or WRAPPERS.get(name) or f"{name.lower()}response",
        since=row.get("since"),
        related=row.get("related"),
        params=params,
        response=fields(row["response"]),
        job_class=row.get("class") or f"org.apache.cloudstack.api.command.user.{name[0].upper()}{name[1:]}Cmd",
        instance_type=row.get("instance"),
        has_instance_id=row.get("instanceid", False),
        by_name={param.name: param for param in params},
    )


@cache
def load_apis() -> dict[str, Api]:
    rows = json.loads(gzip.decompress((DATA / "apis.json.gz").read_bytes()))
    return {name: make_api(name, row) for name, row in rows.items()}
