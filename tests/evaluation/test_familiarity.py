from __future__ import annotations

import numpy as np

from tumorlens.evaluation.familiarity import fit_projection, measure_distances


def make_embeddings(count=600, sources=4, apart=0.5):
    """Correlated features, the sources a little apart."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(12, 12)).astype(np.float32) * np.geomspace(10, 0.1, 12)[:, None]
    source = np.arange(count) % sources
    shift = apart * rng.normal(size=(sources, 12))
    values = ((rng.normal(size=(count, 12)) + shift[source]) @ mixing).astype(np.float32)
    return values, np.array([f"s{one}" for one in source], dtype=object), mixing


def test_what_lies_across_the_correlations_is_far():
    values, sources, _ = make_embeddings(apart=0.0)
    fit = fit_projection(values, sources)
    strange = np.random.default_rng(1).normal(size=values.shape).astype(np.float32)
    strange = strange * values.std(0) + values.mean(0)  # each feature alone looks the same
    near = measure_distances(values, fit.mean, fit.projection)
    far = measure_distances(strange, fit.mean, fit.projection)
    assert np.mean(near < fit.limit) > 0.95
    assert np.mean(far > fit.limit) > 0.9


def test_the_limit_is_the_largest_of_those_of_the_sources_left_out():
    values, sources, mixing = make_embeddings(apart=0.2)
    close = fit_projection(values, sources)
    values[sources == "s1"] += (3 * mixing[3]).astype(np.float32)
    fit = fit_projection(values, sources)
    assert fit.limit == max(fit.limits.values()) == fit.limits["s1"]
    assert fit.limit > close.limit
    assert set(fit.limits) == set(sources)


def test_one_source_alone_gives_a_limit_that_nearly_all_of_it_keeps():
    values, sources, _ = make_embeddings(sources=1)
    fit = fit_projection(values, sources)
    assert fit.limits == {}
    distances = measure_distances(values, fit.mean, fit.projection)
    assert 0.99 <= np.mean(distances <= fit.limit) < 1
