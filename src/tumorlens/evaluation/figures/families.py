"""All figures of one part of the data, in the order in which they are read."""

from __future__ import annotations

from tumorlens.evaluation.figures.cases import Cases
from tumorlens.evaluation.figures.clearing import clearing_family
from tumorlens.evaluation.figures.intervals import Family
from tumorlens.evaluation.figures.levels import level_families
from tumorlens.evaluation.figures.patients import patient_family
from tumorlens.evaluation.figures.pointing import pointing_family
from tumorlens.evaluation.figures.ranking import ranking_family
from tumorlens.evaluation.figures.reliability import abstention_family, calibration_family
from tumorlens.evaluation.figures.verdict_figures import (
    class_families,
    two_way_families,
    verdict_family,
)

__all__ = ["build_families"]


def build_families(cases: Cases, prevalence: float | None = None) -> list[Family]:
    """Every figure that the data allow; those that need what is not there say so.

    A new figure is one more line here.

    Args:
        cases: the rows; without any label only the shares of the verdicts are left.
        prevalence: share of tumor slices at which PPV and NPV are stated.
    """
    if not cases.scores.labelled.any():
        return [verdict_family(cases)]
    optional = [clearing_family(cases), patient_family(cases), pointing_family(cases)]
    return [
        ranking_family(cases),
        *two_way_families(cases, prevalence),
        *class_families(cases),
        calibration_family(cases),
        verdict_family(cases),
        abstention_family(cases),
        *level_families(cases),
        *(family for family in optional if family is not None),
    ]
