"""`bedplate`: the verbs, loaded one by one, and the one place where errors become exit codes."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import sys
from typing import Any

import click

from bedplate._version import __version__
from bedplate.cli.terminal.streams import closed_stream, flush_output, is_stream_error, report_closed, settle_streams
from bedplate.cli.terminal.usage_errors import as_usage_error
from bedplate.core.errors import BedplateError, ConfigurationError, UnavailableError, UsageError

VERBS: dict[str, tuple[str, str]] = {
    "doctor": ("bedplate.cli.doctor", "What is on this machine, what is missing, how to fix it; measures each device."),
    "run": ("bedplate.cli.run", "Run a pipeline file; the same command resumes it."),
    "plan": ("bedplate.cli.plan", "Show what a pipeline file would do, and why; runs nothing."),
    "ps": ("bedplate.cli.ps", "List runs and their steps."),
    "logs": ("bedplate.cli.logs", "Show the logs of a run's tasks."),
    "events": ("bedplate.cli.events", "Show events of runs, nodes, devices and services."),
    "cancel": ("bedplate.cli.cancel", "Stop a run; it can be resumed."),
    "up": ("bedplate.cli.up", "Start the service: a queue of jobs for several users, with one scheduler."),
    "submit": ("bedplate.cli.submit", "Submit a pipeline file to the service."),
    "queue": ("bedplate.cli.queue", "List jobs of the service, and say why they wait."),
    "nodes": ("bedplate.cli.nodes", "List nodes of the service; drain one."),
    "quota": ("bedplate.cli.quota", "Show and set what tenants may have."),
    "users": ("bedplate.cli.users", "Show, add and remove users of the service."),
    "compute": ("bedplate.cli.compute", "Inventory of devices; scheduling policies on traces; forecasts of demand."),
    "storage": ("bedplate.cli.storage", "KV memory: inspect and verify a store."),
    "network": ("bedplate.cli.network", "Simulate a fabric: hash ECMP and planned paths."),
    "ops": ("bedplate.cli.ops", "Screen devices before a job."),
    "model": ("bedplate.cli.model", "List models, and fetch them into the cache."),
    "text": ("bedplate.cli.text", "List sample texts, and fetch them into the cache."),
    "train": ("bedplate.cli.train", "Train a model from a file."),
    "compress": ("bedplate.cli.compress", "Compress a model and report the quality loss."),
    "serve": ("bedplate.cli.serve", "Serve a model through an OpenAI-compatible API."),
    "bench": ("bedplate.cli.bench", "Measure serving under load."),
    "score": ("bedplate.cli.score", "Grade what was measured, and name what limits it."),
}
"""Verb -> module (which has a click command or group named `command`), one line of help."""


class _Verbs(click.Group):
    """Loads a verb's module when the verb is called, not before: `--help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = importlib.import_module(VERBS[name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bedplate")
def command() -> None:
    """One platform for model infrastructure: compute, storage, network, toolchain, operations, and a scorecard over them.

    \b
    Examples:
      bedplate doctor                       what this machine can do
      bedplate run examples/lifecycle.yaml  a model from fetch to serving, for real
    """


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 ok, 1 failed, 2 usage, 3 not found, 4 a check failed, 5 unavailable)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if (closed := closed_stream()) is not None:
        report_closed(closed)
        return UsageError.exit_code
    try:
        return _run(arguments)
    finally:
        settle_streams()


def _run(arguments: list[str]) -> int:
    try:
        result = _invoke(arguments)
        flush_output()
        return result if isinstance(result, int) else 0
    except BedplateError as error:
        _print_error(error, as_json=_wants_json(arguments))
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:  # a group without a command shows its help
        error.show(file=sys.stderr)
        return UsageError.exit_code
    except click.ClickException as error:
        _print_error(as_usage_error(error), as_json=_wants_json(arguments))
        return UsageError.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of the output has all that it wanted
        return 0
    except OSError as error:
        if not is_stream_error(error):
            raise
        unwritten = UnavailableError(
            "the output cannot be written", seen=error.strerror, next_step="check where it goes: a full disk, a closed terminal"
        )
        _print_error(unwritten, as_json=_wants_json(arguments))
        return unwritten.exit_code


def _invoke(arguments: list[str]) -> Any:
    """As `command.main` does it, but without click's handling of a broken pipe, which exits with 1 whatever the verb did."""
    if "_BEDPLATE_COMPLETE" in os.environ:
        return command.main(args=arguments, prog_name="bedplate", standalone_mode=False)
    try:
        with command.make_context("bedplate", list(arguments)) as context:
            return command.invoke(context)
    except click.exceptions.Exit as end:  # --help, --version
        return end.exit_code


def _wants_json(arguments: list[str]) -> bool:
    pairs = list(itertools.pairwise(arguments))
    return ("-o", "json") in pairs or ("--output", "json") in pairs or "-ojson" in arguments or "--output=json" in arguments


def _print_error(error: BedplateError, *, as_json: bool) -> None:
    mistakes = error.mistakes if isinstance(error, ConfigurationError) else ()
    lines = [line for each in mistakes or (error,) for line in _lines_of(each)]
    lines += [error.what] if len(mistakes) > 1 else []
    with contextlib.suppress(OSError):  # the terminal is closed; the exit code still says it
        print(json.dumps(error.as_json(), ensure_ascii=False) if as_json else "\n".join(lines), file=sys.stderr)


def _lines_of(error: BedplateError) -> list[str]:
    facts = (("seen", error.seen), ("expected", error.expected), ("next", error.next_step))
    return [
        f"error [{error.code}]: {error.what}",
        *(f"  {label + ':':<10}{text}" for label, text in facts if text is not None),
    ]


if __name__ == "__main__":
    sys.exit(main())
