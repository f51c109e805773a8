"""What a decoder complains of in its own process becomes a note of the slice."""

import io

import numpy as np
from PIL import Image
from pydicom.uid import JPEGBaseline8Bit

from tumorlens.imaging.codecs.apart import decode_frames
from tumorlens.imaging.files.limits import DEFAULT_LIMITS
from tumorlens.imaging.files.refusal import listen


def test_a_complaint_of_a_decoder_process_is_heard():
    """A JPEG whose components are named R, G and B, in an object that says YBR_FULL."""
    stream = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(stream, "JPEG", keep_rgb=True)
    options = {
        "rows": 16,
        "columns": 16,
        "samples_per_pixel": 3,
        "bits_allocated": 8,
        "bits_stored": 8,
        "pixel_representation": 0,
        "photometric_interpretation": "YBR_FULL",
        "planar_configuration": 0,
        "pixel_keyword": "PixelData",
    }
    with listen() as notes:
        values = decode_frames(
            [stream.getvalue()] * 2,
            str(JPEGBaseline8Bit),
            options,
            10_000,
            path="x.dcm",
            limits=DEFAULT_LIMITS,
        )
    assert values.shape == (2, 16, 16, 3)
    assert notes == [
        "the compressed image names other colors than the header: read as the image says"
    ]
