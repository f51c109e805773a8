"""What a file is called that nobody reads, so that its error says the cause."""

import bz2
import gzip
import io
import lzma
import tarfile

import numpy as np
import pytest

from tumorlens.imaging.files.contents import HEAD_BYTES, describe, sniff


def write_array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros((4, 4)))
    return stream.getvalue()


def write_tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.dcm"))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"/annex/objects/MD5E-s1--0.nii.gz\n", "git annex get"),
        (bz2.compress(b"a volume"), "packed with bzip2"),
        (lzma.compress(b"a volume"), "packed with xz"),
        (b"\x28\xb5\x2f\xfd" + b"\0" * 9, "packed with Zstandard"),
        (write_tar(), "a tar archive"),
        (gzip.compress(write_tar(), mtime=0), "a tar archive"),
        (b"PK\5\6" + b"\0" * 18, "an empty zip archive"),
        (b"PK\7\x08PK\3\4" + b"\0" * 30, "a part of a split zip archive"),
        (write_array(), "a NumPy array"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 20, "a HEIF picture"),
        (b"\0\0\0\x18ftypavif" + b"\0" * 20, "a HEIF picture"),
    ],
)
def test_foreign_files_are_called_what_they_are(content, words):
    assert sniff(content[:HEAD_BYTES]) is None
    assert words in describe(content[:HEAD_BYTES])
