"""The overlay: its size, its markers, and that the evidence lies where it was found."""

import io
import pickle
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import tumorlens
from heads import paint_slice
from tumorlens.design.tokens import find_color
from tumorlens.errors import InputError
from tumorlens.finding import VERDICTS, Box, Finding, SliceInfo
from tumorlens.imaging.files.sources import Skipped, find_sources
from tumorlens.imaging.readers import read_slices
from tumorlens.imaging.slices import Slice
from tumorlens.report.pictures import markers, overlay
from tumorlens.report.pictures.heat import paint_greys
from tumorlens.report.pictures.markers import INK, MARKER
from tumorlens.report.pictures.overlay import LARGEST_SIDE, LEAST_SIDE, draw


def make_slice(pixels=None, **info):
    pixels = paint_slice(None) if pixels is None else pixels
    return Slice(np.asarray(pixels, np.float32), SliceInfo(**{"path": "scan.png", **info}))


def busy(side=512):
    """A picture of noise, which fills its frame: the head is all of it."""
    return np.random.default_rng(0).random((side, side)) * 100


def make_finding(slice_, cell=(5, 2), cells=8, **changes):
    """A finding whose one strong cell is at (column, row) of a grid over the whole slice."""
    height, width = slice_.pixels.shape
    activation = np.zeros((cells, cells), np.float32)
    activation[cell[1], cell[0]] = 0.95
    fields = {
        "verdict": "tumor",
        "tumor_probability": 0.93,
        "probabilities": {"no_tumor": 0.07, "tumor": 0.93},
        "unfamiliarity": 0.2,
        "peak_xy": ((cell[0] + 0.5) * width / cells, (cell[1] + 0.5) * height / cells),
        "boxes": (),
        "activation": activation,
        "to_pixels": np.array([[width / 64, 0, 0], [0, height / 64, 0]]),
        "image_size": 64,
    }
    return Finding(slice_.info, **{**fields, **changes})


def colorfulness(picture):
    channels = np.asarray(picture, np.int16)
    return channels.max(axis=2) - channels.min(axis=2)


def draw_heat(slice_, finding):
    """The right half of a drawing: the slice with its evidence."""
    picture = draw(slice_, finding)
    return picture.crop((picture.width // 2, 0, picture.width, picture.height))


# Size


@pytest.mark.parametrize(
    ("shape", "spacing", "drawn"),
    [
        ((512, 512), None, (512, 512)),
        ((256, 256), None, (512, 512)),
        ((200, 180), None, (600, 540)),
        ((700, 900), None, (700, 900)),
        ((16, 16), None, (512, 512)),
        ((256, 512), (2.0, 1.0), (512, 512)),
        ((512, 300), (0.5, 1.5), (512, 900)),
        ((1, 600), None, (1, 600)),
        ((50, 8192), None, (25, 4096)),
    ],
)
def test_slice_is_drawn_in_square_pixels_large_enough(shape, spacing, drawn):
    rng = np.random.default_rng(0)
    slice_ = make_slice(rng.random(shape) * 100, spacing_mm=spacing)
    view = overlay._View.of(slice_)
    assert view.size[::-1] == drawn
    assert LEAST_SIDE <= max(view.size) <= LARGEST_SIDE
    picture = draw(slice_, make_finding(slice_))
    assert picture.mode == "RGB"
    assert picture.width >= max(LEAST_SIDE, drawn[1])
    assert picture.height > drawn[0]


# Evidence


@pytest.mark.parametrize("cell", [(0, 0), (7, 0), (2, 6), (7, 7)])
def test_heat_lies_on_its_cell(cell):
    slice_ = make_slice(np.arange(256 * 256).reshape(256, 256) % 251)
    finding = make_finding(slice_, cell, peak_xy=None)
    picture = draw_heat(slice_, finding).crop((0, 0, 512, 512))
    y, x = np.unravel_index(np.argmax(_smooth(colorfulness(picture))), (512, 512))
    assert abs(x / 64 - cell[0] - 0.5) < 0.6
    assert abs(y / 64 - cell[1] - 0.5) < 0.6


def _smooth(values):
    small = Image.fromarray(values.astype(np.float32)).reduce(16)
    return np.asarray(small.resize((512, 512)))


def test_heat_follows_an_affine_that_crops_the_slice():
    slice_ = make_slice(busy(256))
    to_pixels = np.array([[2.0, 0, 100.0], [0, 2.0, 60.0]])
    finding = make_finding(slice_, (1, 2), to_pixels=to_pixels, peak_xy=None)
    picture = draw_heat(slice_, finding).crop((0, 0, 512, 512))
    y, x = np.unravel_index(np.argmax(_smooth(colorfulness(picture))), (512, 512))
    assert (x / 2, y / 2) == pytest.approx((100 + 2 * 12, 60 + 2 * 20), abs=8)


def test_anatomy_stays_where_there_is_no_evidence():
    slice_ = make_slice(np.random.default_rng(0).random((512, 512)))
    weak = np.full((8, 8), 0.14, np.float32)
    picture = draw_heat(slice_, make_finding(slice_, activation=weak, peak_xy=None))
    assert colorfulness(picture.crop((0, 0, 512, 512))).max() == 0


def test_anatomy_shows_through_the_heat():
    slice_ = make_slice(np.random.default_rng(0).random((512, 512)))
    strong = np.ones((8, 8), np.float32)
    picture = draw_heat(slice_, make_finding(slice_, activation=strong, peak_xy=None))
    grey = np.asarray(picture.crop((0, 0, 512, 512)).convert("L"), float)
    assert np.corrcoef(grey.ravel(), slice_.pixels.ravel())[0, 1] > 0.95


def test_box_is_drawn_on_its_edges():
    slice_ = make_slice(busy())
    finding = make_finding(
        slice_, activation=None, peak_xy=None, boxes=(Box(100, 200, 300, 280, 0.8),)
    )
    marked = np.all(np.asarray(draw_heat(slice_, finding)) == MARKER, axis=2)[:512, :512]
    rows, columns = np.nonzero(marked[190:])
    assert (columns.min(), columns.max()) == (100, 299)
    assert rows.max() + 190 == 279
    assert marked[200, 100:299].all()


@pytest.mark.parametrize(
    ("verdict", "drawn"),
    [("tumor", True), ("uncertain", True), ("no_tumor", False), ("unfamiliar", False)],
)
def test_boxes_are_drawn_only_where_the_verdict_asks_to_look(verdict, drawn, monkeypatch):
    slice_ = make_slice(busy())
    finding = make_finding(
        slice_,
        activation=None,
        peak_xy=None,
        verdict=verdict,
        boxes=(Box(100, 200, 300, 280, 0.8),),
    )
    colored = colorfulness(draw_heat(slice_, finding))[:512] > 60
    assert colored[200, 110:290].all() == drawn
    assert colored.any() == drawn
    assert ("box" in " ".join(read_words(slice_, finding, monkeypatch))) == drawn
    assert finding.to_record()["boxes"] == [[100.0, 200.0, 300.0, 280.0, 0.8]]


@pytest.mark.parametrize("verdict", ["no_tumor", "unfamiliar", "not_judged"])
def test_peak_is_marked_but_not_where_the_verdict_sees_nothing(verdict):
    slice_ = make_slice(busy())
    finding = make_finding(slice_, activation=None, peak_xy=(300.0, 100.0))
    assert draw_heat(slice_, finding).getpixel((300, 100)) == MARKER
    calm = replace(finding, verdict=verdict, tumor_probability=0.01)
    assert draw_heat(slice_, calm).getpixel((300, 100)) != MARKER


def heat_of(verdict, level, threshold):
    """How much color a slice full of evidence gets."""
    slice_ = make_slice(busy())
    finding = make_finding(
        slice_,
        activation=np.full((8, 8), level, np.float32),
        peak_xy=None,
        verdict=verdict,
        cell_threshold=threshold,
    )
    return float(colorfulness(draw_heat(slice_, finding).crop((100, 100, 400, 400))).mean())


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_evidence_below_the_cell_threshold_is_faint(threshold):
    assert heat_of("tumor", threshold * 0.9, threshold) < 30
    assert heat_of("tumor", (1 + threshold) / 2, threshold) > 45


@pytest.mark.parametrize("verdict", ["no_tumor", "unfamiliar", "not_judged"])
def test_a_verdict_that_sees_no_tumor_has_no_glowing_blob_over_it(verdict):
    assert 0 < heat_of(verdict, 0.99, 0.5) < 20
    assert heat_of("uncertain", 0.99, 0.5) > 50


def disc(side=256, radius=0.5):
    y, x = np.mgrid[:side, :side] / (side / 2) - 1
    return np.where(np.hypot(x, y) < radius, 80 + 40 * np.random.default_rng(0).random(x.shape), 0)


def test_a_map_of_the_whole_picture_stays_in_the_head():
    """As the class activation map of a picture-level model may light the corners."""
    slice_ = make_slice(disc())
    finding = make_finding(slice_, activation=np.ones((7, 7), np.float32), peak_xy=None)
    colors = colorfulness(draw_heat(slice_, finding))[:512, :512]
    y, x = np.mgrid[:512, :512] / 256 - 1
    radius = np.hypot(x, y)
    assert colors[radius < 0.4].mean() > 45
    assert not colors[radius > 0.6].any()


def test_marks_outside_of_the_head_are_not_drawn_and_said(monkeypatch):
    slice_ = make_slice(disc())
    boxes = (Box(0, 0, 20, 20, 0.9), Box(0, 100, 256, 156, 0.8))
    finding = make_finding(slice_, activation=None, peak_xy=(10.0, 10.0), boxes=boxes)
    picture = np.asarray(draw_heat(slice_, finding))[:512, :512]
    rows, columns = np.nonzero(np.all(picture == MARKER, axis=2))
    assert 110 < columns.min() < columns.max() < 402
    assert rows.min() > 150
    said = read_words(slice_, finding, monkeypatch)
    assert "the strongest evidence lies outside of the head" in said
    assert finding.to_record()["boxes"][0] == [0.0, 0.0, 20.0, 20.0, 0.9]
    inside = replace(finding, peak_xy=(128.0, 128.0))
    assert not [words for words in read_words(slice_, inside, monkeypatch) if "outside" in words]


# Sides


@pytest.mark.parametrize(
    ("info", "marked"),
    [
        ({}, False),
        ({"plane": "axial"}, False),
        ({"plane": "axial", "sides_known": True}, True),
        ({"plane": "coronal", "sides_known": True}, True),
        ({"plane": "sagittal", "sides_known": True}, False),
    ],
)
def test_sides_are_marked_only_where_known(info, marked):
    slice_ = make_slice(busy(), **info)
    picture = np.asarray(draw_heat(slice_, make_finding(slice_, activation=None, peak_xy=None)))
    left, right = picture[240:275, :30], picture[240:275, 482:512]
    ink = np.array(INK)
    assert bool(np.all(left == ink, axis=2).any()) is marked
    assert bool(np.all(right == ink, axis=2).any()) is marked


def test_right_is_on_the_left(monkeypatch):
    words = []
    monkeypatch.setattr(
        markers, "_draw_outlined", lambda pen, at, text, *_: words.append((text, at))
    )
    slice_ = make_slice(plane="axial", sides_known=True)
    draw_heat(slice_, make_finding(slice_))
    places = {text: at[0] for text, at in words}
    assert places["R"] < 60
    assert places["L"] > 400


# Greys


def test_window_of_the_file_is_applied():
    ramp = np.tile(np.arange(512.0), (512, 1))
    greys = paint_greys(make_slice(ramp, window=(200.0, 100.0)))
    assert (greys[0, 149], greys[0, 200], greys[0, 251]) == (0, 127, 255)


def test_a_window_that_shows_a_slice_white_is_not_applied():
    """As that of a slice of air, which a vendor stores for this slice alone."""
    greys = paint_greys(make_slice(disc(radius=1.5) + 5, window=(4.0, 8.0)))
    assert (greys == 255).mean() < 0.1
    half_white = paint_greys(make_slice(np.tile(np.arange(512.0), (512, 1)), window=(128, 256)))
    assert (half_white == 255).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("window", [None, (500.0, 1000.0)])
def test_noise_of_an_empty_slice_stays_dark_beside_its_series(window):
    noise = np.random.default_rng(0).normal(0, 6, (64, 64))
    empty = replace(make_slice(np.abs(noise), window=window), contrast=800.0)
    assert np.quantile(paint_greys(empty), 0.99) < 8
    assert paint_greys(replace(empty, contrast=None)).max() == 255  # a picture alone is stretched


@pytest.mark.parametrize("window", [None, (5000.0, 10.0), (256.0, -4.0), (0.0, 1e9)])
def test_senseless_windows_are_not_applied(window):
    greys = paint_greys(make_slice(np.tile(np.arange(512.0), (512, 1)), window=window))
    assert (greys.min(), greys.max()) == (0, 255)
    assert greys.mean() == pytest.approx(127.5, abs=2)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((64, 64), 7.0),
        np.zeros((64, 64)),
        np.eye(64) * 1e30,
        np.eye(64) * -1e-30,
        np.full((64, 64), 255.0) - np.eye(64),
    ],
)
def test_extreme_greys_can_be_drawn(pixels):
    slice_ = make_slice(pixels)
    assert draw(slice_, make_finding(slice_)).size[0] == 2 * LEAST_SIDE


def test_the_plain_slice_stands_beside_its_heat():
    slice_ = make_slice(busy())
    picture = draw(slice_, make_finding(slice_, activation=np.ones((8, 8), np.float32)))
    assert colorfulness(picture.crop((0, 0, 512, 512))).max() == 0
    assert colorfulness(picture.crop((512, 0, 1024, 512))).mean() > 30
    bare = np.asarray(picture.crop((0, 0, 512, 512)).convert("L"), float)
    assert np.corrcoef(bare.ravel(), slice_.pixels.ravel())[0, 1] > 0.99


# Words


def read_words(slice_, finding, monkeypatch):
    """All text of a drawing."""
    said = []
    plain = overlay.ImageDraw.ImageDraw.text

    def text(self, at, words, *args, **options):
        said.append(words)
        return plain(self, at, words, *args, **options)

    monkeypatch.setattr(overlay.ImageDraw.ImageDraw, "text", text)
    draw(slice_, finding)
    return said


def test_caption_says_verdict_probability_file_and_research_use_once(monkeypatch):
    slice_ = make_slice(path="/data/P-1/synthetic-lesion.dcm", frame=12)
    said = read_words(slice_, make_finding(slice_), monkeypatch)
    assert "tumor" in said
    assert "tumor probability 93.0 %" in said
    assert "synthetic-lesion.dcm, slice 12" in said
    assert said.count("For research only, not a medical device.") == 1
    assert not [words for words in said if "P-1" in words]


@pytest.mark.parametrize(
    ("verdict", "chance", "told", "threshold"),
    [
        ("tumor", 0.93, "tumor probability 93.0 %", "tumor from 52.0 %"),
        ("uncertain", 0.3, "tumor probability 30.0 %", "between 19.1 % and 52.0 %"),
        ("no_tumor", 0.123, "tumor probability 12.3 %", "no tumor under 19.1 %"),
        ("no_tumor", 0.19085, "tumor probability 19.085 %", "no tumor under 19.086 %"),
        ("unfamiliar", 0.928, "unlike the training pictures", "unfamiliarity 1.34, over 1"),
        ("not_judged", 0.928, "shows no brain", "brain in 1.0 % of it"),
    ],
)
def test_words_of_verdict_probability_and_threshold_agree(
    verdict, chance, told, threshold, monkeypatch
):
    slice_ = make_slice()
    finding = make_finding(
        slice_,
        verdict=verdict,
        tumor_probability=chance,
        unfamiliarity=1.34 if verdict == "unfamiliar" else 0.2,
        brain_share=0.01,
        thresholds=(0.19086, 0.52),
        cell_threshold=0.5,
    )
    said = read_words(slice_, finding, monkeypatch)
    assert {told, threshold} <= set(said)
    assert "92.8 %" not in " ".join(said)


def test_a_picture_of_something_else_says_so(monkeypatch):
    slice_ = make_slice()
    finding = make_finding(slice_, verdict="not_judged", brain_share=0.4, outside=1.2)
    said = read_words(slice_, finding, monkeypatch)
    assert "no MRI of the brain as the model knows it" in said
    assert "shows no brain" not in said


@pytest.mark.parametrize(
    ("verdict", "level", "said"),
    [
        ("no_tumor", 0.45, True),
        ("no_tumor", 0.99, True),
        ("no_tumor", 0.1, False),
        ("tumor", 0.99, False),
        ("uncertain", 0.45, False),
    ],
)
def test_no_tumor_over_visible_heat_says_that_there_is_some_evidence(
    verdict, level, said, monkeypatch
):
    slice_ = make_slice(busy())
    finding = make_finding(
        slice_,
        verdict=verdict,
        tumor_probability=0.1,
        activation=np.full((8, 8), level, np.float32),
        peak_xy=None,
        thresholds=(0.4, 0.6),
        cell_threshold=0.5,
    )
    words = read_words(slice_, finding, monkeypatch)
    assert ("some evidence, below the threshold" in words) is said
    if verdict == "no_tumor":
        assert bool(colorfulness(draw_heat(slice_, finding))[:512].max() > 3) is said


@pytest.mark.parametrize("chance", [0.02, 0.5, 0.97])
def test_the_line_of_the_probability_shows_both_thresholds(chance, monkeypatch):
    slice_ = make_slice()
    verdict = "no_tumor" if chance < 0.4 else "tumor" if chance > 0.6 else "uncertain"
    finding = make_finding(slice_, verdict=verdict, tumor_probability=chance, thresholds=(0.4, 0.6))
    assert {"40.0 %", "60.0 %"} <= set(read_words(slice_, finding, monkeypatch))
    one = replace(finding, thresholds=(0.4, 0.4), verdict="tumor" if chance > 0.4 else "no_tumor")
    assert read_words(slice_, one, monkeypatch).count("40.0 %") == 1


@pytest.mark.parametrize("verdict", VERDICTS)
def test_sign_and_word_have_the_colour_of_the_verdict(verdict):
    slice_ = make_slice()
    finding = make_finding(slice_, verdict=verdict, activation=None, unfamiliarity=1.2)
    caption = np.asarray(draw(slice_, finding))[512:550, :30]
    drawn = np.all(caption == find_color(verdict), axis=2)
    assert drawn.sum() > 40


def test_every_line_of_a_caption_fits_its_room(monkeypatch):
    """No words are shortened in the narrowest picture; a long name alone may be."""
    slice_ = make_slice(path="x.png")
    for verdict, chance in (("tumor", 1), ("uncertain", 0.2), ("no_tumor", 0), ("unfamiliar", 1)):
        finding = make_finding(
            slice_,
            verdict=verdict,
            tumor_probability=chance,
            unfamiliarity=12.34,
            thresholds=(0.19, 0.52),
            cell_threshold=0.55,
        )
        assert "…" not in "".join(read_words(slice_, finding, monkeypatch))


def test_notes_of_the_reader_stand_in_the_caption(monkeypatch):
    slice_ = make_slice(notes=("modality CT, not MR: its verdict means nothing", "cut anew"))
    said = read_words(slice_, make_finding(slice_), monkeypatch)
    assert "modality CT, not MR: its verdict means nothing (and 1 more)" in said


def test_long_and_strange_names_are_shortened(monkeypatch):
    slice_ = make_slice(path="x" * 300 + "\x1b[31m.png")
    said = read_words(slice_, make_finding(slice_), monkeypatch)
    (name,) = [words for words in said if words.startswith("xxx")]
    assert "…" in name
    assert name.isprintable()
    assert len(name) < 150


def test_a_finding_from_a_record_is_drawn_without_heat():
    slice_ = make_slice()
    finding = make_finding(slice_, activation=None, to_pixels=None, image_size=None)
    assert draw(slice_, finding).size == draw(slice_, make_finding(slice_)).size


def test_an_error_is_drawn_as_one(monkeypatch):
    slice_ = make_slice()
    said = read_words(slice_, Finding(slice_.info, error="no luck"), monkeypatch)
    assert "no verdict" in said
    assert "no luck" in said


def test_draw_is_public():
    assert tumorlens.draw is draw


# Known again


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_a_drawing_that_python_saves_is_no_scan(tmp_path, name):
    slice_ = make_slice(path=str(tmp_path / "scan.png"))
    drawing = tumorlens.draw(slice_, make_finding(slice_))
    drawing.save(tmp_path / name)
    (found,) = find_sources([tmp_path])
    assert found == Skipped(str(tmp_path / name), "a result of tumorlens")
    with pytest.raises(InputError, match="is a result of tumorlens"):
        list(read_slices(tmp_path / name))


@pytest.mark.parametrize("name", ["a.bmp", "a.webp", "a.gif", "a.xyz", "a"])
def test_a_drawing_is_not_saved_where_it_cannot_say_what_it_is(tmp_path, name):
    drawing = tumorlens.draw(make_slice(), make_finding(make_slice()))
    with pytest.raises(tumorlens.UsageError, match="save it as PNG, JPEG or TIFF"):
        drawing.save(tmp_path / name)
    with pytest.raises(tumorlens.UsageError, match="save it as PNG, JPEG or TIFF"):
        drawing.save(io.BytesIO(), name.partition(".")[2])
    assert not list(tmp_path.iterdir())
    drawing.save(stream := io.BytesIO(), "png")
    assert stream.getvalue()


def test_what_a_caller_says_of_a_drawing_is_kept(tmp_path):
    slice_ = make_slice()
    drawing = tumorlens.draw(slice_, make_finding(slice_))
    text = PngInfo()
    text.add_text("Author", "a reader")
    drawing.save(tmp_path / "a.png", pnginfo=text)
    with Image.open(tmp_path / "a.png") as saved:
        assert saved.text == {"Software": "tumorlens overlay", "Author": "a reader"}
    drawing.save(tmp_path / "a.tif", tiffinfo={270: "a scan"})
    with Image.open(tmp_path / "a.tif") as saved:
        assert (saved.tag_v2[270], saved.tag_v2[305]) == ("a scan", "tumorlens overlay")
    assert pickle.loads(pickle.dumps(drawing)).size == drawing.size
