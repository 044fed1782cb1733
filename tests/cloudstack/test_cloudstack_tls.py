"""TLS towards CloudStack: verified, with an authority of one's own where the settings name it."""

from __future__ import annotations

import ssl

import pytest

from gstack.certificates import ensure_certificates
from gstack.cloudstack.errors import Unavailable
from gstack.cloudstack.trace import trace


@pytest.fixture
def tls(fake, tmp_path):
    """The fake behind a certificate for 127.0.0.1; returns the authority's file."""
    ensure_certificates(tmp_path, ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    fake.server.socket = context.wrap_socket(fake.server.socket, server_side=True, do_handshake_on_connect=False)
    return str(tmp_path / "ca.pem")


def cloud_at(make_endpoint, **values):
    endpoint = make_endpoint(CLOUDSTACK_PROTOCOL="https", **values)
    return endpoint.cloud("k", "s", key="t")


def test_a_certificate_of_the_named_authority_is_accepted(fake, tls, make_endpoint):
    assert cloud_at(make_endpoint, CLOUDSTACK_CA_FILE=tls).call("listZones") == {}


def test_a_certificate_of_an_unknown_authority_is_refused_before_anything_is_sent(fake, tls, make_endpoint):
    with pytest.raises(Unavailable, match="certificate") as caught, trace() as calls:
        cloud_at(make_endpoint).call("createVolume")
    assert caught.value.sent is False
    assert [call.status for call in calls] == ["refused"]
    assert fake.seen == []


def test_a_certificate_for_another_name_is_refused(fake, tls, make_endpoint):
    with pytest.raises(Unavailable, match="certificate"):
        cloud_at(make_endpoint, CLOUDSTACK_CA_FILE=tls, CLOUDSTACK_HOST="localhost").call("listZones")
