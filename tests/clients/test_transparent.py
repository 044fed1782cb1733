"""Transparent names: clients that believe they speak to Google, with nothing set but the authority they trust.

Apart from the other tests of these clients, which tell them an endpoint. The surprising thing: the hosts file of this
way in is this process's own look-up of names; port, certificate, tokens and polling are the real ones.
"""

from __future__ import annotations

import importlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud import compute_v1

from gstack.certificates import GOOGLE_NAMES
from gstack.demo import Demo, prepared
from tests.ports import may_listen


@pytest.fixture(scope="module")
def as_google() -> Iterator[tuple[Demo, set[str]]]:
    """A gateway on port 443, this process led to it under Google's names, and the hosts it looks up."""
    if not may_listen(443):
        pytest.skip("port 443 cannot be listened on here: it takes root, and nobody else on it")
    asked: set[str] = set()
    look_up: Callable[..., Any] = socket.getaddrinfo

    def led_home(host: Any, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        asked.add(name)
        return look_up("127.0.0.1" if name in GOOGLE_NAMES else host, *rest, **more)

    with pytest.MonkeyPatch.context() as patch, prepared(job_seconds=0.1, port=443, gcloud=False) as demo:
        for name in ("GOOGLE_APPLICATION_CREDENTIALS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            patch.setenv(name, demo.environment[name])
        patch.setenv("NO_PROXY", "*")
        patch.setattr(socket, "getaddrinfo", led_home)
        yield demo, asked


def test_googles_library_needs_no_option_at_all(as_google: tuple[Demo, set[str]]) -> None:
    demo, asked = as_google
    place = {"project": demo.environment["GSTACK_PROJECT"], "zone": demo.environment["GSTACK_ZONE"]}
    with compute_v1.DisksClient() as disks:
        disks.insert(**place, disk_resource={"name": "unaware", "size_gb": 10}).result(timeout=60)
        made = disks.get(**place, disk="unaware")
        assert made.self_link.startswith("https://www.googleapis.com/compute/v1/projects/")
        disks.delete(**place, disk="unaware").result(timeout=60)
    assert "compute.googleapis.com" in asked
    assert asked - set(GOOGLE_NAMES) <= {"localhost", "127.0.0.1"}


def test_libclouds_driver_needs_no_change(as_google: tuple[Demo, set[str]]) -> None:
    demo, asked = as_google
    security = importlib.import_module("libcloud.security")
    security.CA_CERTS_PATH = demo.environment["SSL_CERT_FILE"]  # an earlier demo's, where imported already
    types = importlib.import_module("libcloud.compute.types")
    gce = importlib.import_module("libcloud.compute.providers").get_driver(types.Provider.GCE)
    key = Path(demo.environment["GOOGLE_APPLICATION_CREDENTIALS"])
    driver = gce(
        json.loads(key.read_text())["client_email"],
        str(key),
        project=demo.environment["GSTACK_PROJECT"],
        datacenter=demo.environment["GSTACK_ZONE"],
        credential_file=str(key.with_name("libcloud-token")),
    )
    image = driver.ex_get_image_from_family("debian-12", ex_project_list=["debian-cloud"])
    node = driver.create_node("unaware", "micro", image)
    assert (node.name, node.state) == ("unaware", "running")
    assert driver.destroy_node(node)
    assert {"www.googleapis.com", "accounts.google.com"} <= asked
