"""Slices for an export: disjoint people, sources in equal numbers."""

from collections import Counter

import pytest

from sites import write_site
from tumorlens.data.manifest import merge_manifests, read_manifest
from tumorlens.errors import DataError
from tumorlens.exporting.samples import Samples, draw_samples, prepare_images
from tumorlens.imaging.preprocess import PreprocessSpec


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    sets = [write_site(folder / name, patients=n) for name, n in (("big", 40), ("small", 10))]
    return merge_manifests([read_manifest(one) for one in sets])


def test_no_group_stands_on_both_sides(manifest):
    samples = draw_samples(manifest, calibration=30, parity=30)
    assert (len(samples.calibration), len(samples.parity)) == (30, 30)
    assert not set(samples.calibration.groups) & set(samples.parity.groups)


def test_sources_give_equal_numbers_as_far_as_they_can(manifest):
    samples = draw_samples(manifest, calibration=0, parity=30)
    assert Counter(row.source for row in samples.parity.rows) == {"big": 15, "small": 15}
    assert len(samples.calibration) == 0
    many = draw_samples(manifest, calibration=0, parity=70)
    assert Counter(row.source for row in many.parity.rows) == {"big": 50, "small": 20}


def test_the_draw_can_be_repeated(manifest):
    first, again = (draw_samples(manifest, calibration=20, parity=20) for _ in range(2))
    assert first.parity.rows == again.parity.rows
    assert draw_samples(manifest, calibration=20, parity=20, seed=1).parity.rows != (
        first.parity.rows
    )


def test_a_shared_group_is_refused(manifest):
    with pytest.raises(DataError, match="stands in both calibration and parity"):
        Samples(manifest, manifest)


def test_images_come_as_the_network_takes_them(manifest, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    broken = manifest.rows[0].__class__(path=tmp_path / "broken.png")
    looked = []
    images = list(
        prepare_images(
            manifest.with_rows([*manifest.rows[:2], broken]),
            PreprocessSpec(version=1, size=64),
            looked.append,
        )
    )
    assert [image.shape for image in images] == [(1, 1, 64, 64)] * 2
    assert sum(looked) == 3
