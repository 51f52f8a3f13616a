"""`appliance broker confirm-live`: the owner says that live money is to be traded, also by a box that starts alone."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.commands.data.asking import settings_option, state_option


@click.command("confirm-live", short_help="Say that live money is to be traded.")
@settings_option
@state_option
def confirm_live(settings_file: Path | None, state: Path) -> None:
    """Show the live account in the settings, ask for its name, and keep the answer in the state directory.

    Live money needs `profile = "live"`, an account that is live, and this. It holds for these very settings, until
    they change; without a terminal, as after a power cut, `appliance up` starts only what was confirmed so.

    \b
      appliance broker confirm-live --settings settings.toml
    """
    from appliance.commands.accounts import confirm
    from appliance.commands.options import RunOptions
    from appliance.commands.up import specification
    from appliance.errors import RefusedError
    from appliance.settings import load_settings
    from appliance.shell.paths import StatePaths

    settings = load_settings(settings_file)
    spec, _ = specification(RunOptions(), settings, "1")
    if spec.broker is None or not spec.broker.live:
        raise RefusedError(
            f"{settings.broker.name}: is no live money, and needs no confirmation",
            hint="start the box: appliance up --settings FILE",
        )
    paths = StatePaths(state)
    paths.prepare()
    confirm(spec, settings, paths)
    click.echo(f"{spec.broker.name}: confirmed; it holds until the settings change ({paths.live_money})")
