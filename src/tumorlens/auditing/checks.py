"""`audit_manifest`: all checks of one set. Findings are ranked by how much they change a result."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

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
from tumorlens.auditing.findings import Audit, AuditFinding
from tumorlens.auditing.neighbours import find_lone_labels
from tumorlens.auditing.oddities import (
    find_misfits,
    find_oddities,
    find_other_planes,
    find_telling_text,
    find_unreadable,
)
from tumorlens.auditing.shortcuts import find_shortcuts, measure_shortcuts
from tumorlens.data.choosing import DataSource, list_sets, read_sets
from tumorlens.data.manifest import merge_manifests
from tumorlens.data.rows import Manifest
from tumorlens.detector import Detector, open_detector
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
    estimates, clues, notes = measure_shortcuts(evidence)
    findings += find_shortcuts(evidence, estimates)
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
