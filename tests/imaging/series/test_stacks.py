"""Whatever headers say, each slice of a series is read once."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorlens.imaging.geometry import Grid
from tumorlens.imaging.series.places import Contents, Place
from tumorlens.imaging.series.stacks import may_be_filled, plan_stacks, tell_gaps

NUMBERS = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.sampled_from([0.0, 1e-9, 0.005, 0.1249999, 0.1250001, 1e6]),
)
DIRECTIONS = [
    (1, 0, 0, 0, 1, 0),
    (0, 1, 0, 0, 0, -1),
    (1, 0, 0, 0, 0, -1),
    (0.6, 0.8, 0, -0.8, 0.6, 0),
    (1, 0, 0, 0, 0.5**0.5, 0.5**0.5),
]


@st.composite
def places(draw) -> Place:
    return Place(
        shape=draw(st.sampled_from([(16, 16), (32, 20)])),
        directions=draw(st.none() | st.sampled_from(DIRECTIONS)),
        spacing=draw(st.none() | st.sampled_from([(1.0, 1.0), (0.001, 0.002), (999.0, 999.0)])),
        origin=draw(st.none() | st.tuples(NUMBERS, NUMBERS, NUMBERS)),
        location=draw(st.none() | NUMBERS),
        number=draw(st.none() | st.integers(-5, 5)),
        frame=draw(st.integers(0, 3)),
        contents=Contents(
            series=draw(st.none() | st.sampled_from([1.0, 2.0])),
            kind=draw(st.none() | st.sampled_from(["M", "P"])),
            echo_time=draw(st.none() | NUMBERS),
            time_point=draw(st.none() | NUMBERS),
        ),
    )


@given(st.lists(places(), max_size=12))
def test_every_slice_is_read_once(series):
    stacks = plan_stacks(series, 16)
    assert sorted(index for stack in stacks for index in stack.members) == list(range(len(series)))
    assert all(len(stack.grids) == len(stack.members) for stack in stacks)
    for stack in stacks:
        if stack.volume:
            assert len(stack.volume.slots) == len(stack.members)
            assert list(stack.volume.slots) == sorted(set(stack.volume.slots))


def test_thousands_of_orientations_are_planned_in_no_time():
    """A series in which no two slices lie alike."""
    angles = np.random.default_rng(0).uniform(0, np.pi, (2000, 2))
    series = []
    for a, b in angles:
        rows = (np.cos(a), np.sin(a), 0)
        columns = (-np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), np.sin(b))
        series.append(Place((32, 32), (*rows, *columns), (1.0, 1.0), (0.0, 0.0, 0.0)))
    before = time.process_time()
    assert sum(len(stack.members) for stack in plan_stacks(series, 16)) == len(series)
    assert time.process_time() - before < 10


def test_gaps_are_told_in_millimetres():
    grid = Grid(np.array([0.0, 0, 100]), np.array([[0, 0, 1.0], [0, 1, 0], [2, 0, 0]]))
    assert tell_gaps([0, 1, 2], grid) == ""
    assert tell_gaps([0, 2, 3], grid) == "1 slice is missing between 100.0 and 104.0 mm"
    told = tell_gaps([0, 2, 4, 6, 8], grid)
    assert told.startswith("4 slices are missing between") and told.endswith("elsewhere")


def test_few_gaps_may_be_filled():
    whole = list(range(60))
    assert may_be_filled(whole)
    assert may_be_filled([slot for slot in whole if slot not in (5, 6, 7)])
    assert not may_be_filled([slot for slot in whole if slot not in (5, 6, 7, 8)])
    assert not may_be_filled([slot for slot in whole if slot % 8])


def place_of(index: int, stack: str, **others) -> Place:
    """A slice of a thin sagittal volume."""
    place = Place((32, 32), DIRECTIONS[1], (1.0, 1.0), (float(index), -16.0, 16.0), None, index)
    return place._replace(contents=Contents(stack=stack), **others)


def test_stacks_that_lie_one_behind_the_other_are_one_volume():
    """An enhanced object may give each slab of one scan a Stack ID of its own, in any order."""
    order = np.random.default_rng(0).permutation(48).tolist()
    (stack,) = plan_stacks([place_of(index, str(index // 16)) for index in order], 16)
    assert stack.volume is not None
    assert [order[member] for member in stack.members] in (list(range(48)), list(range(48))[::-1])
    assert stack.notes == ()


def test_stacks_far_apart_are_volumes_of_their_own():
    """As one volume they would have a hole, and no axial slice would be cut from it."""
    places = [
        place_of(index, stack)
        for stack, first in (("a", 0), ("b", 30))
        for index in range(first, first + 24)
    ]
    stacks = plan_stacks(places, 16)
    assert [len(stack.members) for stack in stacks] == [24, 24]
    assert all(stack.volume is not None for stack in stacks)


def test_stacks_at_one_place_are_volumes_of_their_own():
    places = [place_of(index, stack) for index in range(24) for stack in "ab"]
    assert [len(stack.members) for stack in plan_stacks(places, 16)] == [24, 24]


def test_echo_times_of_slices_may_sway_and_those_of_echoes_differ():
    """Some scanners state the time that each slice had."""
    base = [place_of(index, "1") for index in range(24)]
    sway = [
        one._replace(contents=Contents(echo_time=2.98 + index % 2 / 100))
        for index, one in enumerate(base)
    ]
    (stack,) = plan_stacks(sway, 16)
    assert stack.volume is not None and stack.notes == ()
    echoes = [
        one._replace(contents=Contents(echo_time=time)) for one in base for time in (77.5, 80.0)
    ]
    assert [len(stack.members) for stack in plan_stacks(echoes, 16)] == [24, 24]


@pytest.mark.parametrize("other", [{"shape": (28, 28)}, {"samples": 3}])
def test_slices_of_another_size_or_in_colors_are_no_localizer(other):
    places = [place_of(index, "1") for index in range(24)]
    places[5] = places[5]._replace(**other)
    odd = next(stack for stack in plan_stacks(places, 16) if len(stack.members) == 1)
    assert odd.notes == (
        "differs in size, spacing or colors from 23 slices of its series: read by itself",
    )
