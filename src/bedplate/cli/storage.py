"""`bedplate storage`: what the stores hold, and whether it is intact."""

from __future__ import annotations

from pathlib import Path

import click

from bedplate.cli.terminal.group import Group
from bedplate.cli.terminal.output import output_option, print_json, print_table


@click.group(cls=Group)
def command() -> None:
    """KV memory: inspect and verify a store.

    \b
    Example:
      bedplate storage kv verify ./kv
    """


@command.group(cls=Group)
def kv() -> None:
    """KV memory on a disk: the directory of a `kv://` store.

    \b
    Example:
      bedplate storage kv stat ./kv
    """


@kv.command()
@click.argument("directory", type=click.Path(path_type=Path))
@output_option
def verify(directory: Path, output: str) -> None:
    """Read and check every block in DIRECTORY; changes nothing. Exits with 4 if one is damaged.

    \b
    Example:
      bedplate storage kv verify ./kv
    """
    from bedplate.app.storage.kv import verify_directory
    from bedplate.core.errors import IntegrityError
    from bedplate.core.units import format_duration

    report = verify_directory(directory)
    if output == "json":
        print_json(
            {"blocks": report.blocks, "damaged": len(report.damaged), "seconds": report.seconds, "places": report.damaged}
        )
    else:
        print_table(("blocks", "damaged", "time"), [(report.blocks, len(report.damaged), format_duration(report.seconds))])
    if report.damaged:
        raise IntegrityError(
            "damaged KV blocks",
            seen=f"{len(report.damaged)} of {report.blocks}: {', '.join(report.damaged[:4])}",
            expected="every block as it was written",
            next_step="nothing to repair: a server never uses a damaged block and recomputes it",
        )


@kv.command()
@click.argument("directory", type=click.Path(path_type=Path))
@output_option
def stat(directory: Path, output: str) -> None:
    """Show how many blocks and bytes DIRECTORY holds; reads headers only.

    \b
    Example:
      bedplate storage kv stat ./kv
    """
    from bedplate.app.storage.kv import describe_directory
    from bedplate.core.units import format_bytes

    found = describe_directory(directory)
    if output == "json":
        print_json(found.as_json())
    else:
        print_table(("blocks", "bytes", "segments"), [(found.blocks, format_bytes(found.bytes), found.segments)])
