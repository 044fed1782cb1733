"""``gstack-configure``: asks what the gateway needs, writes gstack.conf, makes certificates, keys and the database.

Every answer is also an option, so that scripts need no terminal; previous answers are the defaults. Running it
again keeps what exists: the authority, the sealing keys, the database and all settings it does not ask for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from gstack import __version__, certificates
from gstack.app import create_app
from gstack.cloudstack.client import Endpoint
from gstack.operations import durable
from gstack.settings import BY_NAME, HOST, PORTS, Setting, Settings, SettingsError, example, read_file
from gstack.store.db import db
from gstack.store.migrate import upgrade_database
from gstack.store.sealing import ensure_keys
from gstack.terminal import CONTEXT, Command

DEFAULT_CONFIG = "~/.gstack/gstack.conf"
# setting, option, question: what the original gstack-configure asked, in its order
QUESTIONS = (
    ("GSTACK_BIND_ADDRESS", "--bind-address", "gstack bind address"),
    ("GSTACK_PORT", "--port", "gstack bind port"),
    ("CLOUDSTACK_HOST", "--cloudstack-host", "Cloudstack host"),
    ("CLOUDSTACK_PORT", "--cloudstack-port", "Cloudstack port"),
    ("CLOUDSTACK_PROTOCOL", "--cloudstack-protocol", "Cloudstack protocol"),
    ("CLOUDSTACK_PATH", "--cloudstack-path", "Cloudstack path"),
)


def install(config: Path, answers: Mapping[str, Any], names: tuple[str, ...] = ()) -> Settings:
    """Write ``config`` with ``answers`` over what it holds, and make everything the gateway needs to start."""
    values = (read_file(config) if config.exists() else {}) | dict(answers)
    values.setdefault("PATH", str(config.parent.resolve()))
    settings = Settings(values)
    for name in names:
        if not re.fullmatch(HOST, name) or ".." in name:
            raise SettingsError(f"--name {name!r} is no name or address that a certificate can hold.")
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_config(config, values)
    ensure_keys(settings)
    certificates.ensure_certificates(settings.folder, certificates.server_names(settings["GSTACK_BIND_ADDRESS"], names))
    app = create_app(settings)
    upgrade_database(app)
    with app.app_context():
        durable.make_tables(db.engine)
    return settings


def write_config(path: Path, values: Mapping[str, Any]) -> None:
    """Write Python-style constants, each under the sentence that says what it means."""
    lines = ["# gstack's configuration: Python-style constants. All: gstack-configure --example.", ""]
    for name, value in values.items():
        lines += [f"# {BY_NAME[name].doc}", f"{name} = {value!r}", ""]
    certificates.write_private(path, "\n".join(lines).encode())


def _asked(function: Callable[..., None]) -> Callable[..., None]:
    """An option for each question."""
    for name, option, _question in reversed(QUESTIONS):
        function = click.option(option, name, type=_kind(BY_NAME[name]), help=BY_NAME[name].doc)(function)
    return function


def _kind(setting: Setting) -> Any:
    """What click takes as an answer for ``setting``."""
    if setting.choices:
        return click.Choice(setting.choices)
    return click.IntRange(1, PORTS) if setting.most == PORTS else setting.kind


@click.command(cls=Command, context_settings=CONTEXT)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=DEFAULT_CONFIG,
    show_default=True,
    help="File to write; everything else goes beside it.",
)
@click.option("--name", "names", multiple=True, help="A further name or address for the certificate.")
@click.option(
    "--transparent",
    is_flag=True,
    help="Let the certificate cover Google's API names, for clients that reach gstack under those.",
)
@click.option("--yes", is_flag=True, help="Ask nothing: take options, previous answers and defaults.")
@_asked
@click.option("--example", "shown", is_flag=True, help="Only print all settings, each with its meaning and default.")
@click.version_option(__version__)
def main(config: Path, names: tuple[str, ...], transparent: bool, yes: bool, shown: bool, **given: Any) -> None:
    """Configure gstack: where it listens and which CloudStack it speaks to.

    What no option says is asked. Running it again changes answers and keeps everything else.
    """
    if shown:
        click.echo(example(), nl=False)
        return
    os.umask(0o077)
    config = config.expanduser()
    previous = read_file(config) if config.exists() else {}
    names += certificates.GOOGLE_NAMES if transparent else ()
    settings = install(config, _answers(previous, given, yes), names)
    authority = settings.file("GSTACK_CA_FILE", "ca.pem")
    click.echo(f"Wrote {config}.")
    click.echo(f"Clients trust {authority}.")
    trouble = _trouble(settings)
    click.echo(f"CloudStack is {settings.cloudstack_url}" + (f", but: {trouble}" if trouble else "; it answers."))
    default = config == Path(DEFAULT_CONFIG).expanduser()
    suffix = "" if default else f" --config {config}"
    click.echo(f"Next: gstack{suffix}")
    click.echo(f"Then: gstack{suffix} credentials create --output key.json")


def _trouble(settings: Settings) -> str | None:
    with closing(Endpoint(settings)) as endpoint:
        return endpoint.trouble()


def _answers(previous: Mapping[str, Any], given: Mapping[str, Any], yes: bool) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for name, _option, question in QUESTIONS:
        setting = BY_NAME[name]
        default = previous.get(name, setting.default)
        if given[name] is not None:
            answers[name] = given[name]
        elif yes:
            answers[name] = default
        else:
            answers[name] = click.prompt(question, default=default, type=_kind(setting))
    return answers


if __name__ == "__main__":
    main()
