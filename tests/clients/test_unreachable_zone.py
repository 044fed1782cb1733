"""A CloudStack that cannot list one zone, or all zones at once: what clients make of the rest.

Apart from the other tests of clients because nobody else could work with such a CloudStack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import compute_v1

from gstack.demo import Cloud, Demo, prepared
from gstack.simulator import Simulator, serve

BROKEN = "at-vie-1"


@pytest.fixture(scope="module")
def torn() -> Iterator[Demo]:
    """A gateway before a CloudStack with a disk in each of two zones, of which it can list one."""
    world = Simulator(job_seconds=0.0, seed=1)
    zones = {row["name"]: row["id"] for row in world.do("tenant", "listZones")["zone"]}
    offering = world.do("tenant", "listDiskOfferings")["diskoffering"][0]["id"]
    for zone in ("ch-gva-2", BROKEN):
        world.do("tenant", "createVolume", name=f"in-{zone}", zoneid=zones[zone], diskofferingid=offering)
    world.settle()
    for zone in (None, zones[BROKEN]):
        world.faults.add("status", "listVolumes", times=None, text="The zone is asleep.", where={"zoneid": zone})
    server = serve(world, port=0)
    cloud = Cloud(f"http://localhost:{server.port}/client/api", *world.keys("tenant"), zone="ch-gva-2")
    try:
        with prepared(job_seconds=0.0, cloud=cloud) as running:
            yield running
    finally:
        server.stop()


def test_gcloud_lists_the_zones_that_answer_and_names_the_other(
    torn: Demo, installed_gcloud: str, alone: Callable[..., Any]
) -> None:
    done = alone(installed_gcloud, "--quiet", "compute", "disks", "list", "--format=value(name)", **torn.environment)
    assert (done.status, done.out.split()) == (0, ["in-ch-gva-2"])
    assert f"The scope 'zones/{BROKEN}' could not be reached" in done.err


def test_google_cloud_compute_cannot_ask_for_the_rest_and_gets_the_error(
    torn: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in torn.environment.items():
        monkeypatch.setenv(name, value)
    client = compute_v1.DisksClient(client_options={"api_endpoint": torn.environment["GSTACK_URL"]})
    asked = compute_v1.AggregatedListDisksRequest(project=torn.environment["GSTACK_PROJECT"])
    with pytest.raises(exceptions.ServiceUnavailable, match="The zone is asleep"):
        client.aggregated_list(asked, retry=None)
    client.transport.close()
