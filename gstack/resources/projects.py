"""projects: the CloudStack account of the credential, or a CloudStack project it belongs to.

Visible differences: there is no default service account, so gcloud sends none; project metadata is empty until
the methods that set it are served. Upstream calls: one, for the quotas and the date.
"""

from __future__ import annotations

from typing import Any

from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.ids import numeric_id
from gstack.protocol.methods import method
from gstack.protocol.rendering import render
from gstack.translate.quotas import PROJECT_METRICS, owner_row, quotas
from gstack.translate.times import NO_DATE, rfc3339


@method("compute.projects.get")
def get(call: Call) -> dict[str, Any]:
    """The project of the URL."""
    return view(call)


def view(call: Call) -> dict[str, Any]:
    """A project."""
    project = call.caller.project
    row = owner_row(call.caller)
    return render(
        "project",
        id=str(numeric_id(str(row.get("id", project.id)))),
        creation_timestamp=rfc3339(row.get("created")) or NO_DATE,
        name=project.id,
        description=row.get("displaytext") or project.name,
        metadata_fingerprint=fingerprint([]),
        quotas=quotas(row, PROJECT_METRICS),
        self_link=call.links.project(project.id),
    )
