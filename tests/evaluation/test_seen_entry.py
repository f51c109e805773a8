"""A model knows its training pictures again, and copies of them."""

import base64
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from models import write_tiny_model
from sites import write_site
from tumorlens.data.manifest import read_manifest
from tumorlens.detector import Detector
from tumorlens.errors import ModelFileError
from tumorlens.evaluation.scoring import score_manifest
from tumorlens.imaging.pixels.fingerprint import FINGERPRINT_BYTES, fingerprint_slice
from tumorlens.imaging.readers import read_slice
from tumorlens.model import seen_entry as entries
from tumorlens.model.seen_entry import decode_fingerprints, encode_fingerprints, load_seen_test
from tumorlens.model.session import Session


def make_prints(count, seed=0):
    """Fingerprints like those of neighbouring slices: 24 of 256 bits differ from the one before."""
    rng = np.random.default_rng(seed)
    bits = np.zeros((count, 8 * FINGERPRINT_BYTES), np.uint8)
    for line in range(1, count):
        bits[line] = bits[line - 1]
        bits[line, rng.permutation(bits.shape[1])[:24]] ^= 1
    return [one.tobytes() for one in np.packbits(bits, axis=1)]


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_entry_round_trip(count):
    prints = make_prints(count)
    fingerprints = decode_fingerprints(encode_fingerprints([*prints, *prints[:1]]), "x.onnx")
    assert fingerprints.shape == (count, FINGERPRINT_BYTES)
    assert sorted(row.tobytes() for row in fingerprints) == sorted(prints)


def test_the_order_of_pictures_makes_no_difference():
    prints = make_prints(50)
    assert encode_fingerprints(prints) == encode_fingerprints(reversed(prints))


def test_pictures_that_resemble_each_other_take_little_room():
    prints = make_prints(2000)
    order = np.random.default_rng(1).permutation(len(prints))
    entry = encode_fingerprints(prints[index] for index in order)
    assert len(entry) < 0.75 * len(base64.b64encode(b"".join(prints)))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 32, 1001])
def test_base85_is_that_of_the_standard_library(size):
    data = np.random.default_rng(size).bytes(size)
    text = base64.b85encode(data).decode()
    assert entries._decode_base85(text) == data == base64.b85decode(text)


@pytest.mark.parametrize("text", ["~~~~~", "0 000", "00[00", "é0000"])
def test_what_is_no_base85_is_refused(text):
    with pytest.raises(ValueError, match=r"base85|ASCII|ascii"):
        base64.b85decode(text)
    with pytest.raises(ValueError, match=r"base85|ascii"):
        entries._decode_base85(text)


def test_the_plain_form_is_still_read():
    prints = make_prints(5)
    fingerprints = decode_fingerprints(base64.b64encode(b"".join(prints)).decode(), "x.onnx")
    assert [row.tobytes() for row in fingerprints] == prints


DAMAGED = ["no base64!", "QUJD", "chain:", "chain:x y", "chain:" + "0" * 40]


@pytest.mark.parametrize("text", [*DAMAGED, encode_fingerprints(make_prints(40))[:-9]])
def test_a_damaged_entry_names_the_file(text):
    with pytest.raises(ModelFileError, match=r"x\.onnx: its list of training pictures"):
        decode_fingerprints(text, "x.onnx")


def measure(text):
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=r"more than the 1,000,000 allowed"):
            decode_fingerprints(text, "x.onnx")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_an_entry_that_swells_is_refused():
    """150 MB of zeros in 150 kB, and a list that is too long as it stands."""
    deflated = zlib.compress(bytes(150 * 2**20), 9)
    assert measure("chain:" + base64.b85encode(deflated).decode()) < 100 * 2**20
    measure(base64.b64encode(bytes(FINGERPRINT_BYTES * 1_000_001)).decode())


def test_a_model_without_memory_cannot_tell(tmp_path):
    assert load_seen_test(Session(write_tiny_model(tmp_path / "m.onnx"))) is None


def test_training_pictures_and_their_copies_are_marked(tmp_path):
    manifest = write_site(tmp_path / "site", patients=4)
    trained = sorted(manifest.parent.glob("[01]-*.png"))
    fingerprints = encode_fingerprints(fingerprint_slice(read_slice(path)) for path in trained)
    model = write_tiny_model(tmp_path / "m.onnx", seen=fingerprints)
    # A copy under another patient's name: mirrored, smaller, recompressed.
    copy = Image.open(trained[0]).transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((80, 80))
    copy.save(manifest.parent / "3-1.png")
    detector = Detector(model)
    scored = score_manifest(
        detector, read_manifest(manifest), is_seen=load_seen_test(detector.session)
    ).scores
    seen = {row.path.name for row, was in zip(scored.rows, scored.seen, strict=True) if was}
    assert seen == {path.name for path in trained} | {"3-1.png"}
