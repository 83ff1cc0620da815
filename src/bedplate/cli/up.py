"""`bedplate up`: the service of a state."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from bedplate.app.control.settings import ServiceSettings
from bedplate.cli.terminal.output import output_option
from bedplate.cli.terminal.settings_options import settings_options
from bedplate.cli.terminal.state_option import engine_option, state_option, use_option

if TYPE_CHECKING:
    from bedplate.app.control.up import Ready


@click.command("up")
@settings_options(ServiceSettings)
@engine_option
@state_option
@use_option
@click.option("--detach", is_flag=True, help="Leave it running in the background, and return once it listens.")
@click.option("--stop-jobs", is_flag=True, help="When it ends, let jobs save and end too; they resume with the next 'up'.")
@click.option("--new-token", is_flag=True, help="Make another token for the first admin; the one before is no longer valid.")
@output_option
def command(
    settings: dict[str, Any],
    engine: str,
    state: str | None,
    use: dict[str, str],
    detach: bool,
    stop_jobs: bool,
    new_token: bool,
    output: str,
) -> None:
    """Start the service: a queue of jobs, one scheduler, an HTTP API on this machine, until Ctrl-C.

    Jobs run in processes of their own: they go on when the service ends or is killed, and the next 'up' finds them. One
    service per state. The first start makes a user 'admin' and keeps the token for your own commands.

    \b
    Examples:
      bedplate up
      bedplate up --engine ray://auto --detach
      bedplate submit examples/lifecycle.yaml --follow
    """
    from bedplate.app.control.up import up, up_detached
    from bedplate.core.settings import read_settings

    read = read_settings(ServiceSettings, settings)
    if detach:
        _show(up_detached([word for word in sys.argv[2:] if word != "--detach"], state), output, is_detached=True)
        return
    up(
        read,
        engine=engine,
        state=state,
        uses=use,
        renew_token=new_token,
        stop_jobs=stop_jobs,
        on_ready=lambda ready: _show(ready, output, is_detached=False),
    )


def _show(ready: Ready, output: str, *, is_detached: bool) -> None:
    if output == "json":
        print(
            json.dumps({"url": ready.url, "token": ready.token, "token_file": str(ready.token_file), "pid": ready.pid}),
            flush=True,
        )
        return
    print(f"the service is at {ready.url}")
    if ready.token is not None:
        print(f"new token of the user 'admin', stored in {ready.token_file} and shown this once:\n  {ready.token}")
    else:
        print(f"token of the user 'admin': in {ready.token_file} (--new-token makes another)")
    print("try:\n  bedplate submit FILE --follow\n  bedplate queue\n  bedplate nodes")
    print(f"'kill {ready.pid}' ends it; jobs go on." if is_detached else "Ctrl-C ends it; jobs go on.", flush=True)
