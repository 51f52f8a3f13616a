"""`appliance strategy`: write one, check it, and tell a running box what to do with it."""

from __future__ import annotations

import click

from appliance.commands.checking import check
from appliance.commands.starting import new
from appliance.commands.steering import VERBS, listed


@click.group()
def strategy() -> None:
    """Strategies, from the first line to the running box.

    \b
      appliance strategy new my_rule
      appliance strategy check strategies/my_rule.py
      appliance strategy list
      appliance strategy set my_rule shares=50
      appliance strategy reload my_rule
      appliance strategy pause my_rule
    """


for command in (check, new, listed, *VERBS):
    strategy.add_command(command)
