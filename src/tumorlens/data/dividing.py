"""`split`: makes a manifest whose parts share no group."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tumorlens.arguments import PATH, check_arguments, optional
from tumorlens.data.choosing import Choice, DataSource, choose_rows
from tumorlens.data.rows import Manifest
from tumorlens.data.splits import FRACTIONS, By, split_manifest
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.progress import Notice, Progress, stay_silent
from tumorlens.writing import check_results

__all__ = ["split"]


@check_arguments(output=optional(PATH))
def split(
    *data: DataSource,
    folds: int | None = None,
    folds_by: By = "group",
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    classes: Mapping[str, str] | None = None,
    shared_groups: bool | None = None,
    twins: bool | None = None,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> Manifest:
    """Split labelled slices so that no group stands on two sides.

    A group is a patient. Where patients are not known it is the copies of one picture, else a file.
    Sources, sequences and classes are spread over the parts as evenly as whole groups allow.

    Args:
        data: folders of class folders, manifests as CSV, or `Manifest` objects.
        folds: number of folds, named ``0`` to ``folds - 1``, in place of ``fractions``.
        folds_by: what a part keeps whole: ``group``, or ``source`` so that each part is a site
            that no other part knows.
        fractions: shares of train, validation and test; they add up to 1.
        seed: settles ties between groups.
        classes: name of a class folder -> ``tumor``, ``no_tumor``, a tumor class, or ``skip``.
        shared_groups: whether a group's name means the same patient in all sets.
        twins: whether copies of one picture are joined into one group; by default they are where a
            row has no group.
        output: CSV file that the manifest is written to; None to write none.
        overwrite: replace ``output``.
        threads: threads to use; by default one for each core.
        progress: called with (name of the step, units done, units in all).
        notice: called with a sentence about the groups, or about parts that could not be balanced.

    Returns:
        The rows with their splits.

    Raises:
        DataError: data that cannot be read, or fewer groups than parts.
        UsageError: fewer than two folds, fractions that do not add up to 1, or ``output`` exists or
            is one of ``data``.
        MissingExtra: the nearest-neighbour index is not installed.
    """
    told = notice or stay_silent
    target = None if output is None else Path(output)
    check_inputs_survive([str(one) for one in data if not isinstance(one, Manifest)], target)
    check_results((target,), overwrite=overwrite)
    choice = Choice(None, classes, shared_groups, twins)
    counted = progress or stay_silent
    whole = choose_rows(data, choice, threads=threads, progress=counted, notice=told).manifest
    parted, notes = split_manifest(whole, folds=folds, fractions=fractions, seed=seed, by=folds_by)
    for note in notes:
        told(note)
    if target is not None:
        parted.write(target, overwrite=overwrite)
    return parted
