"""One line for every token handed out or refused, under the logger ``gstack.audit``. Never a secret, never a
key.

Apart so that what is written there can be read in one place. Text that a client chose is cut and quoted.
"""

from __future__ import annotations

import logging

log = logging.getLogger("gstack.audit")
LONGEST = 200


def issued(grant_type: str, credential_id: str, account: str, address: str) -> None:
    """A token went out."""
    log.info(
        "token issued grant=%s credential=%s account=%s address=%s",
        quoted(grant_type), credential_id, quoted(account), quoted(address),
    )  # fmt: skip


def refused(grant_type: str, reason: str, address: str) -> None:
    """A token was refused; ``reason`` is our own sentence."""
    log.warning("token refused grant=%s reason=%s address=%s", quoted(grant_type), quoted(reason), quoted(address))


def killed(credential_id: str, reason: str) -> None:
    """Every token of a credential was taken back."""
    log.warning("tokens revoked credential=%s reason=%s", credential_id, quoted(reason))


def quoted(text: str) -> str:
    """``text`` on one line and not endless."""
    return repr(text[:LONGEST])
