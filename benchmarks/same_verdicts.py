"""Compare the page of `tumorlens web` and the viewer with Python, in real chromium.

    python benchmarks/same_verdicts.py --data SETS --volumes FOLDER

All examples, real slices spread over the sets of SETS (each a folder with a manifest), and whole
series go through the page with the float model, through the page with the small one, and through
`tumorlens view`. Series are volumes of FOLDER, and heads with a tumor that are stacked from slices
of SETS (spacing made up). What is drawn follows from --seed. Needs chromium and playwright.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tumorlens
from tumorlens.data.manifest import read_data
from tumorlens.data.rows import Row
from tumorlens.detector import Detector
from tumorlens.imaging.readers import read_slice
from tumorlens.viewing.web.site import SMALL, write_web_page

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT / "tests")  # in place of this folder, for `viewing` is a folder there

EXAMPLES = (".png", ".dcm", ".nii.gz")
STACKED = "tcga_lgg"
"""Set whose slices are stacked to heads with a tumor."""
SPACING = (0.9, 0.9, 5.0)
"""Of a stacked head, in mm; its manifest tells none."""
PATIENCE = 600_000  # milliseconds

Answers = dict[str, tuple[str | None, float | None]]
"""Name of a file -> verdict, tumor probability."""


@dataclass(frozen=True)
class Agreement:
    """How far the answers of one way are from those of Python."""

    count: int
    different: tuple[str, ...]
    largest: float

    def __str__(self) -> str:
        equal = self.count - len(self.different)
        told = f" ({', '.join(self.different)})" if self.different else ""
        return (
            f"{equal} of {self.count} verdicts equal{told}, largest difference {self.largest:.1e}"
        )


def compare(wanted: Answers, found: Mapping[str, Any]) -> Agreement:
    """Every file of `wanted`; one that was not answered counts as different."""
    different, largest = [], 0.0
    for name, (verdict, chance) in wanted.items():
        other, told = found.get(name, (f"no answer to {name}", None))
        if other != verdict:
            different.append(f"{name}: {other}, not {verdict}")
        if chance is not None and told is not None:
            largest = max(largest, abs(chance - told))
    return Agreement(len(wanted), tuple(different), largest)


# What is drawn


def draw_slices(sets: Path, folder: Path, count: int, rng: np.random.Generator) -> list[Path]:
    """Copies of `count` slices, one set after the other, under names that are theirs alone."""
    orders = {
        one.parent.name: iter(rng.permutation(np.array(read_data(one.parent).rows, object)))
        for one in sorted(sets.glob("*/manifest.csv"))
    }
    files: list[Path] = []
    while len(files) < count:
        for name, order in orders.items():
            source = Path(next(order).path)
            if len(files) < count:
                files.append(folder / f"{len(files):02}-{name}{source.suffix}")
                shutil.copyfile(source, files[-1])
    return files


def stack_heads(sets: Path, folder: Path, count: int, rng: np.random.Generator) -> Iterator[Path]:
    """FLAIR series of people with a tumor, from their slices."""
    people: dict[str, list[Row]] = {}
    for row in read_data(sets / STACKED).rows:
        if row.sequence == "FLAIR":
            people.setdefault(str(row.group), []).append(row)
    for number in rng.permutation(len(people))[:count]:
        rows = sorted(list(people.values())[number], key=lambda row: row.position or 0.0)
        slices = [read_slice(row.path).pixels for row in rows]
        yield save_volume(folder / f"stacked-{number:03}_FLAIR.nii.gz", np.stack(slices, -1))


def save_volume(path: Path, slices: np.ndarray) -> Path:
    """Axial slices (H, W, N), front up and the patient's right on the left, as NIfTI."""
    import nibabel as nib

    voxels = slices.transpose(1, 0, 2).round().astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])), path)
    return path


def draw_volumes(volumes: Path, count: int, rng: np.random.Generator) -> list[Path]:
    files = sorted(volumes.glob("*.nii.gz"))
    return [files[number] for number in sorted(rng.permutation(len(files))[:count])]


# The answers


def ask_python(slices: Iterable[Path], series: Iterable[Path], detector: Detector) -> Answers:
    found: Answers = {}
    for file in slices:
        (one,) = detector.predict(file)
        found[file.name] = one.verdict, one.tumor_probability
    for file in series:
        (study,) = tumorlens.predict_studies(file, model=detector)
        found[file.name] = study.verdict, study.tumor_probability
    return found


def ask_page(address: str, slices: list[Path], series: list[Path], browser: Any) -> Answers:
    """Slices in one go, each series by itself."""
    from viewing.web.pages import Watched

    watched = Watched.of(browser)
    watched.page.set_default_timeout(PATIENCE)
    watched.open(address)
    told = watched.judge(slices)["items"]
    for file in series:
        one = watched.judge(file)
        told += one.get("items", [one | {"path": file.name}])
    assert watched.complaints == [], watched.complaints
    watched.page.close()
    return {Path(one["path"]).name: (one["verdict"], one["tumor"]) for one in told}


def ask_viewer(slices: list[Path], series: list[Path]) -> Answers:
    """Slices in one go, each series by itself: series of one person would be one study."""
    from viewing.browsing import visit
    from viewing.viewers import open_viewer

    told: Answers = {}
    with open_viewer() as viewer, visit(viewer.url) as found:
        for number, files in enumerate([slices, *([one] for one in series)], 1):
            found.drop(*files)
            found.page.wait_for_function(
                "count => document.querySelectorAll('.job').length === count"
                " && !document.querySelector('.progress')",
                arg=number,
                timeout=PATIENCE,
            )
            job = found.page.evaluate("document.querySelector('.row').dataset.place.split(' ')[0]")
            address = f"api/jobs/{job}/result"
            result = found.page.evaluate(f"fetch('{address}').then((told) => told.json())")
            told.update(_read_result(result, {file.name for file in series}))
        assert found.complaints == [], found.complaints
    return told


def _read_result(
    result: Any, series: set[str]
) -> Iterator[tuple[str, tuple[str | None, float | None]]]:
    for study in result["studies"]:
        name = Path(study["path"]).name
        if name in series:
            yield name, (study["verdict"], study["tumor_probability"])
    for scene in result["scenes"]:
        name, (first, *_) = Path(scene["path"]).name, scene["slices"]
        if name not in series:
            yield name, (first["verdict"], first["tumor_probability"])


# The table


def show(title: str, wanted: Answers, found: Answers, groups: Mapping[str, list[Path]]) -> None:
    print(title)
    for name, files in groups.items():
        some = {file.name: wanted[file.name] for file in files}
        print(f"  {name}: {compare(some, found)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of sets")
    parser.add_argument("--volumes", type=Path, required=True, help="folder of NIfTI volumes")
    parser.add_argument("--slices", type=int, default=50)
    parser.add_argument("--series", type=int, default=4, help="volumes of --volumes")
    parser.add_argument("--stacked", type=int, default=2, help=f"heads stacked of {STACKED}")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run(asked, Path(place))


def run(asked: argparse.Namespace, folder: Path) -> None:
    from viewing.web.pages import open_browser, serve

    rng = np.random.default_rng(asked.seed)
    groups = {
        "examples": sorted(p for p in (ROOT / "examples").iterdir() if p.name.endswith(EXAMPLES)),
        "slices": draw_slices(asked.data, folder, asked.slices, rng),
        "series": [
            *draw_volumes(asked.volumes, asked.series, rng),
            *stack_heads(asked.data, folder, asked.stacked, rng),
        ],
    }
    slices, series = groups["examples"] + groups["slices"], groups["series"]
    whole, small = Detector(threads=1), Detector(SMALL, threads=1)
    wanted, near = ask_python(slices, series, whole), ask_python(slices, series, small)
    for name, files in groups.items():
        words = [str(wanted[file.name][0]) for file in files]
        print(f"{name}: {json.dumps({word: words.count(word) for word in sorted(set(words))})}")
    write_web_page(folder / "site")
    with serve(folder / "site") as address, open_browser() as browser:
        full = ask_page(f"{address}?blank&model=models/full.onnx", slices, series, browser)
        show("page, float model, and Python", wanted, full, groups)
        first = ask_page(f"{address}?blank", slices, series, browser)
    show("page, small model, and Python with it", near, first, groups)
    show("page, small model, and Python with the float one", wanted, first, groups)
    show("Python with the small model, and with the float one", wanted, near, groups)
    show("viewer and Python", wanted, ask_viewer(slices, series), groups)


if __name__ == "__main__":
    main()
