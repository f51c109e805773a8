"""Numbers for series and studies at the end of a training."""

from __future__ import annotations

from score_tables import draw_heads, draw_scores
from tumorlens.training.finishing.scored_rows import fit_studies


def test_validation_pictures_give_numbers_for_studies():
    model, words = fit_studies(draw_heads())
    assert words == (
        "numbers for series and studies: fitted on validation: 40 series, 40 studies, 20 patients "
        "with and 20 without a tumor"
    )
    assert "FLAIR" in model.series


def test_too_few_series_are_said():
    model, words = fit_studies(draw_scores(groups=3))
    assert model is None
    assert words.startswith("the model judges slices, but no series and no studies: validation")
