"""`plan_training`: what a training settles once, before any picture is prepared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorlens.data.rows import Manifest
from tumorlens.errors import DataError
from tumorlens.network.weights import find_weights
from tumorlens.progress import Notice
from tumorlens.training.ancestry import Ancestor, find_ancestors
from tumorlens.training.journal import LENIENCY
from tumorlens.training.request import Request
from tumorlens.training.rows.fingerprints import FileDigests, fingerprint_rows
from tumorlens.training.rows.selection import (
    Selection,
    check_groups,
    hold_out_test,
    select_rows,
)

__all__ = ["Plan", "describe_run", "plan_training"]


@dataclass(frozen=True, eq=False)
class Plan:
    """What is settled before any image of a training is prepared.

    Attributes:
        selection: rows that may be trained on, and what was removed.
        test: rows on which the finished model is tested, once.
        weights: files of the initial weights. If there are several, they are models whose mean is
            taken. If there is none, it is the file that torchvision publishes.
        ancestors: models that the new one starts from or learns from.
        fingerprint: SHA-256 over the rows that may be trained on.
    """

    selection: Selection
    test: Manifest
    weights: tuple[Path, ...]
    ancestors: list[Ancestor]
    fingerprint: str

    @property
    def inherits(self) -> bool:
        """Whether the initial weights are those of a model file."""
        return any(map(_is_model, self.weights))


def plan_training(request: Request, digests: FileDigests | None = None) -> Plan:
    """Choose the rows, find the weights and the models behind them, and read the data once.

    Args:
        request: what is asked for.
        digests: hashes of files that another training of the same data has already read.

    Raises:
        DataError: the rows cannot serve, or the weights are not there; says what to do.
        ModelFileError: a teacher, or the model to start from, cannot be loaded.
    """
    check_groups(request.manifest)
    manifest, test = hold_out_test(request.manifest, request.recipe)
    selection = select_rows(manifest, request.recipe)
    weights = _find_all_weights(request)
    models = filter(_is_model, weights)
    ancestors = find_ancestors([*request.teachers, *models])
    _tell_unknown(ancestors, request.notice)
    return Plan(
        selection, test, weights, ancestors, fingerprint_rows(selection.manifest.rows, digests)
    )


def describe_run(request: Request, plan: Plan) -> dict[str, Any]:
    """The content of ``run.json``. A run is resumed only if all of this is the same."""
    rows = plan.selection.manifest
    return {
        "recipe": request.recipe.to_record(),
        "data": {
            "fingerprint": plan.fingerprint,
            "slices": len(rows),
            "groups": len(rows.groups),
            "sources": dict(Counter(row.source for row in rows.rows)),
            "removed": plan.selection.removed,
            "left_out": request.left_out_counts,
        },
        "weights": " + ".join(one.name for one in plan.weights) or None,
        **({"learned_from": [one.name for one in plan.ancestors]} if plan.ancestors else {}),
        LENIENCY: {
            "skip_unreadable": request.skip_unreadable,
            "drop_conflicts": request.drop_conflicts,
        },
    }


def _find_all_weights(request: Request) -> tuple[Path, ...]:
    width = request.recipe.network.width
    if len(request.weights) < 2:
        found = find_weights(request.weights[0] if request.weights else None, width)
        return () if found is None else (found,)
    several = tuple(filter(None, (find_weights(one, width) for one in request.weights)))
    other = next((one for one in several if not _is_model(one)), None)
    if other is not None:
        raise DataError(
            f"{other}: is no model of tumorlens; only of models (.onnx) that were trained from one "
            "start can the mean of several be taken: give one file as `weights=`"
        )
    return several


def _is_model(weights: Path) -> bool:
    return weights.suffix == ".onnx"


def _tell_unknown(ancestors: list[Ancestor], notice: Notice) -> None:
    for one in ancestors:
        if one.fingerprints is None:
            notice(
                f"{one.name}: does not tell what it was trained on, so validation and test "
                "pictures that it has seen count as new"
            )
