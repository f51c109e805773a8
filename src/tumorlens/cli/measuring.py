"""From MODEL and DATA of the command line to scores: what evaluate and calibrate share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tumorlens.cli import words

if TYPE_CHECKING:
    from tumorlens.data.rows import Manifest
    from tumorlens.detector import Detector
    from tumorlens.errors import DataError, InputError
    from tumorlens.evaluation.scores import Scores
    from tumorlens.model.session import Session

__all__ = [
    "Scoring",
    "choose_data",
    "choosing_options",
    "fill_pointing",
    "folds_by_option",
    "group_by_twins",
    "groups_option",
    "map_option",
    "open_detector",
    "operating_point_option",
    "read_whole",
    "score",
    "split_option",
    "twins_option",
]

SHOWN_FAILURES = 5


def split_option(command: words.Command) -> words.Command:
    return click.option(
        "--split",
        metavar="NAME",
        help="Only rows of this split; those that share a group with another count as seen.",
    )(command)


def map_option(command: words.Command) -> words.Command:
    return click.option(
        "--map",
        "mapped",
        multiple=True,
        metavar="NAME=MEANING",
        help="What a class folder means: tumor, no_tumor, a tumor class, or skip. Repeatable.",
    )(command)


def twins_option(command: words.Command) -> words.Command:
    return click.option(
        "--twins/--no-twins",
        default=None,
        help="Join copies of one picture into one group.  [default: where a group is missing]",
    )(command)


def folds_by_option(command: words.Command) -> words.Command:
    return click.option(
        "--folds-by",
        type=click.Choice(["group", "source"]),
        default="group",
        show_default=True,
        help="What a fold keeps whole: groups, or sources, so that each is a new hospital.",
    )(command)


def groups_option(command: words.Command) -> words.Command:
    return click.option(
        "--shared-groups/--separate-groups",
        "shared_groups",
        default=None,
        help="Whether a group's name means the same patient in all of DATA....",
    )(command)


def choosing_options(command: words.Command) -> words.Command:
    """Which rows of DATA... are taken, and how they are grouped."""
    return words.stack_options(split_option, map_option, twins_option, groups_option)(command)


def operating_point_option(command: words.Command) -> words.Command:
    return click.option(
        "--operating-point",
        default="balanced",
        show_default=True,
        metavar="NAME",
        help="One of the model's sets of thresholds.",
    )(command)


@dataclass(frozen=True)
class Scoring:
    """Scores, and how they came about.

    Attributes:
        scores: one row a slice.
        failures: slices that could not be read.
        session: the model; None for scores from a file.
        notes: what to know about the scores.
    """

    scores: Scores
    failures: tuple[InputError, ...] = ()
    session: Session | None = None
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """For the run log."""
        return {"slices": len(self.scores), "failed": len(self.failures)}

    def report_failures(self, voice: words.Voice) -> None:
        """Say what could not be read."""
        for error in self.failures[: None if voice.verbose else SHOWN_FAILURES]:
            voice.say(str(error))
        if self.failures:
            voice.say(
                f"{len(self.failures)} of {len(self.failures) + len(self.scores)} slices could "
                "not be read and stand in no figure"
            )


def open_detector(
    model: str,
    *,
    operating_point: str,
    threads: int | None,
    device: str,
    batch_size: int = 8,
    mirror: bool = False,
) -> Detector:
    """The model that MODEL names, on the device."""
    from tumorlens.detector import Detector

    with words.hold_interrupts():  # libraries that are interrupted while they load raise anything
        return Detector(
            model,
            operating_point=operating_point,
            threads=threads,
            providers=words.PROVIDERS[device],
            batch_size=batch_size,
            mirror=mirror,
        )


def read_whole(
    data: Sequence[str | Path], *, classes: Sequence[str], shared_groups: bool | None
) -> Manifest:
    """All rows of DATA....

    Args:
        data: manifests and folders.
        classes: ``NAME=MEANING`` each, of class folders.
        shared_groups: whether a group's name means the same patient in all of them.

    Raises:
        DataError: what could not be read.
    """
    from tumorlens.data.class_names import parse_map
    from tumorlens.data.manifest import merge_manifests, read_data

    mapped = parse_map(classes)
    sets = [read_data(one, classes=mapped) for one in data]
    return merge_manifests(sets, shared_groups=shared_groups)


def group_by_twins(
    manifest: Manifest, wanted: bool | None, threads: int | None, voice: words.Voice
) -> Manifest:
    """Join copies into groups, if that is wanted or a group is missing."""
    missing = sum(not row.group for row in manifest.rows)
    if wanted is False or (wanted is None and not missing):
        return manifest
    from tumorlens.data.duplicates.twins import group_manifest
    from tumorlens.workers import available_cores

    total = 2 * len(manifest)  # each picture is described, then compared
    with words.open_bar(voice, "looking for twins", lambda: total, unit="steps") as bar:
        grouped, twins = group_manifest(
            manifest, threads=threads or available_cores(), progress=bar.advance
        )
    voice.say(
        f"{missing} of {len(manifest)} slices had no group; "
        f"{len(manifest)} pictures are {twins.distinct} different ones"
    )
    return grouped


def choose_data(
    data: Sequence[str | Path], voice: words.Voice, options: Mapping[str, Any]
) -> tuple[Manifest, set[str]]:
    """The rows of DATA... that are asked for, and the groups that stand on another side of a split.

    Args:
        data: manifests and folders.
        voice: what is said.
        options: of the command: mapped, shared_groups, twins, threads, split.

    Raises:
        DataError: what could not be read, or no row of that split.
    """
    from tumorlens.data.manifest import keep_split

    whole = read_whole(data, classes=options["mapped"], shared_groups=options["shared_groups"])
    whole = group_by_twins(whole, options["twins"], options["threads"], voice)
    split = options["split"]
    if split is None:
        return whole, set()
    others = {row.group_key for row in whole.rows if row.split not in ("", split)}
    return keep_split(whole, split), others


def score(
    detector: Detector, manifest: Manifest, voice: words.Voice, *, twins: set[str]
) -> Scoring:
    """Judge all rows, under a progress bar.

    Args:
        detector: the model.
        manifest: the rows.
        voice: what is said.
        twins: groups that stand on the training side; their rows are marked as seen.
    """
    from tumorlens.evaluation.assessment import mark_twins
    from tumorlens.evaluation.scoring import score_manifest
    from tumorlens.model.memory import recall

    with words.open_bar(voice, "scoring", lambda: len(manifest), unit="slices") as bar:
        scored = score_manifest(
            detector,
            manifest,
            lambda done, total: bar.advance(1),
            is_seen=recall(detector.session),
        )
    scores = mark_twins(scored.scores, twins)
    return Scoring(scores, scored.failures, detector.session, _tell_masks(scored.lost_masks))


def fill_pointing(scores: Scores, voice: words.Voice) -> Scoring:
    """Scores of a file with the pointing game judged, where boxes and masks can be read."""
    from tumorlens.evaluation.figures.localization import fill_hits

    with words.open_bar(voice, "pointing", lambda: len(scores), unit="slices") as bar:
        hits, failures = fill_hits(scores.rows, scores.peak_xy, scores.hits, progress=bar.advance)
    return Scoring(replace(scores, hits=hits), notes=_tell_masks(failures))


def _tell_masks(failures: Sequence[DataError]) -> tuple[str, ...]:
    if not failures:
        return ()
    if len(failures) == 1:
        told = "the mask of 1 slice could not be used, and stands in no pointing game"
        return (f"{told}: {failures[0]}",)
    return (
        f"the masks of {len(failures)} slices could not be used, and stand in no pointing "
        f"game; the first: {failures[0]}",
    )
