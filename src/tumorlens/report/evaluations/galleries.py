"""Pictures of the worst mistakes of a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tumorlens.data.rows import Row
from tumorlens.detector import Detector
from tumorlens.digits import show_probability
from tumorlens.errors import InputError
from tumorlens.evaluation.figures.verdict_figures import predict_classes
from tumorlens.evaluation.scores import Scores
from tumorlens.finding import VERDICTS, Box, Finding, Verdict
from tumorlens.imaging.readers import read_slice
from tumorlens.imaging.slices import Slice
from tumorlens.report.pages import Block, Gallery, PageImage, Text, Tile
from tumorlens.report.pictures.overlay import draw_thumbnail

__all__ = ["MOST_TILES", "Mistake", "find_mistakes", "show_mistakes"]

MOST_TILES = 9
"""Pictures of one kind of mistake: a page stays small, however large the set."""


@dataclass(frozen=True)
class Mistake:
    """One slice on the wrong side of the middle threshold.

    Attributes:
        index: index of its row in the scores.
        row: the slice.
        called: the answer of the model.
        chance: its tumor probability.
    """

    index: int
    row: Row
    called: str
    chance: float

    @property
    def name(self) -> str:
        """Of the slice."""
        return self.row.short_name


def find_mistakes(scores: Scores, *, missed: bool) -> list[Mistake]:
    """Slices on the wrong side, the worst first; of each group its worst before any second.

    Args:
        scores: labelled slices.
        missed: tumors that were called none; else alarms where there is none.
    """
    wrong = scores.tumor & ~scores.called if missed else ~scores.tumor & scores.called
    rows = np.flatnonzero(wrong & scores.labelled)
    chance = scores.tumor_probability[rows]
    order = rows[np.argsort(chance if missed else -chance, kind="stable")].tolist()
    called = predict_classes(scores) if scores.probabilities.shape[1] else None
    times: dict[str, int] = {}
    ranked = []
    for index in order:
        group = str(scores.group[index])
        times[group] = times.get(group, 0) + 1
        word = "tumor" if scores.called[index] else "no_tumor"
        if called is not None:
            word = str(called[index])
        chance_of_it = float(scores.tumor_probability[index])
        ranked.append((times[group], Mistake(index, scores.rows[index], word, chance_of_it)))
    return [mistake for _, mistake in sorted(ranked, key=lambda pair: pair[0])]


def show_mistakes(
    scores: Scores, detector: Detector | None = None, *, most: int = MOST_TILES
) -> list[Block]:
    """Galleries of missed tumors and of false alarms.

    Args:
        scores: labelled slices; their pictures are read by path, where they exist.
        detector: judges the images again for their heat maps; without it there are none.
        most: largest number of pictures of each kind.
    """
    blocks: list[Block] = []
    for missed, words in ((True, "Missed tumors"), (False, "False alarms")):
        mistakes = find_mistakes(scores, missed=missed)
        if not mistakes:
            blocks.append(Text((f"{words}: none.",)))
            continue
        tiles, absent = _collect_tiles(scores, mistakes, detector, most)
        if tiles:
            shown = f"the worst {len(tiles)} of {len(mistakes):,}"
            blocks.append(Gallery(f"{words}: {shown}; different groups come first", tuple(tiles)))
        if absent:
            blocks.append(Text((f"{words}: {absent} of the pictures to show could not be read.",)))
    if any(isinstance(block, Gallery) for block in blocks):
        blocks.insert(0, Text((_explain(detector is not None),)))
    return blocks


def _explain(heated: bool) -> str:
    drawn = (
        "Left: the slice. Right: the heat map of the model. Blue: its boxes and strongest "
        "point. Green: boxes that people drew."
    )
    if heated:
        return drawn
    return (
        "Made from a table of scores, without the model, so there are no heat maps. Left: the "
        "slice. Right: the boxes and the strongest point of the table (blue), and the boxes that "
        "people drew (green)."
    )


def _collect_tiles(
    scores: Scores, mistakes: list[Mistake], detector: Detector | None, most: int
) -> tuple[list[Tile], int]:
    tiles: list[Tile] = []
    absent = 0
    for mistake in mistakes[: 3 * most]:
        try:
            slice_ = read_slice(mistake.row.path, mistake.row.frame or 0)
        except InputError:
            absent += 1
            continue
        finding = _judge(slice_, detector) or _recall(slice_, scores, mistake.index)
        tiles.append(_make_tile(slice_, finding, mistake))
        if len(tiles) == most:
            break
    return tiles, absent


def _judge(slice_: Slice, detector: Detector | None) -> Finding | None:
    if detector is None:
        return None
    return next(finding for _, finding in detector.judge([slice_]))


def _recall(slice_: Slice, scores: Scores, index: int) -> Finding:
    """A finding with what the table holds."""
    x, y = scores.peak_xy[index].tolist()
    word = scores.verdict[index]
    verdict: Verdict = word if word in VERDICTS else "uncertain"
    return Finding(
        info=slice_.info,
        verdict=verdict,
        tumor_probability=float(scores.tumor_probability[index]),
        probabilities={"tumor": float(scores.tumor_probability[index])},
        unfamiliarity=float(np.nan_to_num(scores.unfamiliarity[index])),
        peak_xy=None if np.isnan(x) else (x, y),
        boxes=tuple(_parse_boxes(scores.boxes[index])),
    )


def _parse_boxes(text: str) -> Iterator[Box]:
    for one in filter(None, text.split(";")):
        with suppress(ValueError, TypeError):  # a table by hand may hold anything
            yield Box(*(float(word) for word in one.split()))


def _make_tile(slice_: Slice, finding: Finding, mistake: Mistake) -> Tile:
    row, name = mistake.row, mistake.name
    plain = draw_thumbnail(slice_)
    marked = draw_thumbnail(slice_, finding, annotated=row.boxes)
    evidence = "boxes" if finding.activation is None else "heat map"
    return Tile(
        name,
        (
            PageImage(plain[0], f"{name}: the slice", plain[1]),
            PageImage(marked[0], f"{name}: the slice with the model's {evidence}", marked[1]),
        ),
        (
            f"true {_word(row.class_name)}, called {_word(mistake.called)}",
            f"tumor probability {show_probability(mistake.chance)}",
            " · ".join(filter(None, (row.source, row.sequence))) or Path(row.path).suffix,
        ),
    )


def _word(name: str) -> str:
    return name.replace("_", " ")
