"""What does a smaller network cost in accuracy, and what does it save in size and time?

    python benchmarks/tradeoff.py \\
        --variant "width 1.0" RUN_A/model.onnx RUN_A/scores.csv WEB_A/scores.csv \\
        --variant "width 0.35" RUN_B/model.onnx RUN_B/scores.csv WEB_B/scores.csv \\
        --output tradeoff.md --plot tradeoff.png

A variant is a name, a model file and scores on the same slices. The models that gave the scores
never saw these sources. Size and time are those of the file. The networks are timed in turns on one
thread, one prepared slice at a time, so that a busy machine slows all of them alike. AUC:
level-matched for `tcga_lgg`, of all slices for `navoneel`; intervals, and paired differences from
the first variant, 95 % by bootstrap over groups. Below the table: verdicts that each row has in
common with the row above.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import cycle, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from int8_folds import compare

from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.evaluation.results import Subset
from tumorlens.evaluation.score_files import read_scores
from tumorlens.evaluation.scores import Scores
from tumorlens.exporting.benchmarking.timing import Timing, time_calls
from tumorlens.model.session import Session
from tumorlens.report.drawing import TRAINING, VALIDATION, open_picture, save_picture

FIGURES = (  # source, sequence (empty: all), figure
    ("tcga_lgg", "FLAIR", "level_matched_auc"),
    ("tcga_lgg", "T1c", "level_matched_auc"),
    ("tcga_lgg", "T1", "level_matched_auc"),
    ("navoneel", "", "auc"),
)


HUES = (TRAINING, "#6ba3d6", "#5a9e6f", VALIDATION, "#e3a23c", "#8a6fb0")


class Found(NamedTuple):
    """One figure of one variant; the difference is from the first variant."""

    value: float
    low: float | None
    high: float | None
    groups: int
    difference: str


class Variant(NamedTuple):
    """What was measured of one network."""

    name: str
    megabytes: float
    timing: Timing
    figures: list[Found]


def main() -> None:
    """Parse, measure, write table and picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--variant", nargs="+", action="append", required=True, metavar="WORD")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    asked = parser.parse_args()
    sessions = [Session(one[1], threads=1) for one in asked.variant]
    timings = time_networks(sessions, asked.seconds)
    tables = [[read_scores(Path(file)) for file in one[2:]] for one in asked.variant]
    variants = [
        Variant(
            words[0], Path(words[1]).stat().st_size / 1e6, timing, list(measure(own, tables[0]))
        )
        for words, timing, own in zip(asked.variant, timings, tables, strict=True)
    ]
    text = tabulate(variants) + "".join(compare_rows(asked.variant, tables))
    asked.output.write_text(text, encoding="utf-8")
    print(text)
    if asked.plot:
        draw(variants, asked.plot)


def time_networks(sessions: list[Session], seconds: float) -> list[Timing]:
    """One prepared slice through each network, in turns."""
    rng = np.random.default_rng(0)
    calls = []
    for session in sessions:
        size = session.card.preprocess.size
        image = rng.random((1, 1, size, size), np.float32)
        calls.append(lambda session=session, image=image: session.run(image))
    return time_calls(*calls, seconds=seconds)


def measure(own: list[Scores], first: list[Scores]) -> Iterator[Found]:
    """`FIGURES`, each from the first table that holds its source."""
    for source, sequence, name in FIGURES:
        at = next((n for n, one in enumerate(own) if source in one.column("source")), None)
        if at is None:
            yield Found(float("nan"), None, None, 0, "")
            continue
        reference = next((one for one in first if source in one.column("source")), None)
        other = None if own is first or reference is None else pick(reference, source, sequence)
        scores = pick(own[at], source, sequence)
        part = evaluate_scores(scores, other=other, by=[]).parts[-1]
        found = part.find(name)
        assert found.value is not None
        yield Found(found.value, found.low, found.high, part.groups, word_difference(part, name))


def pick(scores: Scores, source: str, sequence: str) -> Scores:
    """The rows of one source and sequence."""
    chosen = scores.column("source") == source
    if sequence:
        chosen &= scores.column("sequence") == sequence
    return scores.take(np.flatnonzero(chosen))


def word_difference(part: Subset, name: str) -> str:
    """This variant minus the first, with its interval."""
    for one in part.differences:
        if one.name == name:
            span = "" if one.low is None else f" ({one.low:+.3f} to {one.high:+.3f})"
            return f"{one.difference:+.3f}{span}"
    return ""


def compare_rows(variants: list[list[str]], tables: list[list[Scores]]) -> Iterator[str]:
    """A line for each row after the first: verdicts on `tcga_lgg` that the row above gives, too."""
    sides = [
        next((one for one in own if "tcga_lgg" in one.column("source")), None) for own in tables
    ]
    for (before, after), words in zip(pairwise(sides), variants[1:], strict=True):
        if before is None or after is None:
            continue
        line = compare("", "", pick(after, "tcga_lgg", ""), pick(before, "tcga_lgg", ""))
        share, low, high = (
            100 * float(line[name]) for name in ("verdicts_equal", "verdicts_low", "verdicts_high")
        )
        yield (
            f"{words[0]}: {share:.2f} % ({low:.2f}–{high:.2f}) of {line['slices']} verdicts as in "
            f"the row above, {line['groups']} groups\n"
        )


def word_value(found: Found) -> str:
    """A value and, where there are groups enough, its interval."""
    if not found.groups:
        return "–"
    if found.low is None or found.high is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} ({found.low:.3f}–{found.high:.3f})"


def tabulate(variants: list[Variant]) -> str:
    """One line a variant; differences below its values."""
    names = [f"`{source}` {sequence}".strip() for source, sequence, _ in FIGURES]
    lines = [
        "| network | MB | ms, median (best) | " + " | ".join(names) + " |",
        "|---" * (3 + len(names)) + "|",
    ]
    for one in variants:
        cells = [found.difference or word_value(found) for found in one.figures]
        speed = f"{1e3 * one.timing.median:.2f} ({1e3 * one.timing.best:.2f})"
        lines.append(f"| {one.name} | {one.megabytes:.2f} | {speed} | " + " | ".join(cells) + " |")
    groups = ", ".join(f"{one.groups}" for one in variants[0].figures)
    return "\n".join([*lines, "", f"Groups: {groups}."]) + "\n"


def draw(variants: list[Variant], picture: Path) -> None:
    """Accuracy over latency, a field for each figure; the larger the dot, the larger the file."""
    figure = open_picture(12, 4.4)
    fields = figure.subplots(1, len(FIGURES))
    for place, (axes, (source, sequence, name)) in enumerate(zip(fields, FIGURES, strict=True)):
        for one, hue in zip(variants, cycle(HUES)):
            found, speed = one.figures[place], 1e3 * one.timing.median
            if found.low is not None:
                axes.plot([speed, speed], [found.low, found.high], color=hue, alpha=0.5)
            label = f"{one.name}, {one.megabytes:.1f} MB" if place == 0 else None
            size = 25 + 14 * one.megabytes
            axes.scatter([speed], [found.value], s=size, color=hue, label=label, zorder=3)
        axes.set_title(f"{source} {sequence}", fontsize=10)
        axes.set(
            xlim=(0, 1.15e3 * max(one.timing.median for one in variants)),
            xlabel="ms a slice, one thread",
            ylabel="AUC" if name == "auc" else "level-matched AUC",
        )
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.legend(loc="outside upper center", ncols=len(variants), frameon=False)
    figure.get_layout_engine().set(rect=(0, 0.05, 1, 0.95))  # below stands what it is for
    save_picture(figure, picture, overwrite=True)


if __name__ == "__main__":
    main()
