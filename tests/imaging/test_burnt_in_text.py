"""Letters beside the head are found; ears, crumbs and scan lines are not."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from brains import paint_brain
from tumorlens.finding import SliceInfo
from tumorlens.imaging.pixels.burnt_in_text import find_burnt_in_text, locate_head
from tumorlens.imaging.slices import Slice

SIDE = 256


def mark(draw):
    """The marks found on a head of 160 x 180 pixels in the middle, after ``draw`` drew on it."""
    picture = Image.new("L", (SIDE, SIDE))
    head = Image.fromarray(paint_brain(3, skull=140))
    picture.paste(head.resize((160, 180)), (48, 38))
    draw(ImageDraw.Draw(picture))
    slice_ = Slice(np.asarray(picture, np.float32), SliceInfo("drawn"))
    return find_burnt_in_text(slice_, locate_head(slice_))


def test_nothing_is_found_on_a_head_alone():
    assert mark(lambda pen: None) == []


@pytest.mark.parametrize("place", [(4, 4), (200, 240), (60, 12)])
def test_a_line_of_letters_is_found_wherever_it_stands(place):
    boxes = mark(lambda pen: pen.text(place, "B7KRMX", fill=255))
    assert len(boxes) >= 3
    x0, y0, x1, y1 = boxes[0]
    assert place[0] - 2 <= x0 < x1 <= place[0] + 45
    assert place[1] - 2 <= y0 < y1 <= place[1] + 14


@pytest.mark.parametrize(
    ("draw", "found"),
    [
        (lambda pen: pen.text((5, 120), "R", fill=255), 1),  # alone, at the border
        (lambda pen: pen.ellipse((34, 46, 44, 53), fill=90), 0),  # a crumb away from it
        (lambda pen: pen.ellipse((248, 120, 262, 138), fill=110), 0),  # an ear, cut off
        (lambda pen: pen.line((10, 60, 10, 72), fill=110, width=2), 0),  # a line of noise
    ],
)
def test_what_stands_alone_is_a_letter_only_at_the_border(draw, found):
    assert len(mark(draw)) == found
