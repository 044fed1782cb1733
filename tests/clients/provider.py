"""Terraform with Google's provider, built as its page says, beside a CloudStack that can be looked into.

Apart because two files of tests are about it; only ``make test-clients`` runs them. The surprising thing: users of this
CloudStack may expunge, so that networks go at once, where otherwise they wait for a day.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gstack.demo import Cloud, Demo, prepared
from gstack.simulator import Simulator, serve

if os.environ.get("GSTACK_TEST_CLIENTS") != "all":
    pytest.skip("make test-clients runs it: its provider comes from a registry", allow_module_level=True)

SECONDS = 600
HEAD = """
terraform {
  required_providers { google = { source = "hashicorp/google" } }
}
provider "google" {
  region = "de-fra"
  zone   = "de-fra-1"
}
"""


@pytest.fixture(scope="module")
def world() -> Simulator:
    return Simulator(job_seconds=0.1, extras=True, settings={"allow.user.expunge.recover.vm": True})


@pytest.fixture(scope="module")
def demo(world: Simulator) -> Iterator[Demo]:
    """A gateway of its own, whose CloudStack can be looked into."""
    server = serve(world)
    cloud = Cloud(f"http://localhost:{server.port}/client/api", *world.keys("tenant"), zone="ch-gva-2")
    try:
        with prepared(cloud=cloud, gcloud=False) as running:
            yield running
    finally:
        server.stop()


@pytest.fixture
def terraform(run: Callable[..., Any], tmp_path: Path, terraform_configuration: Path) -> Callable[..., Any]:
    """terraform in a folder of its own, with the provider that the page builds."""
    words = ("env", f"TF_CLI_CONFIG_FILE={terraform_configuration}", "terraform")

    def start(command: str, *more: str) -> Any:
        return run(*words, command, *more, folder=tmp_path, seconds=SECONDS)

    return start


def ok(ran: Any) -> str:
    assert ran.status == 0, ran.out + ran.err
    return str(ran.out)
