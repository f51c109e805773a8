"""Files that cannot be read, pictures that look wrong, and annotations that do not match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tumorlens.auditing.annotations import MISFITS
from tumorlens.auditing.evidence import Evidence
from tumorlens.auditing.findings import AuditFinding, Example
from tumorlens.auditing.traits import Traits
from tumorlens.digits import say_count, say_share
from tumorlens.optional import load

__all__ = [
    "find_misfits",
    "find_oddities",
    "find_other_planes",
    "find_telling_text",
    "find_unreadable",
]

SMALLEST_SIDE, LARGEST_SIDE, LONGEST_SHAPE = 64, 4096, 2.5
FEWEST_LEVELS = 16
MOST_SATURATED = 0.2
_TELLING = 0.05  # smallest difference between the labels in the share of pictures with text
_CHANCE = 0.01  # largest p-value of such a difference

_ODD: dict[str, tuple[Callable[[Traits], bool], str, str, float]] = {
    "burnt-in text": (
        lambda one: one.letters > 0,
        "with burnt-in text beside the head, it seems",
        "remove the text if it is more frequent with one label or source than with another",
        0.2,
    ),
    "odd size": (
        lambda one: (
            min(one.shape) < SMALLEST_SIDE
            or max(one.shape) > LARGEST_SIDE
            or max(one.shape) > LONGEST_SHAPE * min(one.shape)
        ),
        "of very small, very large or very long shape",
        "look at them: they may be thumbnails or screenshots",
        0.5,
    ),
    "extreme contrast": (
        lambda one: one.levels < FEWEST_LEVELS or one.saturated > MOST_SATURATED,
        "with very few grey levels, or with large white areas",
        "look at them: they may be drawings, masks or overexposed",
        0.5,
    ),
    "CT in place of MRI": (
        lambda one: one.appearance is not None and one.appearance.is_ct,
        "that may be CT: a white rim, like bone, around an even inside",
        "look at them, and leave out those of CT; MRI with a bright scalp may look the same",
        0.5,
    ),
    "no head": (
        lambda one: one.appearance is not None and one.appearance.no_head,
        "without a head, or with one that is cut off, framed or of unusual contrast",
        "look at them, and leave out those that show no brain",
        0.5,
    ),
    "upside-down": (
        lambda one: one.appearance is not None and one.appearance.upside_down,
        "that may be upside-down",
        "turn them, or check that both labels have the same share of them",
        0.1,
    ),
    "unlike brain MRI": (
        lambda one: one.unfamiliarity > 1,
        "unlike the training data of the model: perhaps CT, or no brain MRI",
        "look at them, and leave out those that are no brain MRI",
        0.5,
    ),
}

_MISTAKEN = {
    "CT in place of MRI": 0.003,
    "no head": 0.01,
    "upside-down": 0.02,
    "other planes": 0.005,
}
"""Check by appearance -> share of pictures that it reports by mistake: about the largest share that
was seen in a public set; see docs/how-to/audit.md."""

_DOUBT = "; sets without such pictures get as many by mistake"
_DOUBTED = 0.2  # share of its impact that such a finding keeps


def find_unreadable(evidence: Evidence) -> Iterator[AuditFinding]:
    """Report files that cannot be read, and blank pictures."""
    rows = tuple(n for n in range(evidence.own) if evidence.traits[n].error)
    if rows:
        yield AuditFinding(
            "unreadable",
            "unreadable files",
            f"{say_count(len(rows), 'row')} cannot be read. The first one: "
            f"{evidence.traits[rows[0]].error}",
            "get these files again, or remove their rows",
            impact=0.3 * len(rows) / evidence.own,
            rows=rows,
            leave_out=rows,
            examples=tuple(
                Example((n,), evidence.traits[n].error) for n in rows[: evidence.most_examples]
            ),
            instances=len(rows),
        )


def find_oddities(evidence: Evidence) -> Iterator[AuditFinding]:
    """Report pictures that look wrong by themselves."""
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
    """Report slices in another plane than most of the set; unknown planes are not counted."""
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
        f"{unknown:,} unknown{doubt}",
        "measure each plane separately, and check that both labels have the same planes",
        impact=(_DOUBTED if doubt else 1) * 0.1 * len(rows) / evidence.own,
        rows=tuple(rows),
        examples=tuple(Example((n,), planes[n]) for n in rows[: evidence.most_examples]),
        instances=len(rows),
    )


def find_telling_text(evidence: Evidence) -> Iterator[AuditFinding]:
    """Report burnt-in text that is more frequent with one label: a network could use it."""
    labelled = [n for n in evidence.readable if evidence.rows[n].label]
    marked = np.array([evidence.traits[n].letters > 0 for n in labelled], bool)
    tumor = np.array([evidence.rows[n].label == "tumor" for n in labelled], bool)
    if not (marked.any() and tumor.any() and not tumor.all()):
        return
    table = [[int((marked & tumor).sum()), int((~marked & tumor).sum())]]
    table.append([int((marked & ~tumor).sum()), int((~marked & ~tumor).sum())])
    chance = float(load("scipy.stats", "burnt-in text").fisher_exact(table)[1])
    with_, without = float(marked[tumor].mean()), float(marked[~tumor].mean())
    if abs(with_ - without) < _TELLING or chance > _CHANCE:
        return
    rows = [n for n, mark in zip(labelled, marked.tolist(), strict=True) if mark]
    yield AuditFinding(
        "shortcuts",
        "burnt-in text predicts the label",
        f"burnt-in text on {say_share(with_)} of the tumor pictures and on "
        f"{say_share(without)} of the others",
        "remove the text, or balance it over the labels",
        impact=min(1.0, abs(with_ - without)),
        rows=tuple(rows),
        examples=_show(evidence, rows, "burnt-in text"),
        instances=len(rows),
    )


def find_misfits(evidence: Evidence) -> Iterator[AuditFinding]:
    """Report masks and boxes that do not match their picture."""
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
    """A remark if a finding has so few images that all of them may be reported by mistake."""
    return _DOUBT if count <= _MISTAKEN.get(check, 0) * len(evidence.central) else ""


def _show(evidence: Evidence, rows: Sequence[int], words: str) -> tuple[Example, ...]:
    return tuple(Example((row,), words) for row in rows[: evidence.most_examples])
