"""What did training learn, the tumor or the source? One table from held-out scores.

    python benchmarks/show_learning.py --folds folds.csv \\
        --left-out web=web.csv --left-out cheng=cheng.csv … > table.md

FILEs are the scores.csv that `tumorlens train --folds` and `--leave-out` write, or `tumorlens
evaluate --save-scores`. A row takes the first of the left-out files that holds all of its sources,
whatever its NAME. If there is none, the row says what is missing. Every figure comes from
`tumorlens.evaluation`, with its 95 % interval by bootstrap over groups, without rows that
`evaluate` leaves out (CT, doubtful, tiny lesions) and without pictures known as seen in training.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from site_calibration import measure_error, part_groups

from tumorlens.data.public_sets.catalogue import SETS
from tumorlens.evaluation.calibration import apply_calibration, fit_logit
from tumorlens.evaluation.figures.families import build_families
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import (
    Estimate,
    bound_replicates,
    draw_weights,
    measure,
    replicate_family,
)
from tumorlens.evaluation.figures.reliability import calibration_family
from tumorlens.evaluation.score_files import read_scores
from tumorlens.evaluation.scores import Scores, as_text, drop_unfit, join_scores

WEB = ("navoneel", "br35h", "nickparvar_web")
OTHER = "not_brain_mri/"
DEVELOPMENT = ("photo_clothing", "microscopy_nuclei_histology", "odd_files_pillow",
               "abdomen_ct_64px", "hand_xray_64px", "synthetic")  # fmt: skip
"""Kinds of `not_brain_mri` that a limit may be chosen on; the others are for the figure."""
SITE_GROUPS, SITE_DRAWS = 50, 20
FEW_PEOPLE = 10
OF_PAIRS_AND_PEOPLE = ("level_matched_auc", "within_patient_auc", "cleared_mean_of_groups",
                       "series_without_alarm")  # fmt: skip
"""Figures whose n counts no slices."""


class Missing(Exception):
    """Why a row cannot be shown."""


@dataclass(frozen=True)
class Line:
    """One row of the table; without a value, ``note`` says why."""

    what: str
    aim: str = ""
    value: str = "–"
    slices: int | None = None
    groups: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Files:
    """The scores at hand."""

    folds: Scores | None
    left_out: dict[str, Scores]

    def fold(self, *sources: str, keep_all: bool = False) -> Scores:
        if self.folds is None:
            raise Missing("no --folds FILE")
        return pick(self.folds, sources, keep_all=keep_all)

    def held(self, *sources: str, shown: Iterable[str] = ()) -> tuple[str, Scores]:
        """Name and rows of the first file that left all of these sources out."""
        for name, scores in self.left_out.items():
            if set(sources) <= set(scores.column("source")):
                return name, pick(scores, tuple(shown) or sources)
        raise Missing(f"no --left-out FILE holds {' and '.join(sources)}")


def spell(*names: str) -> tuple[str, ...]:
    """A set's name stands for all its sources."""
    return tuple(s for name in names for s in (SETS[name].sources if name in SETS else (name,)))


def pick(
    scores: Scores,
    sources: Iterable[str],
    sequence: str | None = None,
    *,
    keep_all: bool = False,
) -> Scores:
    """The rows that count, of these sources (and this sequence)."""
    rows = np.isin(scores.column("source").astype(str), list(sources)) & (scores.seen != 1)
    if sequence is not None:
        rows &= scores.column("sequence") == sequence
    kept = scores.take(rows) if keep_all else drop_unfit(scores.take(rows))[0]
    if not len(kept):
        raise Missing(f"no row of {' + '.join(sources)} {sequence or ''}".strip())
    return kept


def estimate(scores: Scores) -> dict[str, Estimate]:
    grouped = GroupedScores.of(scores)
    return {one.name: one for one in measure(build_families(grouped), grouped.names)}


def span(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f}" if low is None else f"{value:.3f} ({low:.3f}–{high:.3f})"


def line(what: str, scores: Scores, name: str, *, aim: str = "", beside: Iterable[str] = (),
         found: dict[str, Estimate] | None = None, note: str = "") -> Line:  # fmt: skip
    """A figure of these rows; those ``beside`` it stand in the note."""
    found = estimate(scores) if found is None else found
    one = found.get(name)
    if one is None or one.value is None:
        return Line(what, aim, note=one.note if one else f"{name} cannot be measured here")
    notes = [f"{x.replace('_', ' ')} {found[x].value:.3f}" for x in beside if x in found]
    notes += [note] if note else []
    if one.counts and len(one.counts) < FEW_PEOPLE:
        shares = (f"{group} {part / whole:.2f}" for group, part, whole in one.counts)
        notes.append("by group: " + ", ".join(shares))
    slices = len(scores) if name in OF_PAIRS_AND_PEOPLE else one.n
    return Line(what, aim, span(one.value, one.low, one.high), slices, one.groups,
                "; ".join(notes))  # fmt: skip


def show_folds_levels(files: Files) -> Iterator[Line]:
    aims = {"FLAIR": ("0.98", "0.98"), "T1c": ("0.90", "0.94"), "T1": ("0.88", "")}
    scores = files.fold("tcga_lgg")
    for sequence, (level, within) in aims.items():
        part = pick(scores, ["tcga_lgg"], sequence)
        yield from show_levels(f"folds: tcga_lgg {sequence}", part, level, within)


def show_levels(what: str, part: Scores, level: str, within: str) -> Iterator[Line]:
    found = estimate(part)
    if level:
        yield line(f"{what}, level-matched AUC", part, "level_matched_auc", aim=f"≥ {level}",
                   found=found)  # fmt: skip
    yield line(f"{what}, within-patient AUC", part, "within_patient_auc",
               aim=f"≥ {within}" if within else "", found=found,
               beside=["within_patient_auc_of_position"])  # fmt: skip


def show_folds_web(files: Files) -> Iterator[Line]:
    part = files.fold("navoneel")
    found = estimate(part)
    for name, aim in (("auc", "≥ 0.99"), ("sensitivity", "≥ 0.95"), ("specificity", "≥ 0.95")):
        yield line(f"folds: navoneel, {name}", part, name, aim=aim, found=found)


def show_folds_types(files: Files) -> Iterator[Line]:
    part = files.fold("cheng")
    found = estimate(part)
    kinds = [name for name in found if name.startswith("type_accuracy_")]
    yield line("folds: cheng, 3 tumor classes, accuracy", part, "type_accuracy", aim="≥ 0.96",
               found=found, beside=kinds)  # fmt: skip


def show_folds_testing(files: Files) -> Iterator[Line]:
    """All rows, CT and doubtful ones, too, as published figures count them; then without these."""
    aims = {"class_accuracy": "≥ 0.95", "auc": "≥ 0.995"}
    for words, keep_all in (("", True), (" without CT and doubtful rows", False)):
        part = files.fold(*spell("nickparvar"), keep_all=keep_all)
        # Folds take the place of the public split, which then stands in the folder's name alone.
        public = [row.split == "Testing" or "Testing" in row.path.parts for row in part.rows]
        if not any(public):
            raise Missing("no row of the public Testing part")
        part = part.take(public)
        found = estimate(part)
        for name, aim in aims.items():
            what = f"folds: nickparvar Testing{words}, {name.replace('_', ' ')}"
            yield line(what, part, name, aim=aim if keep_all else "", found=found)


def show_folds_pointing(files: Files) -> Iterator[Line]:
    for sources, sequence in ((["br35h"], None), (["cheng"], None), (["tcga_lgg"], "FLAIR"),
                              (["btp", "qin_dsc"], None)):  # fmt: skip
        what = f"folds: {' + '.join(sources)} {sequence or ''}".strip()
        part = pick(files.fold(*sources), sources, sequence)
        yield line(f"{what}, pointing game", part, "pointing", aim="≥ 0.90",
                   beside=["pointing_of_center", "pointing_best_of_grid"])  # fmt: skip


def show_left_hospitals(files: Files) -> Iterator[Line]:
    name, scores = files.held(*spell("tcga_lgg", "tumors_elsewhere"))
    for sequence, aim in (("FLAIR", "0.92"), ("T1c", "0.80")):
        part = pick(scores, ["tcga_lgg"], sequence)
        yield from show_levels(f"{name} left out: tcga_lgg {sequence}", part, aim, "")
    for sources, sequence, aim in ((["rembrandt"], "FLAIR", "0.95"),
                                   (["btp", "qin_dsc"], "T1c", "0.90")):  # fmt: skip
        what = f"{name} left out: {' + '.join(sources)} {sequence}"
        yield from show_levels(what, pick(scores, sources, sequence), "", aim)


def show_left_web(files: Files) -> Iterator[Line]:
    name, part = files.held(*WEB, shown=["navoneel"])
    yield line(f"{name} left out: navoneel, AUC", part, "auc", aim="≥ 0.95")


def show_left_cheng(files: Files) -> Iterator[Line]:
    name, part = files.held("cheng")
    found = estimate(part)
    yield line(f"{name} left out: cheng, found", part, "found", aim="≥ 0.90", found=found)
    for kind in sorted(one.removeprefix("found_") for one in found if one.startswith("found_")):
        yield line(f"…{kind}", part, f"found_{kind}", found=found)
    if "plane" not in {key for row in part.rows for key, _ in row.extra}:
        yield Line("…by plane", note="the scores have no column plane")
        return
    kinds, planes = part.column("tumor_class"), part.column("plane")
    for kind, plane in sorted(set(zip(kinds, planes, strict=True))):
        yield line(f"…{kind}, {plane}", part.take((kinds == kind) & (planes == plane)), "found")


def show_left_look_alikes(files: Files) -> Iterator[Line]:
    sources = spell("ms_iran", "look_alikes")
    name, part = files.held(*sources)
    figure = "cleared_mean_of_groups"
    yield line(f"{name} left out: cleared, mean over people", part, figure, aim="≥ 0.95")
    for source in sources:
        yield line(f"…{source}", pick(part, [source]), figure)


def show_left_healthy(files: Files) -> Iterator[Line]:
    sources = spell("healthy", "oasis")
    name, part = files.held(*sources)
    yield line(f"{name} left out: cleared", part, "cleared", aim="≥ 0.98",
               beside=["uncertain_among_no_tumor", "unfamiliar_among_no_tumor"])  # fmt: skip
    for source in sources:
        whole = pick(part, [source])
        for sequence in sorted(set(whole.column("sequence"))):
            yield line(f"…{source} {sequence}", pick(part, [source], sequence), "cleared")
    healthy = pick(part, spell("healthy"))
    yield line(f"{name} left out: series of healthy without any alarm", healthy,
               "series_without_alarm", aim="≥ 0.80")  # fmt: skip


def show_left_calibration(files: Files) -> Iterator[Line]:
    """The mean over three sources, each left out by some model."""
    parts = [files.held("tcga_lgg")[1]]
    for source in ("navoneel", "br35h"):
        try:
            parts.append(files.held(*WEB, shown=[source])[1])
        except Missing:
            parts.append(files.held(source)[1])
    slices, groups = sum(map(len, parts)), sum(len(GroupedScores.of(part).names) for part in parts)
    told = ", ".join(f"{part.rows[0].source} {measure_error(part):.3f}" for part in parts)
    yield Line("left out: ECE, mean over tcga_lgg, navoneel, br35h", "≤ 0.10",
               span(*mean_error(parts)), slices, groups, told)  # fmt: skip
    after = np.array([[calibrated_error(part, seed) for part in parts]
                      for seed in range(SITE_DRAWS)])  # fmt: skip
    low, high = np.percentile(after.mean(axis=1), [2.5, 97.5])
    told = ", ".join(
        f"{part.rows[0].source} {value:.3f}"
        for part, value in zip(parts, after.mean(axis=0), strict=True)
    )
    what = f"…after calibrating on {SITE_GROUPS} groups, on the rest, mean of {SITE_DRAWS} draws"
    note = f"{told}; in brackets 95 % of the draws"
    yield Line(what, "≤ 0.05", span(float(after.mean()), low, high), slices, groups, note)


def mean_error(parts: list[Scores]) -> tuple[float, float, float]:
    """Mean ECE and its interval; sources share no draw of groups."""
    values, drawn, groups = [], [], []
    for seed, part in enumerate(parts):
        grouped = GroupedScores.of(part)
        family = calibration_family(grouped)
        values.append(family.statistics[0].value)
        drawn.append(replicate_family(family, draw_weights(len(grouped.names), seed=seed))[:, 0])
        groups.append(family.statistics[0].groups)
    value = float(np.mean(values))
    return value, *bound_replicates(np.mean(drawn, axis=0), min(groups), value=value, biased=True)


def calibrated_error(scores: Scores, seed: int) -> float:
    site, rest = part_groups(scores, SITE_GROUPS, seed)
    return measure_error(apply_calibration(rest, fit_logit(site.tumor_probability, site.tumor,
                                                     site.group)))  # fmt: skip


def show_unfamiliar(files: Files) -> Iterator[Line]:
    """Pictures that are no brain MRI against the brain MRI that the same file holds."""
    shown = False
    for name, scores in files.left_out.items():
        odd = np.array([judge_kind(row.source, row.note) for row in scores.rows])
        brains = np.flatnonzero(odd == "brain")
        fit = drop_unfit(scores.take(brains))[0]
        strange = scores.take(odd == "strange")
        if not len(fit) or not any(row.source.startswith(OTHER) for row in strange.rows):
            continue
        shown = True
        part = turn_to_familiarity(strange, fit)
        found = estimate(part)
        yield line(f"{name}: no brain MRI against brain MRI, AUROC of unfamiliarity", part, "auc",
                   aim="≥ 0.995", found=found)  # fmt: skip
        yield line(f"{name}: no brain MRI called unfamiliar", part, "found", aim="≥ 0.97",
                   found=found)  # fmt: skip
        yield line(f"{name}: brain MRI called unfamiliar", part, "alarm", aim="≤ 0.02",
                   found=found)  # fmt: skip
    if not shown:
        raise Missing("no --left-out FILE holds not_brain_mri beside brain MRI of sources left out")


def judge_kind(source: str, note: str) -> str:
    kind = source.removeprefix(OTHER)
    if kind in DEVELOPMENT:
        return "development"
    return "strange" if kind != source or "CT head" in note else "brain"


def turn_to_familiarity(strange: Scores, brains: Scores) -> Scores:
    """Scores of the question "is this no brain MRI?", so that the usual figures answer it."""
    both = join_scores([strange, brains])
    labels = ["tumor"] * len(strange) + ["no_tumor"] * len(brains)
    value = both.unfamiliarity
    return replace(
        both,
        rows=tuple(
            replace(row, label=label, tumor_class="", position=None, boxes=(), mask=None)
            for row, label in zip(both.rows, labels, strict=True)
        ),
        tumor_probability=value / (1 + value),
        thresholds=np.full((len(both), 3), 0.5),
        verdict=as_text(["tumor" if one > 1 else "no_tumor" for one in value]),
        unfamiliarity=np.zeros(len(both)),
        hits=np.full((len(both), 3), np.nan),
    )


def show_nuisance(files: Files) -> Iterator[Line]:
    del files
    raise Missing("needs the pictures, not their scores: see tumorlens audit")
    yield


SHOWN: dict[str, Callable[[Files], Iterator[Line]]] = {
    "folds: tcga_lgg, level-matched and within-patient AUC": show_folds_levels,
    "folds: navoneel": show_folds_web,
    "folds: cheng, 3 tumor classes": show_folds_types,
    "folds: nickparvar Testing": show_folds_testing,
    "folds: pointing game": show_folds_pointing,
    "tcga_lgg and tumors_elsewhere left out": show_left_hospitals,
    "all web pictures left out": show_left_web,
    "cheng left out": show_left_cheng,
    "ms_iran and look_alikes left out": show_left_look_alikes,
    "healthy and oasis left out": show_left_healthy,
    "left out: ECE over tcga_lgg, navoneel, br35h": show_left_calibration,
    "no brain MRI": show_unfamiliar,
    "nuisance classifier": show_nuisance,
}


def list_lines(files: Files) -> Iterator[Line]:
    for what, show in SHOWN.items():
        try:
            yield from show(files)
        except Missing as reason:
            yield Line(what, note=f"left out: {reason}")


def print_line(one: Line) -> None:
    numbers = ["" if n is None else f"{n:,}" for n in (one.slices, one.groups)]
    cells = [one.what, one.value, one.aim, *numbers, one.note]
    print("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=Path, metavar="FILE")
    parser.add_argument("--left-out", action="append", default=[], metavar="NAME=FILE[+FILE]")
    options = parser.parse_args()
    pairs = [one.partition("=")[::2] for one in options.left_out]
    files = Files(
        None if options.folds is None else read_scores(options.folds),
        {
            name: join_scores([read_scores(one) for one in str(file).split("+")])
            for name, file in pairs
        },
    )
    print("| figure | value (95 % interval) | aim | slices | groups | beside it |")
    print("|---|---|---|---|---|---|")
    for one in list_lines(files):
        print_line(one)


if __name__ == "__main__":
    main()
