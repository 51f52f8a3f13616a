"""`appliance data`: the market data of the box."""

from __future__ import annotations

import click

from appliance.commands.data.exporting import export
from appliance.commands.data.fetch import fetch
from appliance.commands.data.gaps import gaps
from appliance.commands.data.importing import import_
from appliance.commands.data.ls import ls
from appliance.commands.data.quality import quality
from appliance.commands.data.sources import sources


@click.group()
def data() -> None:
    """Market data: the history store of the box, where it comes from, and how good it is.

    \b
      appliance data sources --settings settings.toml --check
      appliance data fetch SPY QQQ --start 2024-01-02 --settings settings.toml
      appliance data import bars.csv.gz --bar-stamp start
      appliance data ls
      appliance data quality bars.csv.gz --bar-stamp start
    """


for command in (fetch, import_, export, ls, gaps, quality, sources):
    data.add_command(command)
