"""Make a run's model the bundled one: its card filled, its hash registered, its scores kept.

    python release/bundle_model.py RUN --held-out NAME=SCORES.csv ... [--points NAME ...]

RUN is the folder of a `tumorlens train`. Each SCORES.csv holds scores of slices that the model
which made them never saw; NAME says how they were kept out ("left out", "folds"). Those named by
--points, pooled, give the operating points and the numbers for series and studies, without the
groups of wrong_labels.csv. A model that another one taught takes them --like its teacher;
`small` is made with --name small --like default --half. The
scores are copied to release/scores/ and the card's figures are measured on those copies, so that
`tumorlens evaluate --scores release/scores/NAME.csv` gives every figure again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
from operating_points import choose_points

from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.evaluation.results import Subset
from tumorlens.evaluation.score_files import read_scores, write_scores
from tumorlens.evaluation.scores import Scores, join_scores
from tumorlens.evaluation.series_and_studies.study_fitting import fit_study_model, list_fit_series
from tumorlens.model.card import Card, DataTerms, Figure
from tumorlens.model.graph import write_model
from tumorlens.model.session import Session
from tumorlens.version import __version__

HERE = Path(__file__).parent
BUNDLED = HERE.parent / "src" / "tumorlens" / "model" / "bundled"
FIGURES = (
    "auc",
    "sensitivity",
    "specificity",
    "found",
    "cleared",
    "ece",
    "found_at_99_cleared",
    "level_matched_auc",
    "within_patient_auc",
    "pointing",
)


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--held-out", action="append", default=[], metavar="NAME=SCORES.csv")
    parser.add_argument("--points", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--like", metavar="NAME", help="take the points of this bundled model")
    parser.add_argument("--name", default="default")
    parser.add_argument("--half", action="store_true", help="store weights in half precision")
    asked = parser.parse_args()
    texts = read_texts(asked.name)
    figures = [figure for one in asked.held_out for figure in measure(*one.split("=", maxsplit=1))]
    source = asked.run / "model.onnx"
    card = fill_card(Session(source, threads=1).card, texts, figures)
    studies = None
    if asked.like:
        card, studies = take_points(card, asked.like)
    elif asked.points:
        files = [read_scores(HERE / "scores" / f"{one}.csv") for one in asked.points]
        pooled = drop_wrong_labels(join_scores(files))
        points = choose_points(pooled)
        card = msgspec.structs.replace(card, operating_points=points)
        studies = fit_studies(pooled, card)
    target = BUNDLED / f"{asked.name}.onnx"
    write_model(source, target, card=card, studies=studies, half=asked.half, overwrite=True)
    register(asked.name, target, texts)
    print(f"{target.name}: {target.stat().st_size / 1e6:.1f} MB, {len(figures)} figures")


def read_texts(name: str) -> dict[str, Any]:
    """What people wrote of a model; what is not told apart holds for all of them."""
    texts = tomllib.loads((HERE / "card.toml").read_text(encoding="utf-8"))
    texts |= texts.pop("apart")[name]
    texts["known_failures"] = [*texts.pop("measured"), *texts["known_failures"]]
    return texts


def drop_wrong_labels(scores: Scores) -> Scores:
    """Without the groups whose images contradict their label: no threshold shall rest on them."""
    with (HERE / "wrong_labels.csv").open(encoding="utf-8", newline="") as stream:
        wrong = {(row["group"], row["label"]) for row in csv.DictReader(stream)}
    return scores.take([(row.group, row.label) not in wrong for row in scores.rows])


def take_points(card: Card, name: str) -> tuple[Card, str | None]:
    """With the thresholds, and the numbers for studies, of the model that taught this one.

    Its probabilities were learned, so they mean the same.
    """
    teacher = Session(BUNDLED / f"{name}.onnx", threads=1)
    points = {
        key: msgspec.structs.replace(point, meaning=f"{point.meaning} of the model {name}")
        for key, point in teacher.card.operating_points.items()
    }
    return msgspec.structs.replace(card, operating_points=points), teacher.studies


def fit_studies(scores: Scores, card: Card) -> str:
    """Numbers for series and studies, fitted on held-out scores."""
    middle = card.find_operating_point("balanced").middle
    data = f"{len(scores)} held-out slices of {len(set(scores.group))} groups ({scores.name})"
    model = fit_study_model(list_fit_series(scores), slice_middle=middle, data=data)
    return model.to_json()


def measure(name: str, file: str) -> list[Figure]:
    """Keep held-out scores in the repository and measure them there, whole and by source."""
    kept = HERE / "scores" / f"{name}.csv"
    if kept.resolve() != Path(file).resolve():
        write_scores(kept, read_scores(file), overwrite=True)
    parts = evaluate_scores(read_scores(kept), by=["source,sequence"]).parts
    # Copies that groups missed are recognised by the model's memory: figures without them count.
    clean = {tuple(part.by.items()) for part in parts if part.seen == "without_seen"}
    parts = [
        part for part in parts if part.seen == "without_seen" or tuple(part.by.items()) not in clean
    ]
    split = [part for part in parts if part.by]
    # One part alone says all that the whole says.
    told = split if len(split) > 1 else [part for part in parts if not part.by]
    command = f"tumorlens evaluate --scores release/scores/{name}.csv --by source,sequence"
    figures = [figure for part in told for figure in describe(part, name)]
    # Said once a file: a card shall not weigh more than it must.
    return [msgspec.structs.replace(one, command=command) for one in figures[:1]] + figures[1:]


def describe(part: Subset, split: str) -> list[Figure]:
    """The figures of one part that a card holds."""
    data = " ".join(value for value in part.by.values() if value) or "all"
    return [
        Figure(
            name=one.name,
            data=data,
            split=split,
            value=round(one.value, 4),
            low=None if one.low is None else round(one.low, 4),
            high=None if one.high is None else round(one.high, 4),
            slices=one.n,
            groups=one.groups,
        )
        for one in part.estimates
        if one.name in FIGURES and one.value is not None
    ]


def fill_card(card: Card, texts: dict[str, Any], figures: list[Figure]) -> Card:
    """The card as training wrote it, with what people wrote and what was measured."""
    return msgspec.structs.replace(
        card,
        name=texts["name"],
        version=__version__,
        license=texts["license"],
        intended_use=texts["intended_use"].strip(),
        training=msgspec.structs.replace(card.training, learned_from=texts["learned_from"]),
        known_failures=texts["known_failures"],
        data_terms=[DataTerms(**one) for one in texts["data_terms"]],
        figures=figures,
    )


def register(name: str, file: Path, texts: dict[str, Any]) -> None:
    """Write the registry's record of the bundled file."""
    registry = BUNDLED / "models.json"
    models = json.loads(registry.read_text(encoding="utf-8")) if registry.exists() else {}
    models[name] = {
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "license": texts["license"],
        "terms": (
            "Some of its training data may not be used commercially, others state no licence: "
            "see MODEL_LICENSE.md."
        ),
        "summary": texts["summary"],
    }
    registry.write_text(json.dumps(models, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
