"""What a prepared picture shows: plane, which way up, a CT, or no head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auditing.planting import paint_ct, paint_page
from brains import as_slice
from shared_data import SHARED, needs_shared
from tumorlens.auditing.appearance import VIEWS, Appearance, look_at
from tumorlens.imaging.preprocess import PreprocessSpec, prepare

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HEADS = ("t1_axial_normal", "t2_axial_normal", "t1_sagittal_normal", "flair_axial_synthetic_lesion")


def look(picture, size=160):
    return look_at(prepare(as_slice(picture), PreprocessSpec(size=size)).image[0])


def open_example(name):
    return Image.open(EXAMPLES / f"{name}.png").convert("L")


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("size", [160, 224])
def test_nothing_wrong_is_said_of_real_heads(name, size):
    seen = look(open_example(name), size)
    assert seen.plane in (name.split("_")[1], "")
    assert not (seen.upside_down or seen.no_head or seen.is_ct)


@pytest.mark.parametrize("name", ["t1_axial_normal", "t1c_axial_synthetic_lesion"])
def test_heads_of_which_it_is_sure(name):
    assert look(open_example(name)).plane == "axial"
    assert look(open_example(name).rotate(180)).upside_down


@needs_shared
def test_planes_of_a_set_that_holds_three():
    images = SHARED / "data/cheng/images"
    told = {
        plane: [look(Image.open(images / f"{n}.webp").convert("L")).plane for n in numbers]
        for plane, numbers in {
            "axial": range(930, 1030, 10),
            "coronal": range(340, 440, 10),
            "sagittal": range(570, 670, 10),
        }.items()
    }
    for plane, seen in told.items():
        assert set(seen) <= {plane, ""}
        assert seen.count(plane) >= 4, seen


@needs_shared
def test_a_set_that_stands_on_its_head():
    images = sorted((SHARED / "data/oasis/images").iterdir())[::60]
    seen = [look(Image.open(image).convert("L")).upside_down for image in images]
    assert sum(seen) >= 8


@pytest.mark.parametrize("name", HEADS)
def test_a_mirrored_head_looks_the_same(name):
    picture = open_example(name)
    image = prepare(as_slice(picture), PreprocessSpec()).image[0]
    np.testing.assert_allclose(look_at(image).views, look_at(image[:, ::-1]).views, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_bone_around_a_flat_inside_is_a_ct(seed):
    assert look(paint_ct(seed)).ct > 0.9


def test_a_page_of_text_is_no_head():
    assert look(paint_page("to whom it may concern")).no_head


def test_only_what_is_sure_is_said():
    def make(**chances):
        return Appearance(tuple(chances.get(view, 0.0) for view in VIEWS), 0.95)

    unsure = make(axial=0.5, coronal=0.5)
    assert (unsure.plane, unsure.upside_down, unsure.no_head) == ("", False, False)
    assert make(**{"axial, upside-down": 0.5, "axial": 0.5}).plane == "axial"
    assert make(**{"axial, upside-down": 0.6, "coronal, upside-down": 0.4}).upside_down
    assert not make(other=1.0).is_ct


def test_flat_pictures_of_one_value_are_looked_at():
    assert sum(look_at(np.zeros((160, 160), np.float32)).views) == pytest.approx(1)
