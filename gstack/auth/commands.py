"""``gstack credentials`` and ``gstack keys``: the operator's commands. They speak to the store and to CloudStack, not
to the server.

Secrets come from the environment or a prompt; an option takes them too, but then the shell remembers them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click
from sqlalchemy import func, select

from gstack import logs
from gstack.auth import credentials as administration
from gstack.auth import keyfiles, tokens
from gstack.auth.identity import Refused
from gstack.auth.keyring import Keyring
from gstack.cloudstack.client import Endpoint
from gstack.cloudstack.errors import Unavailable
from gstack.settings import Settings, SettingsError, is_loopback, load
from gstack.store.credentials import Credential, RefreshToken
from gstack.store.db import own_session
from gstack.store.migrate import ready_store
from gstack.store.operations import Operation
from gstack.store.sealing import Sealer, add_key, drop_older_keys
from gstack.terminal import Group


def _root_url(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    parts = urlsplit(value or "")
    if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/")):
        raise click.BadParameter("Give the root of the gateway, such as https://gce.example:5000.")
    return value.rstrip("/") if value else None


def _key_file_options(function: Callable[..., None]) -> Callable[..., None]:
    """Where a key file goes, and what it tells clients."""
    file = click.Path(path_type=Path, dir_okay=False)
    for option in (
        click.option(
            "--universe", default=keyfiles.UNIVERSE, show_default=True, help="Clients call compute.UNIVERSE[:PORT]."
        ),
        click.option("--url", callback=_root_url, help="How clients reach the gateway.  [default: as configured]"),
        click.option("--output", type=file, default="key.json", show_default=True, help="File to write."),
    ):
        function = option(function)
    return function


@click.group(cls=Group)
def credentials() -> None:
    """Who may use this gateway.

    Key files are made, listed, rotated and revoked here.
    """


@credentials.command()
@click.option("--api-key", envvar="GSTACK_API_KEY", prompt="CloudStack API key", help="CloudStack API key.")
@click.option(
    "--secret-key",
    envvar="GSTACK_SECRET_KEY",
    prompt="CloudStack secret key",
    hide_input=True,
    help="CloudStack secret key; better in GSTACK_SECRET_KEY or at the prompt.",
)
@click.option("--name", help="Name of the service account.  [default: one that is free]")
@click.option("--project", help="Account or CloudStack project that clients use by default.")
@_key_file_options
@click.pass_context
def create(
    context: click.Context,
    api_key: str,
    secret_key: str,
    name: str | None,
    project: str | None,
    output: Path,
    url: str | None,
    universe: str,
) -> None:
    """Make a key file.

    A CloudStack key pair is checked, and a service account made that acts with it; its key goes to a file for clients.
    """
    with _room(context) as (settings, _):
        made = administration.create_key_file(
            settings,
            api_key.strip(),
            secret_key.strip(),
            output,
            name=name,
            project=project,
            url=url,
            universe=universe,
        )
    _tell(settings, output, made)
    click.echo(f"It acts as CloudStack user {made.identity.user_name} of account {made.identity.account}.")
    click.echo(f"To end it: gstack credentials revoke {made.credential_id}")


@credentials.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for tools.")
@click.pass_context
def list_(context: click.Context, as_json: bool) -> None:
    """Show every credential.

    Who it is, when CloudStack last accepted it, and whether it is revoked; with --json also when it was last used.
    """
    with _room(context):
        rows = [_shown(row) for row in administration.listing()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("There are no credentials. Make one: gstack credentials create")
    for row in rows:
        state = f"revoked {row['revoked']}" if row["revoked"] else f"verified {row['verified'] or 'never'}"
        who = f"{row['domain']}/{row['account']} {row['user']}"
        click.echo(f"{row['id']}  {row['kind']:15}  {row['email'] or row['name']}  {who}  {state}")


@credentials.command()
@click.argument("credential")
@click.pass_context
def revoke(context: click.Context, credential: str) -> None:
    """End a credential and its tokens.

    CREDENTIAL is its id or its e-mail address.
    """
    with _room(context) as (_, keyring):
        row = administration.revoke(keyring, credential)
    click.echo(f"Revoked {row.email or row.id}.")


@credentials.command()
@click.argument("credential")
@click.pass_context
def restore(context: click.Context, credential: str) -> None:
    """Accept a revoked credential again.

    CREDENTIAL is its id.
    """
    with _room(context):
        row = administration.restore(credential)
    click.echo(f"Restored {row.email or row.id}.")


@credentials.command()
@click.argument("credential")
@_key_file_options
@click.pass_context
def rotate(context: click.Context, credential: str, output: Path, url: str | None, universe: str) -> None:
    """Replace a service account's key.

    Writes a new key file for CREDENTIAL, an id or e-mail address; the older ones stop working.
    """
    with _room(context) as (settings, keyring), keyfiles.writing(output) as write:
        made = administration.rotate(keyring, credential, url=url or settings.public_url, universe=universe)
        write(made.content)
    _tell(settings, output, made)


@credentials.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, for tools.")
@click.pass_context
def logins(context: click.Context, as_json: bool) -> None:
    """Show the logins of browsers.

    Each is a refresh token, with which a client renews its login by itself. The one used last comes first.
    """
    with _room(context) as (_, keyring):
        owners = {row.id: row for row in administration.listing()}
        rows = [_login(row, owners[row.credential_id]) for row in tokens.refresh_tokens(list(owners), keyring.now)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("There are no logins.")
    for row in rows:
        click.echo(f"{row['id']}  {row['client'] or 'a client'}  {row['user']}  last used {row['used']}")


@credentials.command(name="end-login")
@click.argument("login")
@click.pass_context
def end_login(context: click.Context, login: str) -> None:
    """End a login and its tokens.

    LOGIN is its id from `gstack credentials logins`.
    """
    with _room(context):
        row = tokens.end_refresh(login, {row.id for row in administration.listing()})
    if row is None:
        raise click.ClickException(f"There is no login '{login}'.")
    click.echo(f"Ended {tokens.login_id(row)}.")


@credentials.command()
@click.pass_context
def reseal(context: click.Context) -> None:
    """Seal all secrets again.

    Under the first key of SECRET_KEY_FILE or GSTACK_SECRET_KEYS, so that the older ones may go.
    """
    with _room(context) as (settings, keyring):
        count = administration.reseal(keyring, Sealer(settings))
    click.echo(f"Sealed {count} secrets again.")


@click.group(cls=Group)
def keys() -> None:
    """The keys that seal secrets at rest."""


@keys.command(name="rotate")
@click.pass_context
def rotate_keys(context: click.Context) -> None:
    """Seal under a new key.

    It is put on top of the file, and all stored credentials are sealed again under it. A running gateway takes it up by
    itself. The older keys stay in the file, for operations that are not over yet; `gstack keys retire` takes them away.
    """
    with _room(context) as (settings, keyring):
        add_key(settings)
        count = administration.reseal(keyring, Sealer(settings))
    click.echo(f"A new key seals; {count} secrets are sealed again under it.")


@keys.command()
@click.pass_context
def retire(context: click.Context) -> None:
    """Take the older keys away.

    Refused while an operation is under way, which may need them.
    """
    with _room(context) as (settings, keyring):
        with own_session() as session:
            under_way = session.scalar(select(func.count()).where(Operation.status != "DONE"))
        if under_way:
            raise click.ClickException(f"{under_way} operations are under way. Try again when they are done.")
        administration.reseal(keyring, Sealer(settings))
        count = drop_older_keys(settings)
    click.echo(f"Took {count} older keys away.")


@contextmanager
def _room(context: click.Context) -> Iterator[tuple[Settings, Keyring]]:
    """The settings and the key ring, inside an application context."""
    settings = load(context.obj)
    logs.configure(settings)
    app = ready_store(settings)
    try:
        with closing(Endpoint(settings)) as endpoint, app.app_context():
            yield settings, Keyring(endpoint, Sealer(settings))
    except Refused as error:
        raise click.ClickException(str(error)) from error
    except Unavailable as error:
        where = f"It is looked for at {settings.cloudstack_url}; gstack-configure changes that."
        raise SettingsError(f"{error.text} {where}") from error


def _tell(settings: Settings, output: Path, made: administration.Made) -> None:
    click.echo(f"Wrote {output}: {made.email}, project {made.project}.")
    address = made.content["token_uri"]
    if is_loopback(urlsplit(address).hostname or "") and not settings.only_from_here:
        click.echo(f"It leads to {address}, which is of no use elsewhere: set GSTACK_PUBLIC_URL, or give --url.")


def _shown(row: Credential) -> dict[str, str | None]:
    return {
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "email": row.email,
        "account": row.account,
        "domain": row.domain_path,
        "user": row.user_name,
        "created": _when(row.created_at),
        "used": _when(row.used_at),
        "verified": _when(row.verified_at),
        "revoked": _when(row.revoked_at),
    }


def _login(row: RefreshToken, owner: Credential) -> dict[str, str | None]:
    return {
        "id": tokens.login_id(row),
        "client": row.client,
        "credential": owner.id,
        "user": owner.email or owner.user_name,
        "made": _when(row.issued_at),
        "used": _when(row.used_at),
    }


def _when(seconds: int | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None
