"""From the settings to the sources of past data: who is asked, who cannot be, and what the answers go into."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.commands.data.asking import Calendars
from appliance.errors import ApplianceError, SettingsError, SourceRefused
from appliance.settings import Settings, load_settings

if TYPE_CHECKING:
    from appliance.data.live.spec import LiveSpec
    from appliance.data.manager import DataManager
    from appliance.data.sources.spec import SourceSpec
    from appliance.shell.paths import StatePaths

PARTS = ("key", "secret")
EXAMPLE = """\
[[sources]]
kind = "alpaca"
name = "alpaca"
"""


def source_names(context: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """What a shell offers: the sources of the settings; nothing where those are wrong."""
    try:
        settings = load_settings(context.params.get("settings_file"))
    except ApplianceError:
        return []
    return [source.name for source in settings.sources if source.name.startswith(begun)]


def described(settings_file: Path | None) -> tuple[Settings, LiveSpec]:
    """The settings, and what they say of sources. Raises SettingsError, also where they name none."""
    from appliance.sourcing import live_spec

    settings = load_settings(settings_file)
    if not settings.sources:
        where = str(settings_file) if settings_file else "the default settings (--settings FILE names others)"
        raise SettingsError(f"{where}: no source of market data", hint=f"add one, such as\n{EXAMPLE}".rstrip())
    return settings, live_spec(settings)


def credential(settings: Settings, paths: StatePaths, source: SourceSpec) -> dict[str, str]:
    """The parts of a source's credential that are there, by name; only those it needs. Not for anybody's eyes."""
    from appliance.shell import credentials, logs

    (given,) = (one for one in settings.sources if one.name == source.name)
    found = {
        part: getattr(given, part).get_secret_value() or credentials.read(paths, source.name, part)
        for part in source.needs
    }
    logs.hide(*found.values())
    return {part: value for part, value in found.items() if value}


def lacking(settings: Settings, paths: StatePaths, source: SourceSpec) -> tuple[str, ...]:
    """The parts of a source's credential that are not there."""
    return tuple(part for part in source.needs if part not in credential(settings, paths, source))


@contextmanager
def reached(settings_file: Path | None, state: Path, calendars: Calendars) -> Iterator[DataManager]:
    """The sources, with the history store of the state directory to write into. Sources that cannot be asked for want
    of a credential are told on standard error. Raises SettingsError, EnvironmentFault, and SourceRefused where none of
    them can be asked."""
    from appliance.shell.paths import StatePaths
    from appliance.sourcing import keep_credentials, manager_of, open_store

    settings, spec = described(settings_file)
    paths = StatePaths(state)
    paths.prepare()
    unready = {
        source.name: why for source in spec.sources if source.history and (why := lacking(settings, paths, source))
    }
    _tell_unready(unready, [source.name for source in spec.sources if source.history])
    keep_credentials(settings, paths)
    store = open_store(spec, paths)
    manager = manager_of(spec, paths, calendars.exchange, store)
    try:
        if store.replaced:
            click.echo(f"note: {store.replaced}", err=True)
        yield manager
    finally:
        manager.close()
        store.close()


def _tell_unready(unready: dict[str, tuple[str, ...]], names: list[str]) -> None:
    for name, parts in unready.items():
        text = f"has no {' and no '.join(parts)}"
        hint = f"set {variable(name, parts[0])}, or give the credential {name}-{parts[0]} to its systemd unit"
        if len(unready) == len(names):
            raise SourceRefused(text, source=name, hint=hint)
        click.echo(f"note: {name} is not asked: it {text}; {hint}", err=True)


def variable(source: str, part: str) -> str:
    """The environment variable that gives a part of a source's credential."""
    return f"APPLIANCE_SOURCES__{source.upper().replace('-', '_')}__{part.upper()}"
