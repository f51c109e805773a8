"""A model knows its training pictures again, and copies of them."""

import numpy as np
import pytest
from PIL import Image

from models import write_tiny_model
from sites import write_site
from tumorlens.data.manifest import read_manifest
from tumorlens.detector import Detector
from tumorlens.errors import ModelFileError
from tumorlens.evaluation.memory import decode_memory, encode_memory, recall
from tumorlens.evaluation.scoring import score_manifest
from tumorlens.imaging.fingerprint import FINGERPRINT_BYTES, fingerprint_slice
from tumorlens.imaging.readers import read_slice
from tumorlens.model.session import Session


def test_entry_round_trip():
    rng = np.random.default_rng(0)
    prints = [rng.bytes(FINGERPRINT_BYTES) for _ in range(5)]
    memory = decode_memory(encode_memory([*prints, prints[0]]), "x.onnx")
    assert [row.tobytes() for row in memory] == sorted(prints)


@pytest.mark.parametrize("text", ["no base64!", "QUJD"])
def test_a_damaged_entry_names_the_file(text):
    with pytest.raises(ModelFileError, match=r"x\.onnx: its list of training pictures"):
        decode_memory(text, "x.onnx")


def test_a_model_without_memory_cannot_tell(tmp_path):
    assert recall(Session(write_tiny_model(tmp_path / "m.onnx"))) is None


def test_training_pictures_and_their_copies_are_marked(tmp_path):
    manifest = write_site(tmp_path / "site", patients=4)
    trained = sorted(manifest.parent.glob("[01]-*.png"))
    memory = encode_memory(fingerprint_slice(read_slice(path)) for path in trained)
    model = write_tiny_model(tmp_path / "m.onnx", seen=memory)
    # A copy under another patient's name: mirrored, smaller, recompressed.
    copy = Image.open(trained[0]).transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((80, 80))
    copy.save(manifest.parent / "3-1.png")
    detector = Detector(model)
    scored = score_manifest(
        detector, read_manifest(manifest), is_seen=recall(detector.session)
    ).scores
    seen = {row.path.name for row, was in zip(scored.rows, scored.seen, strict=True) if was}
    assert seen == {path.name for path in trained} | {"3-1.png"}
