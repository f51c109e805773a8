"""`Place`: the position of a stored slice in its series, from its header alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tumorlens.imaging.geometry import Grid, grid_of_slice

__all__ = ["Contents", "Place"]

Trait = float | str | None


class Contents(NamedTuple):
    """What tells volumes apart that lie at the same places; None where the file does not say.

    Attributes:
        frame_of_reference: Frame of Reference UID: positions of two of them do not compare.
        series: Series Number, where one UID was given to several series.
        stack: Stack ID of an enhanced object.
        kind: magnitude, phase, real or imaginary.
        echo_time: in ms.
        b_value: of diffusion, in s/mm².
        time_point: Temporal Position.
        echo: number of the echo.
        acquisition: Acquisition Number. Slices that were taken in turns have two in one volume.
        trigger_time: in ms.
        image_type: words of Image Type and Frame Type: water and fat, a trace beside its images.
        sequence_name: Sequence Name; that of Siemens names the diffusion.
        gradient: direction of diffusion.
        inversion_time: in ms.
        flip_angle: in degrees.
        acquisition_time: one in a volume that was taken as a whole, one a slice in others.
    """

    frame_of_reference: Trait = None
    series: Trait = None
    stack: Trait = None
    kind: Trait = None
    echo_time: Trait = None
    b_value: Trait = None
    time_point: Trait = None
    echo: Trait = None
    acquisition: Trait = None
    trigger_time: Trait = None
    image_type: Trait = None
    sequence_name: Trait = None
    gradient: Trait = None
    inversion_time: Trait = None
    flip_angle: Trait = None
    acquisition_time: Trait = None


class Place(NamedTuple):
    """Where a stored slice stands in its series.

    Attributes:
        shape: (rows, columns) as stored.
        directions: unit vectors along a row and down a column, six numbers, where they make sense.
        spacing: (row, column) in mm.
        origin: centre of the first pixel, in mm.
        location: a position along an axis that the file does not name.
        number: Instance Number.
        dimensions: Dimension Index Values of a frame, which order those of one number.
        frame: 0-based index inside the file.
        samples: values of a pixel: 3 of one in colors.
        contents: what else tells it from a slice at the same place.
    """

    shape: tuple[int, int]
    directions: tuple[float, ...] | None = None
    spacing: tuple[float, float] | None = None
    origin: tuple[float, float, float] | None = None
    location: float | None = None
    number: int | None = None
    dimensions: tuple[float, ...] = ()
    frame: int = 0
    samples: int = 1
    contents: Contents = Contents()

    @property
    def rank(self) -> tuple[int, tuple[float, ...], int]:
        """What orders the slices of a series before their positions do."""
        return self.number or 0, self.dimensions, self.frame

    @property
    def grid(self) -> Grid | None:
        """Places of the pixels as (1, rows, columns); without a position they begin at 0."""
        if self.directions is None:
            return None
        rows, columns = np.array(self.directions[:3]), np.array(self.directions[3:])
        origin = np.array(self.origin or (0.0, 0.0, 0.0))
        return grid_of_slice(origin, rows, columns, self.spacing or (1.0, 1.0))
