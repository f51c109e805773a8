"""`predict` and `predict_studies`: anything readable in, findings out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Literal

from tumorlens.arguments import check_arguments
from tumorlens.detector import Detector, open_detector
from tumorlens.finding import Finding, Findings
from tumorlens.imaging.readers import find_inputs
from tumorlens.predicting.fetching import fetch_inputs
from tumorlens.predicting.sharding.parting import take_part
from tumorlens.shards import Shard
from tumorlens.studies.assembling import FolderRule, SeriesGatherer, check_rules, gather_studies
from tumorlens.studies.study_model import StudyModel, find_study_model
from tumorlens.study_finding import SeriesFinding, StudyFinding

__all__ = ["OnError", "predict", "predict_studies"]

OnError = Literal["raise", "record"]
"""What an input that cannot be read does: end the call, or get a finding with its error."""


@check_arguments()
def predict(
    x: Any,
    *,
    model: str | os.PathLike[str] | Detector = "default",
    operating_point: str | None = None,
    on_error: OnError = "raise",
    axes: str | None = None,
    shard: str | None = None,
) -> Findings[Finding]:
    """Findings of all slices of an input; keep a `Detector` for many calls.

    Args:
        x: a path (a file, a folder, a pattern), an ndarray or a tensor, a PIL image, a pydicom
            ``Dataset``, a nibabel image, the bytes of a file, a `Slice`, or a list of these. Files
            that are no images are left out of a folder. A path may be an address (``s3://…``,
            ``gs://…``): what lies there is fetched first, which needs the extra ``remote``.
        model: name of the registry, an ``.onnx`` file, or a `Detector`, which also says threads,
            providers, batch size and limits.
        operating_point: name of one of the model's operating points, by default ``balanced``.
        on_error: ``"raise"`` an `InputError` for the first input that cannot be read, or
            ``"record"`` it as a finding with ``error`` and go on, as the command does.
        axes: what the axes of arrays are: ``"HW"``, ``"DHW"`` (slices first), ``"HWD"`` (slices
            last), each with ``C`` for channels. Without it a shape that allows several readings is
            refused; the rule stands in `tumorlens.imaging.pixels.arrays.read_array`.
        shard: ``"2/5"`` judges only the second of five parts of the files; a series is always
            whole in one part, and the parts are the same on every machine.

    Returns:
        A finding a slice, in the order of the inputs.

    Raises:
        InputError: an input cannot be used.
        ModelFileError: the model is unknown, or its file breaks the contract.
        UsageError: no such operating point, ``axes`` do not fit an array, or there is no such
            ``shard``.
    """
    part = None if shard is None else Shard.parse(shard)
    detector = open_detector(model, operating_point=operating_point)
    with fetch_inputs(x, detector.limits) as near:
        limits = detector.limits
        found = near if part is None else take_part(find_inputs(near, limits), part, limits)
        judged = detector.iterate(found, on_error=on_error, axes=axes)
        return Findings(finding for _, finding in judged)


@check_arguments()
def predict_studies(
    x: Any,
    *,
    model: str | os.PathLike[str] | Detector = "default",
    operating_point: str | None = None,
    series_from: FolderRule = None,
    study_from: FolderRule = None,
    on_error: OnError = "raise",
    axes: str | None = None,
) -> Findings[StudyFinding]:
    """What the studies of an input show, each with its series, and these with their slices.

    Pictures that belong to no series (a JPEG by itself) are in no study: `predict` judges them;
    ``series_from="folder"`` says that the pictures of each folder are one series.

    Args:
        x, model, operating_point, axes: as `predict` takes them.
        series_from: ``"folder"``: the pictures of a folder are the slices of one series, in the
            order of their names.
        study_from: ``"folder"``: series of one folder are one study, where no file says otherwise.
        on_error: ``"raise"`` an `InputError` for the first slice that cannot be read, or
            ``"record"`` it, as the command does: its series counts it as not judged.

    Raises:
        InputError: an input cannot be used.
        ModelFileError: the model is unknown, or its file breaks the contract.
        UsageError: no such operating point, or ``axes`` do not fit an array.
    """
    check_rules(series_from, study_from)
    detector = open_detector(model, operating_point=operating_point)
    numbers = find_study_model(detector)
    with fetch_inputs(x, detector.limits) as near:
        judged = detector.iterate(near, on_error=on_error, axes=axes)
        series = _gather((finding for _, finding in judged), numbers, series_from)
        return Findings(gather_studies(series, numbers, study_from))


def _gather(
    findings: Iterator[Finding], numbers: StudyModel | None, rule: FolderRule
) -> Iterator[SeriesFinding]:
    """Series of which at least one slice was read, as the command shows them."""
    gatherer = SeriesGatherer(numbers, rule)
    for finding in findings:
        yield from filter(_is_read, gatherer.add(finding))
    yield from filter(_is_read, gatherer.close())


def _is_read(series: SeriesFinding) -> bool:
    return any(one.error is None for one in series.findings)
