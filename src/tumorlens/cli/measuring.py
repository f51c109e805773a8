"""From MODEL and DATA of the command line to scores: what evaluate and calibrate share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tumorlens.cli import words

if TYPE_CHECKING:
    from tumorlens.data.rows import Manifest
    from tumorlens.detector import Detector
    from tumorlens.errors import InputError
    from tumorlens.evaluation.scores import Scores
    from tumorlens.model.session import Session

__all__ = [
    "Scoring",
    "choose_data",
    "groups_option",
    "open_detector",
    "operating_point_option",
    "score",
    "split_option",
]

SHOWN_FAILURES = 5


def split_option(command: words.Command) -> words.Command:
    return click.option(
        "--split",
        metavar="NAME",
        help="Only rows of this split; those that share a group with another count as seen.",
    )(command)


def groups_option(command: words.Command) -> words.Command:
    return click.option(
        "--shared-groups/--separate-groups",
        "shared_groups",
        default=None,
        help="Whether a group's name means the same patient in all of DATA....",
    )(command)


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
    """

    scores: Scores
    failures: tuple[InputError, ...] = ()
    session: Session | None = None

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
    model: str, *, operating_point: str, threads: int | None, device: str
) -> Detector:
    """The model that MODEL names, on the device."""
    from tumorlens.detector import Detector

    return Detector(
        model,
        operating_point=operating_point,
        threads=threads,
        providers=words.PROVIDERS[device],
    )


def choose_data(
    data: Sequence[str | Path], *, split: str | None, shared_groups: bool | None
) -> tuple[Manifest, set[str]]:
    """The rows of DATA..., and the groups that stand on another side of its split.

    Raises:
        DataError: what could not be read, or no row of that split.
    """
    from tumorlens.data.manifest import keep_split, merge_manifests, read_data

    whole = merge_manifests([read_data(one) for one in data], shared_groups=shared_groups)
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
    from tumorlens.evaluation.memory import recall
    from tumorlens.evaluation.scoring import score_manifest

    with words.open_bar(voice, "scoring", lambda: len(manifest), unit="slices") as bar:
        scored = score_manifest(
            detector,
            manifest,
            lambda done, total: bar.advance(1),
            is_seen=recall(detector.session),
        )
    scores = mark_twins(scored.scores, twins)
    return Scoring(scores, scored.failures, detector.session)
