"""``tumorlens audit``: what is wrong with a set, the worst first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import groups_option, map_option, open_detector, parse_map
from tumorlens.cli.pace import Pulse
from tumorlens.errors import UsageError
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.version import list_versions
from tumorlens.writing import check_results, write_text

if TYPE_CHECKING:
    from tumorlens.auditing.findings import Audit

__all__ = ["command"]


@click.command()
@words.data_arguments
@click.option(
    "--against",
    type=words.DATA,
    metavar="OTHER",
    help="Another set, e.g. the one to test on: finds what stands in both.",
)
@click.option(
    "--fail-on",
    default="",
    metavar="KIND,...",
    help="Exit with 1 if there is a finding of these kinds (any: of all): leakage, conflicts, "
    "shortcuts, groups, twins, unreadable, suspicious, annotations, balance.",
)
@click.option(
    "--marked",
    type=words.FILE,
    metavar="FILE.csv",
    help="Also write DATA as a manifest with its bad rows marked, for train and evaluate.",
)
@words.model_option
@click.option("--no-model", is_flag=True, help="Do not ask a model which pictures are brain MRI.")
@map_option
@groups_option
@words.output_option
@words.report_option
@words.overwrite_option
@words.threads_option
@words.device_option
@words.run_log_option
@words.voice_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    data: tuple[Path, ...],
    against: Path | None,
    fail_on: str,
    marked: Path | None,
    model: str,
    no_model: bool,
    mapped: tuple[str, ...],
    shared_groups: bool | None,
    output: Path | None,
    report: Path | None,
    overwrite: bool,
    threads: int | None,
    device: str,
    run_log: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Audit the slices of DATA...: copies, label conflicts, leaks, misfits and shortcuts.

    Findings are ranked by how much they would change a result, each with what to do. The summary
    goes to standard output, everything to --output (JSON), pictures and plots to --report. Where
    --marked says "audit: leave out" in a note, evaluate leaves the row out; train does with
    --set 'data.exclude_notes=["audit: leave out"]'.
    """
    from tumorlens.auditing.checks import audit_data
    from tumorlens.report.audits.audit_tables import print_audit
    from tumorlens.report.tables import open_console

    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose)
    kinds = _read_kinds(fail_on)
    results = (output, marked, report, run_log)
    check_inputs_survive(map(str, data), *results)
    words.check_json(output)
    check_results(results, overwrite=overwrite)
    session = None if no_model else open_detector(model, threads=1, device=device).session
    with Pulse(voice) as pulse:
        audit, manifest = audit_data(
            data,
            () if against is None else (against,),
            session=session,
            classes=parse_map(mapped),
            shared_groups=shared_groups,
            threads=threads,
            progress=pulse.advance,
            notice=pulse.say,
        )
    if marked is not None:
        audit.mark(manifest).write(marked, overwrite=overwrite)
    if output is not None:
        write_text(output, audit.to_json(), overwrite=overwrite)
    if report is not None:
        _write_page(report, audit, ctx, overwrite)
    if not quiet:
        print_audit(open_console(), audit)
    if run_log is not None:
        counts = {"slices": audit.own, "findings": len(audit.findings)}
        watch.write_log(run_log, "audit", ctx.params, counts=counts, session=session)
    return _fail(audit, kinds, voice)


def _read_kinds(text: str) -> set[str]:
    from tumorlens.auditing.findings import KINDS

    kinds = {word.strip() for word in text.split(",")} - {""}
    unknown = sorted(kinds - {*KINDS, "any"})
    if unknown:
        raise UsageError(
            f"--fail-on: no kind of finding is named {', '.join(unknown)}; "
            f"expected any, {', '.join(KINDS)}"
        )
    return set(KINDS) if "any" in kinds else kinds


def _write_page(path: Path, audit: Audit, ctx: click.Context, overwrite: bool) -> None:
    from tumorlens.report.audits.audit_pages import build_audit_page
    from tumorlens.report.pages import write_page

    command, versions = words.repeat_command(ctx), list_versions()
    page = build_audit_page(audit, command=command, versions=versions)
    write_page(path, page, overwrite=overwrite)


def _fail(audit: Audit, kinds: set[str], voice: words.Voice) -> int:
    failing = audit.of_kinds(kinds)
    for finding in failing:
        voice.say(f"failed on {finding.kind}: {finding.title}")
    return 1 if failing else 0
