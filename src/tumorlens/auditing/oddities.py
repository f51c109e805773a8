"""Single files that cannot be read or look wrong, and annotations that do not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tumorlens.auditing.annotations import MISFITS
from tumorlens.auditing.evidence import Evidence
from tumorlens.auditing.findings import AuditFinding, Example, say_count
from tumorlens.auditing.traits import Traits
from tumorlens.optional import load

__all__ = [
    "find_misfits",
    "find_oddities",
    "find_other_planes",
    "find_telling_marks",
    "find_unreadable",
]

SMALLEST_SIDE, LARGEST_SIDE, LONGEST_SHAPE = 64, 4096, 2.5
FEWEST_LEVELS = 16
MOST_SATURATED = 0.2
_TELLING = 0.05  # difference of rates from which marks tell the label
_CHANCE = 0.01  # of as great a difference by chance

_ODD: dict[str, tuple[Callable[[Traits], bool], str, str, float]] = {
    "burnt-in marks": (
        lambda one: one.marks > 0,
        "with what looks like letters or marks beside the head",
        "cut them away if they stand with one label or source more than with another",
        0.2,
    ),
    "odd size": (
        lambda one: (
            min(one.shape) < SMALLEST_SIDE
            or max(one.shape) > LARGEST_SIDE
            or max(one.shape) > LONGEST_SHAPE * min(one.shape)
        ),
        "of very small, very large or very long shape",
        "look at them: thumbnails and screenshots hold no slice",
        0.5,
    ),
    "extreme contrast": (
        lambda one: one.levels < FEWEST_LEVELS or one.saturated > MOST_SATURATED,
        "with hardly any grey levels, or white in large parts",
        "look at them: drawings, masks and overexposed pictures hold no slice",
        0.5,
    ),
    "CT in place of MRI": (
        lambda one: one.appearance is not None and one.appearance.is_ct,
        "perhaps of CT: a rim as white as bone around a flat inside",
        "look at them, and leave out the CTs; an MRI with a bright scalp may be among them",
        0.5,
    ),
    "no head": (
        lambda one: one.appearance is not None and one.appearance.no_head,
        "without a head, or with one that is cut off, framed or of unusual contrast",
        "look at them, and leave out what is no brain",
        0.5,
    ),
    "upside-down": (
        lambda one: one.appearance is not None and one.appearance.upside_down,
        "perhaps upside-down",
        "turn them, or see that they stand with both labels alike",
        0.1,
    ),
    "unlike brain MRI": (
        lambda one: one.unfamiliarity > 1,
        "unlike what the model learned from: no brain MRI, CT, or an unusual one",
        "look at them, and leave out what is no brain MRI",
        0.5,
    ),
}

_MISTAKEN = {
    "CT in place of MRI": 0.003,
    "no head": 0.01,
    "upside-down": 0.02,
    "other planes": 0.005,
}
"""Check that goes by looks -> share of pictures that it names by mistake, about the most that was
seen in a public set; docs/how-to/audit.md."""

_DOUBT = "; no more than are named by mistake in sets without any"
_DOUBTED = 0.2  # of its impact that such a finding keeps


def find_unreadable(evidence: Evidence) -> Iterator[AuditFinding]:
    """Files that no reader takes, and blank pictures."""
    rows = tuple(n for n in range(evidence.own) if evidence.traits[n].error)
    if rows:
        yield AuditFinding(
            "unreadable",
            "unreadable files",
            f"{say_count(len(rows), 'row')} cannot be read; the first: "
            f"{evidence.traits[rows[0]].error}",
            "get these files anew, or remove their rows",
            impact=0.3 * len(rows) / evidence.own,
            rows=rows,
            leave_out=rows,
            examples=tuple(
                Example((n,), evidence.traits[n].error) for n in rows[: evidence.most_examples]
            ),
            instances=len(rows),
        )


def find_oddities(evidence: Evidence) -> Iterator[AuditFinding]:
    """Pictures that look wrong by themselves."""
    for check, (is_odd, what, advice, weight) in _ODD.items():
        known = evidence.central if check in _MISTAKEN else evidence.readable
        rows = [n for n in known if is_odd(evidence.traits[n])]
        if check == "unlike brain MRI":  # the strangest first
            rows.sort(key=lambda n: -evidence.traits[n].unfamiliarity)
        if rows:
            doubt = _doubt(evidence, check, len(rows))
            yield AuditFinding(
                "suspicious",
                check,
                f"{say_count(len(rows), 'picture')} {what}{doubt}",
                advice,
                impact=(_DOUBTED if doubt else 1) * weight * len(rows) / evidence.own,
                rows=tuple(sorted(rows)),
                examples=_show(evidence, rows, check),
                instances=len(rows),
            )


def find_other_planes(evidence: Evidence) -> Iterator[AuditFinding]:
    """Slices in another plane than most of the set; those that cannot be told are not counted."""
    planes = {
        n: look.plane
        for n in evidence.central
        if (look := evidence.traits[n].appearance) is not None and not look.no_head
    }
    counts = Counter(filter(None, planes.values()))
    if len(counts) < 2:
        return
    usual = counts.most_common(1)[0][0]
    rows = [n for n, plane in planes.items() if plane not in ("", usual)]
    known = ", ".join(f"{count:,} {plane}" for plane, count in counts.most_common())
    unknown = len(planes) - sum(counts.values())
    doubt = _doubt(evidence, "other planes", len(rows))
    yield AuditFinding(
        "suspicious",
        "other planes",
        f"{say_count(len(rows), 'picture')} in another plane than {usual}, it seems: {known}, "
        f"{unknown:,} not told{doubt}",
        "measure each plane by itself, and see that planes stand with both labels alike",
        impact=(_DOUBTED if doubt else 1) * 0.1 * len(rows) / evidence.own,
        rows=tuple(rows),
        examples=tuple(Example((n,), planes[n]) for n in rows[: evidence.most_examples]),
        instances=len(rows),
    )


def find_telling_marks(evidence: Evidence) -> Iterator[AuditFinding]:
    """Marks that stand with one label: a network will read them."""
    labelled = [n for n in evidence.readable if evidence.rows[n].label]
    marked = np.array([evidence.traits[n].marks > 0 for n in labelled], bool)
    tumor = np.array([evidence.rows[n].label == "tumor" for n in labelled], bool)
    if not (marked.any() and tumor.any() and not tumor.all()):
        return
    table = [[int((marked & tumor).sum()), int((~marked & tumor).sum())]]
    table.append([int((marked & ~tumor).sum()), int((~marked & ~tumor).sum())])
    chance = float(load("scipy.stats", "marks").fisher_exact(table)[1])
    with_, without = float(marked[tumor].mean()), float(marked[~tumor].mean())
    if abs(with_ - without) < _TELLING or chance > _CHANCE:
        return
    rows = [n for n, mark in zip(labelled, marked.tolist(), strict=True) if mark]
    yield AuditFinding(
        "shortcuts",
        "marks tell the label",
        f"letters or marks stand on {with_:.0%} of the tumor pictures and on {without:.0%} of "
        "the others",
        "cut the marks away, or balance them over the labels",
        impact=min(1.0, abs(with_ - without)),
        rows=tuple(rows),
        examples=_show(evidence, rows, "burnt-in marks"),
        instances=len(rows),
    )


def find_misfits(evidence: Evidence) -> Iterator[AuditFinding]:
    """Masks and boxes that do not fit their picture."""
    annotated = sum(
        row.mask is not None or bool(row.boxes) for row in evidence.rows[: evidence.own]
    )
    for check, advice in MISFITS.items():
        rows = [n for n in evidence.readable if check in evidence.traits[n].misfits]
        if rows:
            yield AuditFinding(
                "annotations",
                check,
                f"{len(rows):,} of {say_count(annotated, 'annotated row')}: {check}",
                advice,
                impact=0.5 * len(rows) / max(1, annotated),
                rows=tuple(rows),
                leave_out=tuple(rows),
                examples=_show(evidence, rows, check),
                instances=len(rows),
            )


def _doubt(evidence: Evidence, check: str, count: int) -> str:
    """Words for a finding that names no more pictures than are named by mistake elsewhere."""
    return _DOUBT if count <= _MISTAKEN.get(check, 0) * len(evidence.central) else ""


def _show(evidence: Evidence, rows: Sequence[int], words: str) -> tuple[Example, ...]:
    return tuple(Example((row,), words) for row in rows[: evidence.most_examples])
