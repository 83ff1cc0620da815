"""`bedplate compute`: the devices of this machine, and what-if questions to the scheduler; one file a verb."""

from __future__ import annotations

import click

from bedplate.cli.compute.forecast import forecast
from bedplate.cli.compute.inventory import inventory
from bedplate.cli.compute.models import models
from bedplate.cli.compute.simulate import simulate
from bedplate.cli.terminal.group import Group


@click.group(cls=Group)
def command() -> None:
    """Inventory of devices, published figures of their models; scheduling policies on traces.

    \b
    Examples:
      bedplate compute inventory -o json
      bedplate compute simulate --generate jobs=2000 --cluster 20x8:A100
      bedplate compute forecast --series demand.csv --column gpus --horizon 3h
    """


command.add_command(forecast)
command.add_command(inventory)
command.add_command(models)
command.add_command(simulate)
