"""The command ``tumorlens``: verbs that are imported when they are called, and exit codes.

0 all good; 1 done, but some inputs failed or a check said no; 2 nothing was done; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import click

from tumorlens.cli.flags import spell_flags
from tumorlens.errors import TumorlensError
from tumorlens.version import __version__

__all__ = ["VERBS", "app", "run"]

VERBS: dict[str, str] = {
    "predict": "Say of each slice whether it shows a tumor, where, and how sure that is.",
    "merge": "Join the records of shards of predict, and find what is missing.",
    "view": "Look at scans and their verdicts in a browser, on this machine alone.",
    "watch": "Judge studies as they reach a folder or a PACS, and send the answers back.",
    "serve": "Verdicts over HTTP: files or a zip in, JSON out.",
    "mcp": "Let an assistant ask for verdicts (Model Context Protocol).",
    "data": "Public sets: what they are, their terms, what is wrong with them; read a download.",
    "audit": "Say what is wrong with labelled slices: copies, conflicts, leaks, shortcuts.",
    "split": "Split labelled slices into train, validation and test, or folds, by patient.",
    "train": "Train a model on labelled slices, by a recipe.",
    "tune": "Search a space of recipes for the one that does best on held-out slices.",
    "recipes": "List the recipes of train, or print one.",
    "evaluate": "Measure a model on labelled slices: every figure with its interval.",
    "calibrate": "Fit a model's thresholds to labelled slices of a site.",
    "export": "Write a model in another format, and compare its answers with the original's.",
    "web": "Write a page that judges in the browser, for any web server.",
    "benchmark": "Measure how fast models run on this machine, in every backend installed.",
    "card": "A model's card for people: use, data and terms, figures, known failures, checklists.",
    "seen": "Ask whether pictures, or copies of them, were in a model's training.",
    "info": "Version, bundled models with hash and terms, extras that are installed.",
}
"""Verb -> what it does, in a line. It is the ``command`` of ``tumorlens.cli.verbs.<verb>``."""

DONE, FAILED_IN_PART, NOTHING_DONE, INTERRUPTED = 0, 1, 2, 130

_EPILOG = """\b
Shell completion:
  bash  eval "$(_TUMORLENS_COMPLETE=bash_source tumorlens)"   in ~/.bashrc
  zsh   eval "$(_TUMORLENS_COMPLETE=zsh_source tumorlens)"    in ~/.zshrc
  fish  _TUMORLENS_COMPLETE=fish_source tumorlens | source    in a file of completions/

For research only, not a medical device. Nothing is sent anywhere that you did not name."""


class _Verbs(click.Group):
    """Lists verbs without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = import_module(f"tumorlens.cli.verbs.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        command.short_help = VERBS[cmd_name]  # shells show it
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """An unknown verb is told with the nearest."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, n=2, cutoff=0.6)
            meant = f"did you mean {' or '.join(near)}? The" if near else "the"
            ctx.fail(f"no verb {args[0]!r}; {meant} verbs are {', '.join(VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=_Verbs,
    epilog=_EPILOG,
    subcommand_metavar="VERB ...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="tumorlens")
def app() -> None:
    """Does an MRI slice of the brain show a tumor, where, and how far to trust the answer."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code; the console script exits with it.

    Args:
        arguments: what follows ``tumorlens``; by default the process's own.
    """
    _open_missing()
    try:
        given = sys.argv[1:] if arguments is None else list(arguments)
        code = app.main(given, prog_name="tumorlens", standalone_mode=False, obj=tuple(given))
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return NOTHING_DONE
    except TumorlensError as error:
        _complain(str(error))
        return NOTHING_DONE
    except (click.Abort, KeyboardInterrupt):
        _complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        _leave_output()
        return FAILED_IN_PART
    except OSError as error:  # files are named where they are opened: this is the output itself
        _leave_output()
        _complain(_explain(error))
        return NOTHING_DONE
    return int(code or DONE)


def _open_missing() -> None:
    """Streams that the caller has closed swallow what is said, as they do for other programs."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open to the end
            setattr(sys, name, stream)


def _leave_output() -> None:
    """Nobody can take what is still to be said: Python must not try to flush it at its end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: OSError) -> str:
    try:
        Path.cwd()
    except OSError:
        return "the current folder is gone; change to a folder that exists"
    place = error.filename or "standard output"
    return f"{place}: {error.strerror or error}; make room or choose another place"


def _complain(message: str) -> None:
    from tumorlens.cli.words import make_printable

    click.secho(f"tumorlens: {make_printable(spell_flags(message))}", fg="red", err=True)
