"""``client_credentials`` (RFC 6749, section 4.4): the client id is a CloudStack API key, the secret its
secret key.

The shortest way in for scripts. CloudStack is asked before any token is issued, and the error is the same for an
unknown key and a wrong secret.
"""

from __future__ import annotations

from authlib.oauth2.rfc6749 import ClientCredentialsGrant


class KeyPairGrant(ClientCredentialsGrant):
    """An access token for a key pair, in the body or a Basic header."""

    TOKEN_ENDPOINT_AUTH_METHODS = ["key_pair"]
