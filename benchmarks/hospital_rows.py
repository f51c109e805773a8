"""The rows of the table of `show_hospitals.py`: which slices, which figure, and what is the aim."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from study_evidence import name_slice

from tumorlens.evaluation.figures.clearing import clearing_family, part_people
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import Family
from tumorlens.evaluation.figures.levels import level_families
from tumorlens.evaluation.figures.patients import patient_family
from tumorlens.evaluation.figures.pointing import pointing_family
from tumorlens.evaluation.figures.ranking import ranking_family
from tumorlens.evaluation.figures.reliability import calibration_family
from tumorlens.evaluation.figures.verdict_figures import verdict_family
from tumorlens.evaluation.scores import Scores

STROKE = re.compile("stroke|infarct", re.IGNORECASE)
COPIES = re.compile(r"g\d+")
NO_BRAIN = "no_brain.png"
"""The mask of slices that lie beyond the brain, as release/label_data.py names it."""

BoolArray = npt.NDArray[np.bool_]
Choice = Callable[[Scores], BoolArray]
Build = Callable[[GroupedScores], Sequence[Family]]


# Which slices a row is about.


def take_all(scores: Scores) -> BoolArray:
    return np.ones(len(scores), bool)


def is_free(scores: Scores) -> BoolArray:
    """Of people without any tumor slice."""
    return part_people(GroupedScores.of(scores))[0]


def of_sources(*names: str, sequence: str = "") -> Choice:
    def choose(scores: Scores) -> BoolArray:
        rows = np.isin(scores.column("source").astype(str), names)
        return rows & ((scores.column("sequence") == sequence) | (sequence == ""))

    return choose


def of_plane(source: str, plane: str) -> Choice:
    return lambda scores: of_sources(source)(scores) & (scores.column("plane") == plane)


def in_sets(*names: str) -> Choice:
    return lambda scores: np.array([name_slice(row.path)[0] in names for row in scores.rows])


def among(*choices: Choice) -> Choice:
    """The slices that all choices take."""
    return lambda scores: np.logical_and.reduce([choose(scores) for choose in choices])


def free_beside(choice: Choice) -> Choice:
    """Those chosen, and all of tumor-free people, who set the threshold."""
    return lambda scores: choice(scores) | is_free(scores)


def of_folds(*names: str) -> Choice:
    return lambda scores: np.isin(scores.fold.astype(str), names)


def of_whole_heads(*sources: str) -> Choice:
    """All slices of the people of `heads`, who are known from neck to cap."""

    def choose(scores: Scores) -> BoolArray:
        people = set(scores.group[in_sets("heads")(scores)])
        rows = np.array([group in people for group in scores.group])
        return rows & (of_sources(*sources)(scores) if sources else True)

    return choose


def is_normal(scores: Scores) -> BoolArray:
    return np.asarray(scores.label == "no_tumor", bool)


def is_tumor(scores: Scores) -> BoolArray:
    return scores.tumor


def is_large(scores: Scores) -> BoolArray:
    """Tumor slices of more than 150 pixels."""
    return part_people(GroupedScores.of(scores))[1]


def without_copies(scores: Scores) -> BoolArray:
    """All slices, but one alone of each group of copies of a tumor-free web image.

    Such groups are named g and a number; all others are people.
    """
    seen: set[str] = set()
    kept = np.ones(len(scores), bool)
    for place in np.flatnonzero(is_free(scores)).tolist():
        group = scores.rows[place].group
        if COPIES.fullmatch(group):
            kept[place] = group not in seen
            seen.add(group)
    return kept


def is_judged(scores: Scores) -> BoolArray:
    return np.asarray(scores.verdict != "not_judged", bool)


def is_stroke(scores: Scores) -> BoolArray:
    told = [bool(STROKE.search(row.note)) for row in scores.rows]
    return np.array(told) | of_sources("stroke", "stroke_m2307", "full_head_t1")(scores)


def is_apart(scores: Scores) -> BoolArray:
    """Two or more slices from every tumor slice of their series, by the number of the file."""
    numbers = np.array([int(re.sub(r"\D", "", row.path.stem) or -9) for row in scores.rows])
    series = np.array([f"{row.group_key} {row.sequence}" for row in scores.rows], object)
    apart = is_normal(scores)
    for name in set(series[apart]):
        rows = series == name
        ill = numbers[rows & scores.tumor]
        far = [len(ill) == 0 or np.abs(ill - one).min() >= 2 for one in numbers[rows]]
        apart[rows] &= np.array(far, bool)
    return apart


def shows_brain(scores: Scores) -> BoolArray:
    """Not known to lie beyond the brain."""
    beyond = [
        (row.brain is not None and row.brain.name == NO_BRAIN) or "no brain in this" in row.note
        for row in scores.rows
    ]
    return ~np.array(beyond, bool)


# Which figures it needs.


def optional(family: Callable[[GroupedScores], Family | None], of: GroupedScores) -> list[Family]:
    found = family(of)
    return [] if found is None else [found]


clearing = partial(optional, clearing_family)
pointing = partial(optional, pointing_family)
series = partial(optional, patient_family)
verdicts = partial(optional, verdict_family)
calibration = partial(optional, calibration_family)
ranking = partial(optional, ranking_family)


@dataclass(frozen=True)
class Question:
    """A row of the table.

    Attributes:
        what: in words.
        figure: its name in `tumorlens.evaluation`.
        build: gives that figure among others.
        rows: the slices.
        aim: what the project wants to reach.
        view: ``given``, ``ranked`` or ``balanced`` (`show_hospitals.judge_all`), or
            ``other things`` than the brain.
        turned: show 1 less the figure.
        unit: what is counted; by default what the figure counts.
    """

    what: str
    figure: str
    build: Build = clearing
    rows: Choice = take_all
    aim: str = ""
    view: str = "given"
    turned: bool = False
    unit: str = "slices"


def ask_found(title: str, view: str, rows: Choice = take_all, aim: str = "") -> list[Question]:
    return [Question(f"{title}, found at 99 % cleared", "found_at_99_cleared", rows=rows, aim=aim,
                     view=view),
            Question(f"{title}, found at 95 % cleared", "found_at_95_cleared", rows=rows,
                     view=view)]  # fmt: skip


def ask_fold(name: str) -> list[Question]:
    title = f"…fold {name} alone"
    return [
        *ask_found(title, "given", of_folds(name)),
        Question(f"{title}, AUC of slices", "auc", ranking, of_folds(name)),
    ]


def ask_parts() -> Iterator[Question]:
    """Found at 99 and 95 % cleared by what the slices show; every threshold is that of all."""
    parts = ("FLAIR", "T2", "T1c", "T1", "glioma", "meningioma", "pituitary", "skull_on",
             "skull_off")  # fmt: skip
    for part in parts:
        for percent in (99, 95):
            words = part.replace("_", " ")
            yield Question(f"…{words}, {percent} %", f"found_at_{percent}_cleared_{part}")


def ask_types() -> Iterator[Question]:
    aims = {"meningioma": "≥ 0.90", "glioma": "≥ 0.85", "pituitary": "≥ 0.70"}
    both = free_beside(of_sources("cheng"))
    for place, rows in (("", both), (" (threshold of fold 2 alone)", among(of_folds("2"), both))):
        for kind, aim in aims.items():
            yield Question(f"`cheng`, {kind}, found at 99 % cleared{place}",
                           f"found_at_99_cleared_{kind}", rows=rows, aim=aim)  # fmt: skip


def ask_planes() -> Iterator[Question]:
    for plane in ("axial", "coronal", "sagittal"):
        rows = among(of_folds("2"), free_beside(of_plane("cheng", plane)))
        yield Question(f"…{plane} slices of the three types", "found_at_99_cleared", rows=rows)


def ask_levels() -> Iterator[Question]:
    for sequence, aim in (("FLAIR", "≥ 0.93"), ("T1c", "≥ 0.80"), ("T1", "≥ 0.82")):
        yield Question(f"`tcga_lgg` {sequence}, level-matched AUC", "level_matched_auc",
                       level_families, of_sources("tcga_lgg", sequence=sequence), aim,
                       unit="of the row")  # fmt: skip


HEADS = of_whole_heads()
ALIKE = among(is_normal, in_sets("ms_iran", "look_alikes", "look_alikes_2"))
STROKES = among(ALIKE, is_stroke)
Balanced = partial(Question, view="balanced", build=verdicts)
QUESTIONS = (
    *ask_found("all folds", "given", aim="≥ 0.75, and better than the yardstick"),
    *ask_parts(),
    *ask_found("all folds, one alone of the copies of a tumor-free web image", "given",
               without_copies),
    *ask_found("all folds, each at its own threshold", "ranked"),
    *(q for k in "0123" for q in ask_fold(k)),
    Question("all folds, AUC of slices", "auc", ranking),
    Question("all folds, AUC within a patient", "within_patient_auc", level_families,
             unit="of the row"),
    Question("series of tumor-free people with an alarm at 99 % cleared",
             "series_with_alarm_at_99_cleared", unit="series"),
    Question("…at `balanced`", "series_without_alarm", series, is_free, "≤ 0.15", "balanced",
             turned=True, unit="series"),
    Balanced("tumor slices over 150 pixels called tumor at `balanced`", "found", rows=is_large),
    Balanced("slices of tumor-free people called tumor at `balanced`", "alarm", rows=is_free),
    Balanced("whole heads, slices called tumor at `balanced`", "alarm", rows=HEADS, aim="≤ 0.01"),
    Balanced("…`ds000011`", "alarm", rows=of_whole_heads("ds000011")),
    Balanced("…`demo_subjects`", "alarm", rows=of_whole_heads("demo_subjects")),
    Balanced("…the slices of the set `heads` alone", "alarm", rows=in_sets("heads")),
    Balanced("`roboflow_ch`, slices two or more from a tumor called tumor at `balanced`", "alarm",
             rows=among(of_sources("roboflow_ch"), is_apart), aim="≤ 0.03"),
    *ask_levels(),
    *ask_types(),
    *ask_planes(),
    Balanced("look-alikes cleared at `balanced`, mean over people", "cleared_mean_of_groups",
             rows=ALIKE, aim="≥ 0.98", unit="people"),
    Balanced("…slices", "cleared", rows=ALIKE),
    Balanced("strokes cleared at `balanced`, mean over people", "cleared_mean_of_groups",
             rows=STROKES, aim="≥ 0.92", unit="people"),
    Balanced("…slices", "cleared", rows=STROKES),
    Question("pointing, all masks and boxes", "pointing", pointing, aim="≥ 0.90"),
    Question("ECE, sources with both labels", "ece", calibration, aim="≤ 0.04"),
    Question("CT of the abdomen, angiograms, maps of diffusion (kinds that no training had): told "
             "as no MRI of the brain", "unfamiliar", verdicts, aim="≥ 0.95", view="other things"),
    Balanced("slices not known to lie beyond the brain: unfamiliar", "unfamiliar",
             rows=shows_brain, aim="≤ 0.02"),
    Balanced("…tumor slices not judged", "not_judged_among_tumor", rows=is_tumor),
    Balanced("…slices of `heads` with brain, by their mask, not judged",
             "not_judged_among_no_tumor", rows=among(in_sets("heads"), shows_brain)),
    Balanced("slices decided at `balanced`", "coverage", aim="≥ 0.92"),
    Balanced("…of those not known to lie beyond the brain", "coverage", rows=shows_brain),
    Balanced("…of those that are judged", "coverage", rows=is_judged),
)  # fmt: skip
SMALL = (
    *ask_found("small model", "given", aim="difference ≥ −0.03"),
    *(q for q in ask_parts() if not q.figure.endswith(("glioma", "meningioma", "pituitary"))),
    Question("AUC of slices", "auc", ranking),
    *ask_levels(),
    Question("pointing", "pointing", pointing),
    Question("ECE", "ece", calibration),
)
