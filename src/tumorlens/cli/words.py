"""The common words of the command line, so that they mean the same for every verb."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tumorlens.cli.flags import spell_flags
from tumorlens.cli.named_paths import DATA, FILE, FOLDER, PAGE
from tumorlens.errors import UsageError
from tumorlens.model.onnx_runtime import PROVIDERS
from tumorlens.remote.addresses import spell_address
from tumorlens.version import list_versions

if TYPE_CHECKING:
    from tumorlens.model.session import Session

__all__ = [
    "DATA",
    "FILE",
    "FOLDER",
    "Stopwatch",
    "Voice",
    "check_json",
    "data_arguments",
    "device_option",
    "model_argument",
    "model_option",
    "output_option",
    "overwrite_option",
    "repeat_command",
    "report_option",
    "run_log_option",
    "stack_options",
    "threads_option",
    "voice_options",
    "was_given",
    "work_options",
]

Command = TypeVar("Command", bound=Callable[..., Any])


def _complete_models(
    _: click.Context, __: click.Parameter, incomplete: str
) -> list[click.shell_completion.CompletionItem]:
    from click.shell_completion import CompletionItem

    from tumorlens.model.registry import MODELS

    names = [CompletionItem(name) for name in MODELS if name.startswith(incomplete)]
    return [*names, CompletionItem(incomplete, type="file")]


def stack_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in that order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


data_arguments = click.argument("data", nargs=-1, required=True, type=DATA)
"""DATA…: folders of class folders, manifests."""
optional_data_arguments = click.argument("data", nargs=-1, type=DATA)
"""DATA…, which another option may stand for."""
model_argument = click.argument("model", shell_complete=_complete_models)
"""MODEL: a file or a name."""
model_option = click.option(
    "--model",
    default="default",
    show_default=True,
    metavar="FILE|NAME",
    shell_complete=_complete_models,
    help="An .onnx file, or the name of a bundled model (see tumorlens info).",
)
output_option = click.option(
    "--output", "-o", type=FILE, metavar="FILE", help="Where the main result goes."
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace a result file that exists already."
)
report_option = click.option(
    "--report", type=PAGE, metavar="FILE.html", help="Also write a page for people."
)
run_log_option = click.option(
    "--run-log",
    type=FILE,
    metavar="FILE.json",
    help="Also write versions, model, device, options as used, counts and seconds.",
)
device_option = click.option(
    "--device",
    type=click.Choice(list(PROVIDERS)),
    default="cpu",
    show_default=True,
    help="Where the network runs.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads to work with.  [default: one for each core]",
)
voice_options = stack_options(
    click.option("--verbose", "-v", is_flag=True, help="Say more of what is done."),
    click.option("--quiet", is_flag=True, help="Say nothing but errors."),
)
"""``-v`` and ``--quiet``, handed to the command as ``verbose`` and ``quiet``."""
work_options = stack_options(
    overwrite_option, threads_option, device_option, run_log_option, voice_options
)
"""What every verb that judges many slices takes: --overwrite to --quiet."""


def check_json(output: Path | None) -> None:
    """Refuse to write JSON into a file whose name says that it is a table or a page.

    Raises:
        UsageError: names the file.
    """
    if output is not None and output.suffix.lower() in (".csv", ".tsv", ".html", ".htm", ".png"):
        raise UsageError(
            f"{output}: `output=` writes JSON here, which the name {output.suffix} contradicts; "
            "name a .json file"
        )


def was_given(ctx: click.Context, option: str) -> bool:
    """Whether the command line names an option, be it with the value of its default."""
    return ctx.get_parameter_source(option) is not click.core.ParameterSource.DEFAULT


@dataclass(frozen=True, slots=True)
class Voice:
    """What is said to the person, on standard error. Errors are raised, not said.

    Attributes:
        quiet: say nothing.
        verbose: say the details, too.
        show: names addresses in the place of staged files.
    """

    quiet: bool = False
    verbose: bool = False
    show: Callable[[str], str] = str

    def __post_init__(self) -> None:
        if self.quiet and self.verbose:
            raise UsageError("--quiet and --verbose contradict each other; give one of them")

    def spell(self, words: str) -> str:
        """A message of the library in the words of the command line."""
        return make_printable(spell_flags(self.show(words)))

    def say(self, words: str) -> None:
        if not self.quiet:
            click.echo(self.spell(words), err=True)

    def detail(self, words: str) -> None:
        if self.verbose:
            self.say(words)


def make_printable(words: str) -> str:
    """Control characters in a file's name must not reach the terminal."""
    if words.isprintable():
        return words
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1]
        for letter in words
    )


@dataclass(slots=True)
class Stopwatch:
    """When a run began, and what a ``--run-log`` says of it."""

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    begin: float = field(default_factory=perf_counter)

    def write_log(
        self,
        path: Path,
        verb: str,
        options: Mapping[str, Any],
        *,
        counts: Mapping[str, Any],
        session: Session | None = None,
    ) -> None:
        """Write versions, model, device, options as used, counts and seconds as JSON.

        Args:
            path: where to.
            verb: of the command line.
            options: as given; ``device`` and ``threads`` are written as they came out, too.
            counts: what was done.
            session: the model that ran, if one did.
        """
        from tumorlens.workers import available_cores
        from tumorlens.writing import write_text

        log = {
            "schema": 1,
            "verb": verb,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(perf_counter() - self.begin, 3),
            "versions": list_versions(),
            "model": None if session is None else _describe(session),
            "device": _device_of(session) if session else options.get("device", "cpu"),
            "threads": options.get("threads") or available_cores(),
            "options": {name: _plain(value) for name, value in options.items()},
            "counts": dict(counts),
        }
        write_text(path, json.dumps(log, indent=1) + "\n", overwrite=True)


def repeat_command(ctx: click.Context) -> str:
    """The command line as it was given, for the end of a page."""
    return shlex.join(["tumorlens", *(ctx.obj or ())])


def _describe(session: Session) -> dict[str, Any]:
    return {
        "name": session.card.full_name,
        "file": str(session.path),
        "sha256": session.sha256,
        "providers": session.providers,
    }


def _device_of(session: Session) -> str:
    """The word of ``--device`` for the provider that runs the network."""
    used = session.providers[0]
    return next((device for device, names in PROVIDERS.items() if names[0] == used), used)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    plain = value is None or isinstance(value, (bool, int, float))
    return value if plain else spell_address(str(value))
