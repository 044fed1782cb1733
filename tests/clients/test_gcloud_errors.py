"""What gcloud prints when it is refused: the one sentence that its user sees, and exit status 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gstack.demo import Demo

Gcloud = Callable[..., Any]
CREATE = ("compute", "instances", "create", "refused")
IMAGE = ("--image-family=debian-12", "--image-project=debian-cloud")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            ("--zone=mars-a", "--machine-type=micro", *IMAGE),
            "The resource 'projects/{project}/zones/mars-a' was not found",
        ),
        (
            ("--machine-type=colossus", *IMAGE),
            "projects/{project}/zones/{zone}/machineTypes/colossus'. The referenced resource does not exist.",
        ),
        (
            ("--machine-type=micro", "--image=no-such-image", "--image-project=debian-cloud"),
            "/projects/debian-cloud/global/images/no-such-image'. The referenced image resource cannot be found.",
        ),
        (
            ("--machine-type=micro", "--image-family=plan-9", "--image-project=debian-cloud"),
            "The resource 'projects/debian-cloud/global/images/family/plan-9' was not found",
        ),
    ],
    ids=["zone", "machine type", "image", "image family"],
)
def test_what_does_not_exist_is_named(gcloud: Gcloud, demo: Demo, flags: tuple[str, ...], sentence: str) -> None:
    ran = gcloud(*CREATE, *flags)
    place = {"project": demo.environment["GSTACK_PROJECT"], "zone": demo.environment["GSTACK_ZONE"]}
    assert ran.status == 1
    assert "ERROR: (gcloud.compute.instances.create)" in ran.err
    assert sentence.format(**place) in ran.err
    assert "Traceback" not in ran.err


def test_an_instance_that_is_not_there_is_named(gcloud: Gcloud, demo: Demo) -> None:
    ran = gcloud("compute", "instances", "describe", "nobody")
    path = "projects/{GSTACK_PROJECT}/zones/{GSTACK_ZONE}/instances/nobody".format(**demo.environment)
    assert ran.status == 1
    assert f"The resource '{path}' was not found" in ran.err


def test_a_taken_firewall_name_is_refused(gcloud: Gcloud, fresh: Callable[[str], str], demo: Demo) -> None:
    name = fresh("taken")
    assert gcloud("compute", "firewall-rules", "create", name, "--allow=tcp:80").status == 0
    ran = gcloud("compute", "firewall-rules", "create", name, "--allow=tcp:80")
    path = f"projects/{demo.environment['GSTACK_PROJECT']}/global/firewalls/{name}"
    assert ran.status == 1
    assert f"The resource '{path}' already exists" in ran.err


def test_what_cloudstack_cannot_do_fails_with_its_reason(gcloud: Gcloud, fresh: Callable[[str], str]) -> None:
    ran = gcloud("compute", "instances", "create", fresh("giant"), "--machine-type=titan-does-not-fit", *IMAGE)
    assert ran.status == 1
    assert "ERROR: (gcloud.compute.instances.create)" in ran.err
    assert "Traceback" not in ran.err


def test_another_project_does_not_exist(gcloud: Gcloud) -> None:
    ran = gcloud("compute", "firewall-rules", "list", "--project=somebody-elses")
    assert ran.status == 1
    assert "The resource 'projects/somebody-elses' was not found" in ran.err
