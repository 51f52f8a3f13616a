"""`appliance config`: the settings as they take effect, and whether they are right."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from appliance.settings import PROFILES, Settings, load_settings, settings_hash
from appliance.settings import show as as_toml


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="one JSON object on standard output"),
        click.option("--profile", type=click.Choice(PROFILES), help="the defaults to start from"),
        click.option("--settings", "file", type=click.Path(path_type=Path), metavar="FILE", help="the settings (TOML)"),
    ):
        command = option(command)
    return command


@click.group(no_args_is_help=False)
def config() -> None:
    """Show or check the settings: defaults, then the profile, then the file, then APPLIANCE_SECTION__KEY variables.

    \b
      appliance config show > settings.toml
      appliance config check --settings settings.toml
    """


@config.command()
@_common
def show(file: Path | None, profile: str | None, as_json: bool) -> None:
    """Print the settings in effect, as a file to start from; secrets are masked."""
    text = as_toml(load_settings(file, profile))
    click.echo(json.dumps(tomllib.loads(text), default=str) if as_json else text, nl=as_json)


@config.command()
@_common
def check(file: Path | None, profile: str | None, as_json: bool) -> None:
    """Check the settings: every mistake is told at once, by key, with what is allowed (exit code 2)."""
    from appliance.sourcing import mistakes

    settings = load_settings(file, profile, beyond=mistakes)
    told = _told(settings, file)
    click.echo(json.dumps(told) if as_json else f"{told['settings']}: in order ({told['profile']}, {told['hash']})")


def _told(settings: Settings, file: Path | None) -> dict[str, Any]:
    return {
        "settings": str(file) if file else "defaults",
        "profile": settings.profile,
        "hash": settings_hash(settings),
        "processes": list(settings.processes),
    }
