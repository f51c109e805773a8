"""`audit_manifest`: all checks of one set. Findings are ranked by how much they change a result."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt

from tumorlens.arguments import DEVICE, MODEL, check_arguments, optional
from tumorlens.auditing.composition import find_imbalance, find_ties
from tumorlens.auditing.copies import (
    find_conflicts,
    find_copies,
    find_divided_groups,
    find_leaks,
    find_shared,
)
from tumorlens.auditing.evidence import MOST_EXAMPLES, Evidence, gather_evidence
from tumorlens.auditing.findings import Audit, AuditFinding, Clue
from tumorlens.auditing.neighbours import find_lone_labels
from tumorlens.auditing.oddities import (
    find_misfits,
    find_oddities,
    find_other_planes,
    find_telling_text,
    find_unreadable,
)
from tumorlens.auditing.shortcuts import (
    LEAST_GROUPS,
    MOST_ROWS,
    find_clues,
    measure_label_shortcut,
    measure_source_shortcut,
)
from tumorlens.auditing.traits import FILE_FEATURES, PREPARED_FEATURES
from tumorlens.data.choosing import DataSource, list_sets, read_sets
from tumorlens.data.manifest import merge_manifests
from tumorlens.data.rows import Manifest, Row
from tumorlens.detector import Detector, open_detector
from tumorlens.evaluation.figures.intervals import FEW_GROUPS, Estimate
from tumorlens.model.session import Session
from tumorlens.progress import Notice, Progress, count_up, stay_silent
from tumorlens.workers import available_cores

__all__ = ["CHECKS", "PASSES", "audit", "audit_data", "audit_manifest"]

PASSES = 3
"""How often progress is reported for each picture."""

CHECKS: tuple[Callable[[Evidence], Iterator[AuditFinding]], ...] = (
    find_leaks,
    find_shared,
    find_conflicts,
    find_lone_labels,
    find_divided_groups,
    find_copies,
    find_unreadable,
    find_oddities,
    find_other_planes,
    find_telling_text,
    find_misfits,
    find_imbalance,
    find_ties,
)
"""Each makes findings from the evidence. The shortcut classifier runs after them."""

_WARNED = 0.55  # a finding if the lower end of the AUC is above it
_PLACES = {"file": "the files", "prepared": "the prepared images"}
_SEEN = {
    "file": "size, border, histogram and compression",
    "prepared": "border, histogram and sharpness",
}
_NAMES = {"file": FILE_FEATURES, "prepared": PREPARED_FEATURES}
_WEIGHTS = {"file": 0.6, "prepared": 0.8}  # a network sees the prepared images


@check_arguments(model=optional(MODEL), device=optional(DEVICE))
def audit(
    *data: DataSource,
    against: DataSource | Sequence[DataSource] = (),
    model: str | os.PathLike[str] | Detector | None = "default",
    classes: Mapping[str, str] | None = None,
    shared_groups: bool | None = None,
    threads: int | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> Audit:
    """Find faults in labelled slices: copies, label conflicts, leaks, misfits and shortcuts.

    Args:
        data: folders of class folders, manifests as CSV, or `Manifest` objects.
        against: another set that should share nothing with ``data``, e.g. the one to test on.
        model: model that finds images unlike brain MRI; None skips this check.
        classes: name of a class folder -> ``tumor``, ``no_tumor``, a tumor class, or ``skip``.
        shared_groups: whether a group's name means the same patient in all sets.
        threads: threads to use; by default one for each core.
        device: ``cpu`` (the default), ``cuda`` or ``mps``; only if ``model`` is not open yet.
        progress: called with (name of the step, units done, units in all).
        notice: called with a sentence on what is left out of a folder.

    Returns:
        The findings, the worst first; ``audit.mark(manifest)`` marks the bad rows.

    Raises:
        DataError: data that cannot be read.
        ModelFileError: the model is unknown, or its file breaks the contract.
        MissingExtra: scikit-learn or the nearest-neighbour index is not installed.
    """
    detector = None if model is None else open_detector(model, threads=1, device=device)
    return audit_data(
        data,
        list_sets(against),
        session=None if detector is None else detector.session,
        classes=classes,
        shared_groups=shared_groups,
        threads=threads,
        progress=progress or stay_silent,
        notice=notice or stay_silent,
    )[0]


def audit_data(
    data: Sequence[DataSource],
    against: Sequence[DataSource] = (),
    *,
    session: Session | None = None,
    classes: Mapping[str, str] | None = None,
    shared_groups: bool | None = None,
    threads: int | None = None,
    progress: Progress = stay_silent,
    notice: Notice = stay_silent,
) -> tuple[Audit, Manifest]:
    """As `audit`, with an open model; also gives the manifest that was audited."""
    manifest = read_sets(data, classes=classes, shared_groups=shared_groups, notice=notice)
    other = None
    if against:
        other = read_sets(against, classes=classes, shared_groups=shared_groups, notice=notice)
        manifest, other = _name_groups_alike(manifest, other, shared_groups)
    steps = PASSES * (len(manifest) + (0 if other is None else len(other)))
    found = audit_manifest(
        manifest,
        against=other,
        session=session,
        threads=threads or available_cores(),
        progress=count_up(progress, "auditing", steps),
    )
    return found, manifest


def _name_groups_alike(
    manifest: Manifest, other: Manifest, shared_groups: bool | None
) -> tuple[Manifest, Manifest]:
    """Name the groups of two sets so that one name means one patient in both."""
    both = merge_manifests([manifest, other], shared_groups=shared_groups)
    return (
        manifest.with_rows(both.rows[: len(manifest)]),
        other.with_rows(both.rows[len(manifest) :]),
    )


def audit_manifest(
    manifest: Manifest,
    *,
    against: Manifest | None = None,
    session: Session | None = None,
    threads: int = 1,
    most_examples: int = MOST_EXAMPLES,
    progress: Callable[[int], None] | None = None,
) -> Audit:
    """Find what is wrong with a set of labelled slices; the worst finding comes first.

    Args:
        manifest: the set, with or without labels, groups and splits.
        against: another set that should share nothing with it.
        session: a model that says which pictures are unlike brain MRI; None skips this check.
        threads: how many to use.
        most_examples: most pictures that a finding keeps to look at.
        progress: called `PASSES` times for every picture.

    Raises:
        MissingExtra: scikit-learn or the nearest-neighbour index is not installed.
    """
    evidence = gather_evidence(
        manifest, against, session=session, threads=threads, progress=progress
    )
    evidence = replace(evidence, most_examples=most_examples)
    findings = [finding for check in CHECKS for finding in check(evidence)]
    estimates, clues, notes = _measure_shortcuts(evidence)
    findings += _warn(evidence, estimates)
    if session is None:
        notes.append("no model was given, so it was not checked whether the pictures are brain MRI")
    return Audit(
        name=manifest.name,
        rows=evidence.rows,
        findings=tuple(findings),
        own=evidence.own,
        against="" if against is None else against.name,
        distinct=evidence.distinct,
        counts=Counter(row.label or "unlabelled" for row in manifest.rows),
        estimates=tuple(estimates),
        clues=tuple(clues),
        notes=tuple(notes),
    )


def _measure_shortcuts(evidence: Evidence) -> tuple[list[Estimate], list[Clue], list[str]]:
    estimates: list[Estimate] = []
    clues: list[Clue] = []
    labelled = _draw([n for n in evidence.readable if evidence.rows[n].label])
    readable = _draw(evidence.readable)
    for place in ("file", "prepared"):
        if labelled:
            inputs = _inputs(evidence, labelled, place)
            clues += find_clues(inputs[0], inputs[2], _NAMES[place], place)
            auc = measure_label_shortcut(*inputs)
            if auc is not None:
                estimates.append(msgspec.structs.replace(auc, name=f"label_from_{place}"))
        told = measure_source_shortcut(*_inputs(evidence, readable, place)) if readable else None
        if told is not None:
            estimates.append(msgspec.structs.replace(told, name=f"source_from_{place}"))
    notes = []
    for what in ("label", "source"):
        if not any(one.name.startswith(what) for one in estimates):
            notes.append(
                f"whether the {what} can be predicted without the brain was not measured: at least "
                f"two {what}s with {LEAST_GROUPS} groups each are required"
            )
    return estimates, sorted(clues, key=lambda clue: -clue.auc), notes


def _draw(rows: Sequence[int]) -> list[int]:
    if len(rows) <= MOST_ROWS:
        return list(rows)
    drawn = np.random.default_rng(0).choice(len(rows), MOST_ROWS, replace=False)
    return [rows[number] for number in sorted(drawn.tolist())]


def _inputs(
    evidence: Evidence, rows: Sequence[int], place: str
) -> tuple[list[Row], list[str], npt.NDArray[np.float32]]:
    features = np.stack([getattr(evidence.traits[row], f"on_{place}") for row in rows])
    return (
        [evidence.rows[row] for row in rows],
        [evidence.units[row] for row in rows],
        features,
    )


def _warn(evidence: Evidence, estimates: Sequence[Estimate]) -> Iterator[AuditFinding]:
    sources = Counter(evidence.rows[row].source for row in evidence.readable)
    guess = max(sources.values(), default=0) / max(1, len(evidence.readable))
    for one in estimates:
        what, _, place = one.name.partition("_from_")
        if one.value is None:
            continue
        low = _guess_low(one, one.value) if one.low is None else one.low
        if what == "label" and low > _WARNED:
            yield _warn_of_label(one, low, place)
        elif what == "source" and low > guess:
            yield _warn_of_source(one, guess, place)


def _guess_low(one: Estimate, value: float) -> float:
    """The value less two standard errors of a share, for want of an interval."""
    return value - 2 * float(np.sqrt(value * (1 - value) / max(1, one.groups)))


def _warn_of_label(one: Estimate, low: float, place: str) -> AuditFinding:
    return AuditFinding(
        "shortcuts",
        f"label predicted without the brain, {_PLACES[place]}",
        f"{_SEEN[place]} of {_PLACES[place]} predict the label with AUC {one.value:.2f}"
        f"{_span(one)}, without a look at the brain",
        "a good figure on this set proves little: test on other sources, within patients and at "
        "matched levels; collect both labels from every source",
        impact=_WEIGHTS[place] * 2 * (low - 0.5),
        estimate=one,
    )


def _warn_of_source(one: Estimate, guess: float, place: str) -> AuditFinding:
    return AuditFinding(
        "shortcuts",
        f"source predicted without the brain, {_PLACES[place]}",
        f"{_SEEN[place]} of {_PLACES[place]} predict the source of {one.value:.0%} of them"
        f"{_span(one)}; guessing reaches {guess:.0%}",
        "harmless if every source has the same share of tumors; else a network learns the source",
        impact=0.1 * _WEIGHTS[place],
        estimate=one,
    )


def _span(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return f" (no interval under {FEW_GROUPS} groups)"
    return f" (95 % interval {one.low:.2f}–{one.high:.2f})"
