"""OAuth clients: whoever calls itself something. gstack registers none, so what a client may do is decided here.

Apart because the token endpoint and the consent page must agree on it. The surprising thing: a client's id proves
nothing, for gcloud's is in its source; what counts is where a code may be sent, the PKCE verifier, and, for a client
that has one, the CloudStack key pair it shows as id and secret.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from authlib.common.urls import url_decode
from authlib.oauth2.rfc6749 import ClientMixin

from gstack.auth.grant import Grant

# Who these client ids are, for the person who is asked.
KNOWN_CLIENTS = {
    "32555940559.apps.googleusercontent.com": "gcloud",
    "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com": "gcloud (application default)",
}
# Addresses that stand for "show the code, the user will copy it".
SHOWN = frozenset(
    {
        "urn:ietf:wg:oauth:2.0:oob",
        "https://sdk.cloud.google.com/authcode.html",  # gcloud auth login --no-launch-browser
        "https://sdk.cloud.google/authcode.html",  # the same with --login-config
    }
)
# The whole authority: what stands behind a bracket or a port is read differently by different readers.
LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]*)?", re.IGNORECASE | re.ASCII)


class Client(ClientMixin):
    """A client by its id; ``grant`` is its own where it showed a key pair or an assertion."""

    def __init__(self, client_id: str, grant: Grant | None = None) -> None:
        self.client_id = client_id
        self.grant = grant

    def get_client_id(self) -> str:
        """Its id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """None: a client always says where it listens."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """Whatever it asks for: a token reaches what its key pair reaches, no less and no more."""
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether a code may go there: onto the page, or to this computer."""
        return redirect_uri in SHOWN or _is_loopback(redirect_uri)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Any: what a grant asks for decides."""
        return True

    def check_response_type(self, response_type: str) -> bool:
        """Codes only."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Any that is served."""
        return True


def _is_loopback(address: str) -> bool:
    try:
        parts = urlsplit(address)
        port = parts.port
        url_decode(parts.query)  # Authlib adds the code to it, and raises this where it cannot
    except ValueError:
        return False
    plain = parts.scheme == "http" and LOOPBACK.fullmatch(parts.netloc) is not None and not parts.fragment
    return plain and port != 0 and address.isprintable() and not {"\\", " "} & set(address)
