"""Tables of scores drawn from a known world: groups that resemble themselves, known truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tumorlens.data.rows import Row
from tumorlens.evaluation.scores import Scores, as_text

CLASSES = ("no_tumor", "glioma", "meningioma", "pituitary")


def judge(chance: np.ndarray, unfamiliarity: np.ndarray, low: float, high: float) -> list[str]:
    verdict = np.where(chance >= high, "tumor", np.where(chance < low, "no_tumor", "uncertain"))
    return [str(word) for word in np.where(unfamiliarity > 1, "unfamiliar", verdict)]


def make_rows(
    group: Sequence[str], tumor: Sequence[bool], position: Sequence[float] | None = None, **columns
) -> list[Row]:
    """Rows of one source; a list in ``columns`` has one value a row."""
    rows = []
    for i, (name, ill) in enumerate(zip(group, tumor, strict=True)):
        more = {k: v[i] if isinstance(v, (list, np.ndarray)) else v for k, v in columns.items()}
        fields = {"source": "here", "sequence": "FLAIR"} | more
        rows.append(
            Row(
                path=Path(f"/data/{i}.png"),
                group=str(name),
                label="tumor" if ill else "no_tumor",
                position=None if position is None else float(position[i]),
                **fields,
            )
        )
    return rows


def make_scores(
    rows: Sequence[Row],
    chance: np.ndarray,
    *,
    classes: Sequence[str] = ("no_tumor", "tumor"),
    thresholds: tuple[float, float, float] = (0.3, 0.5, 0.7),
    unfamiliarity: np.ndarray | None = None,
    **columns,
) -> Scores:
    """Scores with the given tumor probabilities; tumor classes share them 3 : 2 : 1…"""
    n = len(rows)
    unfamiliarity = np.full(n, 0.5) if unfamiliarity is None else unfamiliarity
    shares = np.arange(len(classes) - 1, 0, -1, dtype=float)
    chances = np.column_stack([1 - chance, np.outer(chance, shares / shares.sum())])
    fields = {
        "rows": tuple(rows),
        "name": "table",
        "classes": tuple(classes),
        "tumor_probability": np.asarray(chance, float),
        "probabilities": chances,
        "unfamiliarity": unfamiliarity,
        "verdict": as_text(judge(chance, unfamiliarity, thresholds[0], thresholds[2])),
        "thresholds": np.tile(thresholds, (n, 1)),
        "peak_xy": np.full((n, 2), np.nan),
        "boxes": as_text([""] * n),
        "fold": as_text([""] * n),
        "seen": np.full(n, np.nan),
        "hits": np.full((n, 3), np.nan),
        "model": "tiny 0",
        "operating_point": "balanced",
    }
    return Scores(**{**fields, **columns})


def draw_scores(
    groups: int = 30,
    slices: int = 10,
    *,
    seed: int = 0,
    shift: float = 1.0,
    alike: float = 1.0,
    scale: float = 1.0,
    **columns,
) -> Scores:
    """Groups of slices whose logits share a random part of standard deviation ``alike``."""
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(groups), slices)
    tumor = rng.random(groups * slices) < 0.4
    logit = np.where(tumor, shift, -shift) + rng.normal(0, alike, groups)[code]
    logit += rng.normal(0, 1, groups * slices)
    names = [f"patient-{g}" for g in code]
    rows = make_rows(names, tumor, rng.random(groups * slices))
    # Rounded so that ties stand in the data.
    return make_scores(rows, np.round(1 / (1 + np.exp(-scale * logit)), 2), **columns)


def draw_heads(
    patients: int = 40,
    slices: int = 20,
    *,
    seed: int = 0,
    folds: int = 0,
    prefix: str = "patient",
) -> Scores:
    """Half of the patients have a tumor of six slices, whose logits are higher by 3."""
    rng = np.random.default_rng(seed)
    group, tumor, logit = [], [], []
    for patient in range(patients):
        marks = np.zeros(slices, bool)
        if patient % 2:
            start = rng.integers(3, slices - 9)
            marks[start : start + 6] = True
        group += [f"{prefix}-{patient}"] * slices
        tumor += marks.tolist()
        logit += (np.where(marks, 1.5, -1.5) + rng.normal(0, 1, slices)).tolist()
    position = np.tile(np.linspace(0, 1, slices), patients)
    chance = 1 / (1 + np.exp(-np.array(logit)))
    scores = make_scores(make_rows(group, tumor, position), chance)
    number = np.repeat(np.arange(patients) // 2 % max(folds, 1), slices)
    return replace(scores, fold=as_text([f"{n}" if folds else "" for n in number]))
