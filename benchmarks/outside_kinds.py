"""Is an image told that is no MRI of the brain, if its kind was never shown?

Takes the manifest of release/label_data.py and a model that was trained without one hospital fold.
The output `outside` is fitted as `tumorlens train` does it, on hospitals of the other folds and on
images without brain, each kind of them left out in turn (its name begins the note). Prints how many
images of each kind are told by a fit without it, and how many brain slices of the new hospitals are
called so: those that the model's map of the brain lets pass. With --kept, images of kinds that
nothing was trained on are told by the fit on all others.

    python benchmarks/outside_kinds.py MODEL LABELLED.csv --fold 0 [--kept MANIFEST.csv KIND ...]
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tumorlens.data.manifest import read_data
from tumorlens.data.rows import Manifest, Row
from tumorlens.evaluation.figures.intervals import draw_weights
from tumorlens.model.contract import LEAST_BRAIN
from tumorlens.model.session import Session
from tumorlens.network.outside_nodes import weigh_features
from tumorlens.training.finishing.strangers import draw_examples, measure_rows
from tumorlens.training.outside import OutsideFit, fit_outside, measure_outside
from tumorlens.training.rows.prepared_rows import PreparedRows
from tumorlens.training.rows.preparing import prepare_rows
from tumorlens.training.rows.store import Store

EACH = 150  # slices of a source and sequence


def draw_rows(rows: Iterable[Row], seed: int = 0) -> list[Row]:
    """At most so many of a source and sequence; all images without brain."""
    drawn: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        drawn[row.source, row.sequence].append(row)
    rng = random.Random(seed)
    return [
        one
        for (source, _), some in sorted(drawn.items())
        for one in (some if source.startswith("not_") else rng.sample(some, min(EACH, len(some))))
    ]


def name_kind(row: Row) -> str:
    """The kind of an image without brain."""
    return row.note.split(";")[0].strip() if row.source.startswith("not_") else ""


def find_judged(session: Session, prepared: PreparedRows) -> np.ndarray:
    """(n,) whether the map of the brain lets a slice pass."""
    shares = [
        (session.run(prepared.take(part)[0].numpy()).brain >= 0.5).mean(axis=(1, 2))
        for part in np.array_split(np.arange(len(prepared)), max(1, len(prepared) // 32))
    ]
    return np.concatenate(shares) >= LEAST_BRAIN


def bound(hit: np.ndarray, groups: np.ndarray) -> str:
    """Share and its 95 % interval over groups."""
    _, code = np.unique(groups, return_inverse=True)
    weights = draw_weights(code.max() + 1)[:, code].astype(float)
    low, high = np.quantile((weights * hit).sum(1) / weights.sum(1), (0.025, 0.975))
    return f"{hit.mean():.4f} ({low:.4f} to {high:.4f})"


class Trial:
    """Features of all rows by one model."""

    def __init__(self, model: Path, prepared: PreparedRows, seed: int = 0) -> None:
        everything = np.arange(len(prepared))
        self.chosen, self.brain = draw_examples(prepared, everything, seed)
        self.features = measure_rows(model, prepared, self.chosen)
        rows = [prepared.rows[index] for index in self.chosen]
        self.names = np.array([f"{row.source} {row.sequence}" for row in rows], object)
        self.groups = np.array([row.group_key for row in rows], object)
        self.kinds = np.array([name_kind(row) for row in rows])
        self.blocks, self.seed = weigh_features(model), seed

    def fit(self, keep: np.ndarray) -> OutsideFit:
        """The fit on some of the rows."""
        return fit_outside(
            self.features[keep],
            self.brain[keep],
            self.names[keep],
            self.groups[keep],
            self.blocks,
            seed=self.seed,
        )

    def leave_out_kinds(self) -> dict[str, np.ndarray]:
        """Kind -> whether each of its images is told by a fit on the other kinds."""
        told = {}
        for kind in sorted(set(self.kinds) - {""}):
            own = self.kinds == kind
            told[kind] = measure_outside(self.features[own], self.fit(~own)) > 1
        return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--fold", default="")
    parser.add_argument("--kept", nargs="+", action="append", default=[])
    parser.add_argument("--no-kinds", action="store_true", help="leave no kind out")
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    session = Session(options.model, threads=1)
    spec = session.card.preprocess
    store = Store(options.store, spec) if options.store else None
    labelled = read_data(options.labelled)

    with TemporaryDirectory() as folder:

        def prepare(rows: Iterable[Row], name: str) -> PreparedRows:
            place = Path(folder, name)
            place.mkdir()
            manifest: Manifest = labelled.with_rows(rows)
            return prepare_rows(manifest, spec, place, types=(), store=store)[0]

        # Images without brain have no fold.
        known = draw_rows(
            row for row in labelled.rows if not row.split or row.split != options.fold
        )
        trial = Trial(options.model, prepare(known, "known"))
        print(f"fit on {trial.brain.sum()} slices with brain, {(~trial.brain).sum()} others")
        if not options.no_kinds:
            told = trial.leave_out_kinds()
            for kind, hits in told.items():
                print(f"  {kind}: {hits.sum()} of {len(hits)}")
            whole = np.concatenate(list(told.values()))
            macro = np.mean([hits.mean() for hits in told.values()])
            print(f"kinds left out: {whole.mean():.3f} of {len(whole)}; mean of kinds {macro:.3f}")
        fit = trial.fit(np.ones(len(trial.brain), bool))
        if options.fold:
            new = draw_rows(row for row in labelled.rows if row.split == options.fold)
            prepared = prepare(new, "new")
            index, brain = draw_examples(prepared, np.arange(len(prepared)), 0)
            index = index[brain & find_judged(session, prepared)[index]]
            hit = measure_outside(measure_rows(options.model, prepared, index), fit) > 1
            groups = np.array([prepared.rows[one].group_key for one in index])
            sources = np.array([prepared.rows[one].source for one in index])
            print(f"brain slices of new hospitals called so: {bound(hit, groups)} of {len(hit)}")
            for one in sorted(set(sources)):
                print(f"  {one}: {hit[sources == one].sum()} of {(sources == one).sum()}")
        for number, (file, *kinds) in enumerate(options.kept):
            rows = [row for row in read_data(Path(file)).rows if row.source.split("/")[-1] in kinds]
            prepared = prepare(rows, f"kept {number}")
            features = measure_rows(options.model, prepared, np.arange(len(prepared)))
            hit = measure_outside(features, fit) > 1
            passed = find_judged(session, prepared)
            names = np.array([row.source for row in prepared.rows])
            for one in sorted(set(names)):
                own = names == one
                both = (hit | ~passed)[own].sum()
                print(f"  {one}: {hit[own].sum()} of {own.sum()}; with the map of the brain {both}")


if __name__ == "__main__":
    main()
