"""Workflows of routes: static routes of VPCs, made with their marks and taken away.

Apart from the handlers, which have checked what can be checked at once. The surprising thing: CloudStack refuses a
second route to the same range in a VPC, so the range finds what a lost answer made.
"""

from __future__ import annotations

from typing import Any

from gstack.firewall.security_groups import using
from gstack.operations import labels, vpcs
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.ids import numeric_id
from gstack.store import overlay

Row = dict[str, Any]

KIND, RESOURCE = "routes", "StaticRoute"


@workflow("op.routes.insert")
def insert(run: Run, plan: Row) -> None:
    """``plan``: ``vpcid``, ``cidr``, ``nexthop``; ``tags``; ``kept``, what is to be remembered."""
    params = {member: plan[member] for member in ("vpcid", "cidr", "nexthop")}
    made = run.job("route", "createStaticRoute", params, find=lambda: _there(run, plan))
    run.undo_job("the route", "deleteStaticRoute", {"id": made["id"]})
    run.target_id(numeric_id(made["id"]))
    labels.create(run, "tags", RESOURCE, made["id"], plan["tags"])
    run.step("remember", overlay.write, KIND, made["id"], run.project.id, plan["kept"])


@workflow("op.routes.delete")
def delete(run: Run, plan: Row) -> None:
    """``plan``: ``id``; ``vpc``, that of its VPC, whose last subnetwork may be gone."""
    run.job("route", "deleteStaticRoute", {"id": plan["id"]})
    run.step("VPC", lambda: using(run, lambda writer: vpcs.tidy(writer, plan["vpc"])))
    run.step("forget", overlay.drop, KIND, plan["id"])


# What follows runs inside of steps.


def _there(run: Run, plan: Row) -> Row | None:
    rows = run.cloud.list("listStaticRoutes", vpcid=plan["vpcid"])
    return next((dict(row) for row in rows if row["cidr"] == plan["cidr"] and not row.get("tags")), None)
