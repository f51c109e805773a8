"""The numbers for series and studies, fitted in worlds whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from tumorlens.studies.fitting import SeriesToFit, StudyToFit, fit_series_terms, fit_study_terms
from tumorlens.studies.profile import FEATURES


def draw_cases(
    count: int, sequence: str = "T1", *, share: float = 0.5, gain: float = 2.0, seed: int = 0
) -> list[SeriesToFit]:
    """Log-odds ``gain`` times the best 10 mm; nothing else tells."""
    rng = np.random.default_rng(seed)
    cases = []
    for index in range(count):
        tumor = rng.random() < share
        top = rng.normal(gain / 2 if tumor else -gain / 2, 1)
        rest = rng.normal(0, 1, 2)
        features = dict(zip(FEATURES, [top, *rest], strict=True))
        cases.append(SeriesToFit(f"{sequence}-{seed}-{index}", sequence, tumor, features))
    return cases


def test_weights_are_found():
    terms = fit_series_terms(draw_cases(2000))["T1"]
    assert terms.weights["top_10mm"] == pytest.approx(2.0, abs=0.25)
    assert terms.offset == pytest.approx(0, abs=0.25)
    assert max(terms.weights[name] for name in FEATURES[1:]) < 0.2


def test_probabilities_mean_even_odds_whatever_the_mix():
    terms = fit_series_terms(draw_cases(3000, share=0.1))["T1"]
    assert terms.offset == pytest.approx(0, abs=0.3)


def test_no_weight_is_negative():
    cases = [
        SeriesToFit(c.group, c.sequence, c.tumor, {**c.features, "quiet": -c.features["top_10mm"]})
        for c in draw_cases(300)
    ]
    terms = fit_series_terms(cases)
    assert min(min(one.weights.values()) for one in terms.values()) >= 0


def test_a_sequence_with_few_cases_borrows_from_the_others():
    many, few = draw_cases(600, "T1"), draw_cases(8, "T2", gain=0.1, seed=3)
    terms = fit_series_terms([*many, *few])
    alone = fit_series_terms(few)["T2"]
    shared = terms["T2"].weights["top_10mm"]
    assert abs(shared - terms["T1"].weights["top_10mm"]) < abs(
        alone.weights["top_10mm"] - terms["T1"].weights["top_10mm"]
    )


def test_a_sequence_with_one_label_has_the_common_numbers():
    ill = [case for case in draw_cases(50, "T1c", seed=4) if case.tumor]
    terms = fit_series_terms([*draw_cases(200), *ill])
    assert set(terms) == {"other", "T1"}


def test_many_series_of_a_patient_count_as_one():
    cases = draw_cases(100)
    odd = SeriesToFit("odd", "T1", True, dict.fromkeys(FEATURES, -3.0))
    once = fit_series_terms([*cases, odd])["T1"]
    often = fit_series_terms([*cases, *[odd] * 30])["T1"]
    assert often.weights["top_10mm"] == pytest.approx(once.weights["top_10mm"], abs=0.05)


def draw_studies(count: int, alike: float, seed: int = 0) -> list[StudyToFit]:
    """Two series with true log-odds each; ``alike`` is the correlation of what they show."""
    rng = np.random.default_rng(seed)
    studies = []
    for index in range(count):
        tumor = bool(rng.random() < 0.5)
        shared = rng.normal()
        noise = alike**0.5 * shared + (1 - alike) ** 0.5 * rng.normal(size=2)
        logits = 1.5 * ((0.75 if tumor else -0.75) + noise)
        names = ("T1", "FLAIR")
        studies.append(StudyToFit(str(index), tumor, list(zip(names, logits, strict=True))))
    return studies


def test_independent_series_add_up_and_alike_ones_do_not():
    apart, same = fit_study_terms(draw_studies(2000, 0.0)), fit_study_terms(draw_studies(2000, 1.0))
    pair = [("T1", 1.0), ("FLAIR", 1.0)]
    assert apart.add_up(pair) == pytest.approx(2.0, abs=0.3)
    assert same.add_up(pair) == pytest.approx(1.0, abs=0.3)


def test_few_studies_leave_the_prior():
    terms = fit_study_terms(draw_studies(4, 0.5))
    assert terms.alike == pytest.approx(0.5, abs=0.25)
    assert terms.weights["T1"] == pytest.approx(1, abs=0.25)
