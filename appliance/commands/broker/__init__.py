"""`appliance broker`: the account that is traded."""

from __future__ import annotations

import click

from appliance.commands.broker.check import check
from appliance.commands.broker.confirm import confirm_live


@click.group()
def broker() -> None:
    """The broker in the settings: whether it answers, and the owner's word that live money is to be traded.

    \b
      appliance broker check --settings settings.toml
      appliance broker check --settings settings.toml --symbol SPY --price 500
      appliance broker confirm-live --settings settings.toml
    """


for command in (check, confirm_live):
    broker.add_command(command)
