"""`appliance data`: the market data of the box."""

from __future__ import annotations

import click

from appliance.commands.data.quality import quality


@click.group()
def data() -> None:
    """Market data: how good they are.

    \b
      appliance data quality bars.csv.gz --bar-stamp start
    """


data.add_command(quality)
