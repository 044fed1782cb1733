"""The ``gstack`` command: serve, and what belongs beside serving.

Apart from the rooms because it only reads words. The surprising thing: rooms are imported inside the commands that
need them, so that no command waits for another's; all but credentials, whose commands are beside what they do.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from gstack import __version__
from gstack.settings import load
from gstack.terminal import CONTEXT, Group


@click.group(cls=Group, invoke_without_command=True, context_settings=CONTEXT)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file.  [default: ~/.gstack/gstack.conf]",
)
@click.version_option(__version__, prog_name="gstack")
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """A Google Compute Engine API in front of Apache CloudStack.

    Without a command: serve in the foreground, until Ctrl-C.
    """
    context.obj = config
    if context.invoked_subcommand is None:
        from gstack.server import serve

        serve(load(config), config)


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option("--state", type=click.Path(path_type=Path), help="Folder that keeps the cloud over a restart.")
@click.option(
    "--job-seconds", type=click.FloatRange(0, 3600), default=0.3, show_default=True, help="How long a job takes."
)
def simulator(port: int, state: Path | None, job_seconds: float) -> None:
    """The embedded CloudStack alone.

    It answers on http://localhost:PORT/client/api until Ctrl-C.
    """
    from gstack.demo import run_simulator

    run_simulator(port, state, job_seconds)


# Options of COMMAND are its own; what stands before it must be ours.
@main.command(context_settings={"allow_interspersed_args": False})
@click.option("--port", type=click.IntRange(0, 65535), help="[default: 5000; any free one with COMMAND]")
@click.option("--state", type=click.Path(path_type=Path), help="Folder that keeps everything over a restart.")
@click.option(
    "--job-seconds", type=click.FloatRange(0, 3600), default=0.3, show_default=True, help="How long a job takes."
)
@click.option("--cloudstack", "url", metavar="URL", help="Use this CloudStack instead of the embedded one.")
@click.option("--api-key", metavar="K", envvar="GSTACK_DEMO_API_KEY", help="Its API key.")
@click.option("--secret-key", metavar="S", envvar="GSTACK_DEMO_SECRET_KEY", help="Its secret key.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def demo(
    port: int | None,
    state: Path | None,
    job_seconds: float,
    url: str | None,
    api_key: str | None,
    secret_key: str | None,
    command: tuple[str, ...],
) -> None:
    """All on this machine, every client prepared.

    The embedded CloudStack, the gateway and a credential: until Ctrl-C, or for as long as COMMAND runs.

    Example: gstack demo -- gcloud compute zones list
    """
    from gstack.demo import Cloud, run_demo

    cloud = None
    if url is not None:
        if not api_key or not secret_key:
            raise click.UsageError("--cloudstack needs --api-key and --secret-key.")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise click.UsageError("--cloudstack takes a URL such as https://cloud.example:8080/client/api.")
        cloud = Cloud(url if parts.path else f"{url}/client/api", api_key, secret_key)
    sys.exit(run_demo(port, state, job_seconds, cloud, command))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, for tools.")
def coverage(as_json: bool) -> None:
    """Which methods of Google's API are served.

    Every method of compute v1 with its state: served, refused by design with the reason, or not yet.
    """
    from gstack.protocol import methods
    from gstack.resources import load_handlers

    load_handlers()
    rows = methods.coverage()
    if as_json:
        keys = ("id", "state", "reason")
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
        return
    for method_id, state, reason in rows:
        click.echo(f"{method_id:70} {state}{': ' + reason if reason else ''}")
    for state in ("served", "refused", "not yet"):
        click.echo(f"{sum(row[1] == state for row in rows):5} {state}")


@main.command()
@click.option("--dry-run", is_flag=True, help="Only show what differs; the exit status is 1 if anything does.")
@click.pass_context
def reconcile(context: click.Context, dry_run: bool) -> None:
    """Mend what other tools changed.

    Firewall rules and balancers in CloudStack are brought back to what gstack's say; operations that wait are listed.
    """
    from gstack import logs
    from gstack.errors import GceError
    from gstack.operations import engine
    from gstack.operations import reconcile as room
    from gstack.operations.services import services
    from gstack.store.migrate import ready_store

    settings = load(context.obj)
    logs.configure(settings)
    app = ready_store(settings)
    trouble = reached = False
    with app.app_context():
        for operation in engine.blocked():
            what = f"{operation.type} {operation.target_link}"
            click.echo(f"operation {operation.name} ({what}) waits: {operation.blocked}")
        for scope in room.scopes(services(app, settings)):
            reached = True
            if scope.trouble is not None:
                trouble = True
                click.echo(f"{scope.name}: not reached\n  {scope.trouble.message}")
                continue
            try:
                found, sentences = room.drift(scope.cloud, scope.balanced)
                sentences += room.mend(scope.cloud, scope.balanced) if found and not dry_run else []
            except GceError as error:
                found, sentences, trouble = [], [error.message], True
            trouble = trouble or (dry_run and bool(found))
            state = "in line" if not found else f"{len(found)} to change" if dry_run else f"{len(found)} changed"
            click.echo(f"{scope.name}: {state}")
            for line in [*map(room.said, found), *dict.fromkeys(sentences)]:
                click.echo(f"  {line}")
    if not reached:
        click.echo("CloudStack accepts no credential here. Make one: gstack credentials create")
    sys.exit(1 if trouble else 0)


def _add_credentials() -> None:
    from gstack.auth.commands import credentials, keys

    main.add_command(credentials)
    main.add_command(keys)


_add_credentials()
