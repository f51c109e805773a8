"""From a model file to a file of another target: convert, compare on real slices, write."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import numpy.typing as npt

from tumorlens.arguments import SETS, check_arguments
from tumorlens.data.choosing import Choice, DataSource, choose_rows, list_sets
from tumorlens.detector import Detector, open_detector
from tumorlens.errors import DataError, UsageError
from tumorlens.evaluation.scores import Scores
from tumorlens.evaluation.scoring import score_manifest
from tumorlens.exporting.beside import card_path
from tumorlens.exporting.parity import ParityReport, compare_scores
from tumorlens.exporting.samples import Samples, draw_samples, prepare_images
from tumorlens.exporting.targets import Target, find_target
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.model.card import Card
from tumorlens.model.graph import write_model
from tumorlens.progress import Notice, Progress, count_up, stay_silent
from tumorlens.writing import check_writable, replace_when_done

__all__ = ["Export", "draw_for_target", "export", "export_model"]

Count = Callable[[int], None]
Image = npt.NDArray[np.float32]

CALIBRATION_SLICES, PARITY_SLICES = 256, 1000
"""Slices that int8 is fitted on, and that an export is compared on at most, by default."""

FEWEST = 20
"""Fewest slices to measure ranges of values on."""


@dataclass(frozen=True, slots=True)
class Export:
    """A written export.

    Attributes:
        path: of its file.
        card: as it stands in there.
        report: how it compares with the original; None if there were no slices to compare on.
        files: all that was written: ``path``, and what must lie beside it.
    """

    path: Path
    card: Card
    report: ParityReport | None
    files: tuple[Path, ...]


@check_arguments(data=SETS)
def export(
    model: str | os.PathLike[str] | Detector,
    target: str,
    output: str | os.PathLike[str],
    *,
    data: DataSource | Sequence[DataSource] = (),
    calibration_slices: int = CALIBRATION_SLICES,
    parity_slices: int = PARITY_SLICES,
    force: bool = False,
    split: str | None = None,
    classes: Mapping[str, str] | None = None,
    shared_groups: bool | None = None,
    twins: bool | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> Export:
    """Write a model for another place, if it gives the same answers there.

    Args:
        model: name of the registry, an ``.onnx`` file, or a `Detector`.
        target: a key of `tumorlens.exporting.targets.TARGETS`, such as ``onnx-int8``.
        output: the file; its suffix is the target's.
        data: one set or several of labelled slices, to calibrate on and, of other groups, to
            compare on.
        calibration_slices: slices that int8 is fitted on.
        parity_slices: slices that export and original are compared on at most.
        force: write in spite of answers that differ too much, or without slices. The card says so.
        split, classes, shared_groups, twins: as `tumorlens.evaluate` takes them.
        overwrite: replace ``output``.
        threads: to work with; by default one for each core.
        progress: called with (what is going on, units done, units in all).
        notice: called with a sentence: what was found about groups.

    Returns:
        The file, its card, and how its answers compare with the original's.

    Raises:
        UsageError: an unknown target, too many answers that differ, or ``output`` exists.
        DataError: the slices do not serve.
        MissingExtra: the library of the target is not installed.
    """
    aim, told = find_target(target), progress or stay_silent
    aim.find_convert()
    check_inputs_survive((), Path(output))
    detector = open_detector(model, threads=threads)
    samples = draw_for_target(
        aim,
        list_sets(data),
        choice=Choice(split, classes, shared_groups, twins),
        calibration=calibration_slices,
        parity=parity_slices,
        threads=threads,
        progress=told,
        notice=notice or stay_silent,
    )
    steps = 0 if samples is None else samples.steps
    return export_model(
        detector,
        aim,
        Path(output),
        samples=samples,
        force=force,
        overwrite=overwrite,
        progress=count_up(told, "exporting", steps),
    )


def draw_for_target(
    target: Target,
    data: Sequence[DataSource],
    *,
    choice: Choice,
    calibration: int = CALIBRATION_SLICES,
    parity: int = PARITY_SLICES,
    threads: int | None = None,
    progress: Progress = stay_silent,
    notice: Notice = stay_silent,
) -> Samples | None:
    """The slices that a target is calibrated and compared on; None without data."""
    if not data:
        return None
    chosen = choose_rows(data, choice, threads=threads, progress=progress, notice=notice)
    return draw_samples(
        chosen.manifest, calibration=calibration if target.calibrated else 0, parity=parity
    )


def export_model(
    original: Detector,
    target: Target,
    output: Path,
    *,
    samples: Samples | None = None,
    force: bool = False,
    overwrite: bool = False,
    progress: Count = lambda count: None,
    show: Callable[[ParityReport], None] = lambda report: None,
) -> Export:
    """Write a model for a target, if it gives the same answers there.

    Args:
        original: the model.
        target: what to write.
        output: the file.
        samples: slices to calibrate and to compare on.
        force: write in spite of missed bars, or without slices; the card then says so.
        overwrite: replace ``output``.
        progress: told how many more slices were looked at.
        show: given the parity report, whether the export is then written or refused.

    Raises:
        UsageError: the target cannot be written, or a bar was missed and ``force`` is not set.
        DataError: the slices do not serve.
    """
    check_writable(output, overwrite=overwrite)
    if original.card.made_from:
        raise UsageError(
            f"{original.session.path}: is an export already; give the model that it was made from: "
            f"{original.card.made_from}"
        )
    convert = target.find_convert()
    if output.suffix != target.suffix:
        raise UsageError(f"{output}: `target={target.name}` writes NAME{target.suffix}")
    if target.suffix != ".onnx":
        check_writable(card_path(output), overwrite=overwrite)
    _check_samples(target, samples, force)
    with TemporaryDirectory(prefix="tumorlens-") as folder:
        candidate = Path(folder) / f"candidate{target.suffix}"
        images = [] if samples is None else _see(original, target, samples, progress)
        convert(original.session.path, candidate, images)
        report = None
        if samples is not None:
            report = _compare(original, candidate, target, samples, progress)
            show(report)
        misses = ["parity was not measured"] if report is None else report.misses
        if misses and not force:
            raise UsageError(
                f"{output}: not written, since the answers of the export to {target.name} differ "
                f"too much: {'; '.join(misses)}; give more slices like those that it will "
                "judge, or `force=True` to write it and to note this in its card"
            )
        card = _describe(original, target, report, misses)
        files = _write(candidate, output, card, overwrite)
    return Export(output, card, report, files)


def _check_samples(target: Target, samples: Samples | None, force: bool) -> None:
    if samples is None and target.calibrated:
        raise UsageError(
            f"`target={target.name}` needs `data=`: the ranges of its integers are measured on "
            "slices"
        )
    if samples is None and not force:
        raise UsageError(
            f"without `data=` it cannot be checked whether the export to {target.name} gives the "
            "same answers; give labelled slices, or `force=True` to write it without this check"
        )


def _see(original: Detector, target: Target, samples: Samples, progress: Count) -> list[Image]:
    if not target.calibrated:
        return []
    images = list(prepare_images(samples.calibration, original.card.preprocess, progress))
    if len(images) < FEWEST:
        raise DataError(
            f"{samples.calibration.name}: {len(images)} readable slices are too few to calibrate "
            f"on. At least {FEWEST} are required; 200 are recommended."
        )
    return images


def _compare(
    original: Detector, candidate: Path, target: Target, samples: Samples, progress: Count
) -> ParityReport:
    def score(detector: Detector) -> Scores:
        return score_manifest(detector, samples.parity, lambda done, total: progress(1)).scores

    export = Detector(
        target.open(candidate), operating_point=original.operating_point, threads=original.threads
    )
    return compare_scores(score(export), score(original), target.kind)


def _write(candidate: Path, output: Path, card: Card, overwrite: bool) -> tuple[Path, ...]:
    """One file with its card inside, or all files of the candidate with the card beside them."""
    if candidate.suffix == ".onnx":
        write_model(candidate, output, card=card, overwrite=overwrite)
        return (output,)
    card_path(candidate).write_text(card.to_json(indent=1), encoding="utf-8")
    parts = sorted(candidate.parent.glob(f"{candidate.stem}.*"))
    for target in (places := [output.with_suffix("".join(part.suffixes)) for part in parts]):
        check_writable(target, overwrite=overwrite)
    for part, target in zip(parts, places, strict=True):
        with replace_when_done(target, overwrite=overwrite) as partial:
            partial.write_bytes(part.read_bytes())
    return (output, *(one for one in places if one != output))


def _describe(
    original: Detector, target: Target, report: ParityReport | None, misses: list[str]
) -> Card:
    card = original.card
    version = f"{card.version}{'.' if '+' in card.version else '+'}{target.name}"
    told = [f"Exported to {target.name} by force: {miss}." for miss in misses]
    return msgspec.structs.replace(
        card,
        version=version,
        made_from=f"{card.full_name}, SHA-256 {original.session.sha256}",
        parity=None if report is None else report.parity,
        known_failures=[*card.known_failures, *told],
    )
