"""Draws segmentation and report over their source, as other programs read them.

    python docs/hooks/dicom_objects_picture.py

tumorlens writes the objects of the example. SimpleITK reads source and segmentation and brings them
together by their places in the patient; pydicom reads the outline in the report. Needs the extra
dicom, SimpleITK and matplotlib.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset

import tumorlens
from tumorlens.digits import say_share

mpl.use("Agg")
from matplotlib import pyplot as plt

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "examples/t1c_axial_synthetic_lesion.dcm"
TARGET = ROOT / "docs/images/dicom-objects.png"
HEAT, OUTLINE = "autumn", "#22d3ee"


def walk(item: Dataset) -> Iterator[Dataset]:
    """All content items of a report."""
    for one in item.get("ContentSequence", ()):
        yield one
        yield from walk(one)


def list_outlines(report: Dataset) -> list[np.ndarray]:
    """Outlines of regions, (points, 2) as column and row, counted from the corner of a pixel."""
    return [
        np.reshape(one.GraphicData, (-1, 2)).astype(float)
        for one in walk(report)
        if one.ValueType == "SCOORD"
    ]


def read_verdict(report: Dataset) -> str:
    """The first answer and the first probability of a report, as it words them."""
    items = list(walk(report))
    answer = next(one for one in items if one.ValueType == "CODE" and _name(one) == "Neoplasm")
    chance = next(one for one in items if one.ValueType == "NUM" and _name(one) == "Probability")
    value = float(chance.MeasuredValueSequence[0].NumericValue)
    return f"Report: Neoplasm {answer.ConceptCodeSequence[0].CodeMeaning}, {say_share(value, 1)}"


def _name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def show(axes: Any, slice_: np.ndarray, title: str) -> None:
    axes.imshow(slice_, cmap="gray", vmax=np.quantile(slice_, 0.998))
    axes.set_title(title, fontsize=9)
    axes.axis("off")


def mark_sides(axes: Any, source: sitk.Image) -> None:
    """R and L, from the direction of the rows: x grows to the patient's left."""
    sides = "RL" if source.GetDirection()[0] > 0 else "LR"
    for side, place in zip(sides, (0.03, 0.97), strict=True):
        axes.text(place, 0.5, side, color="white", ha="center", transform=axes.transAxes)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = tumorlens.write_dicom(SOURCE, folder).files
        kinds = {path.suffixes[-2]: path for path in files}
        source, evidence = (sitk.ReadImage(str(path)) for path in (SOURCE, kinds[".seg"]))
        report = dcmread(kinds[".sr"])
    evidence = sitk.Resample(evidence, source, sitk.Transform(), sitk.sitkNearestNeighbor)
    slice_, heat = (sitk.GetArrayFromImage(one)[0] / 1.0 for one in (source, evidence))
    figure, panels = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
    show(panels[0], slice_, "Stored slice")
    show(panels[1], slice_, "Segmentation, laid over it by SimpleITK")
    panels[1].imshow(heat, cmap=HEAT, alpha=0.5 * heat / 255, vmin=0, vmax=255)
    show(panels[2], slice_, read_verdict(report))
    for outline in list_outlines(report):
        panels[2].plot(*(outline.T - 0.5), color=OUTLINE, lw=1.5)
    for axes in panels:
        mark_sides(axes, source)
    figure.savefig(TARGET, dpi=100)


if __name__ == "__main__":
    main()
