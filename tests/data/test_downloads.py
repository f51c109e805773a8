"""Downloads: read in their public layout, fetched from a real local server."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from builders import write_picture
from tumorlens.data.public_sets.catalogue import Archive
from tumorlens.data.public_sets.downloads import fetch_set, find_set, read_download
from tumorlens.errors import DataError, UsageError

PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


def plant(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_picture(folder / name, PIXELS)
    return folder


def test_navoneel_stands_twice_in_its_archive_and_is_read_once(tmp_path):
    names = ("yes/Y1.jpg", "yes/Y2.jpg", "no/1 no.jpeg")
    plant(tmp_path, *names, *(f"brain_tumor_dataset/{name}" for name in names))
    manifest = read_download("navoneel", tmp_path)
    assert [row.label for row in manifest.rows] == ["no_tumor", "tumor", "tumor"]
    assert (manifest.name, manifest.sources) == ("navoneel", ("navoneel",))
    lone = plant(tmp_path / "lone", *(f"brain_tumor_dataset/{name}" for name in names))
    assert len(read_download("navoneel", lone)) == 3


def test_br35h_comes_with_folders_that_are_no_classes(tmp_path):
    plant(tmp_path, "yes/y0.jpg", "no/no0.jpg", "pred/pred0.jpg", "Br35H-Mask-RCNN/TRAIN/y0.jpg")
    assert len(read_download("br35h", tmp_path)) == 2


def test_the_public_split_of_nickparvar_is_kept_by_name_only(tmp_path):
    plant(tmp_path, "Training/glioma/a.jpg", "Testing/notumor/b.jpg", "Testing/pituitary/c.jpg")
    rows = read_download("nickparvar", tmp_path).rows
    assert [(row.split, row.label, row.tumor_class) for row in rows] == [
        ("Testing", "no_tumor", ""),
        ("Testing", "tumor", "pituitary"),
        ("Training", "tumor", "glioma"),
    ]


def test_what_is_not_read_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"cheng.*\.mat.*manifest\.csv"):
        read_download("cheng", tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_download("navoneel", tmp_path / "none")
    with pytest.raises(DataError, match="holds no picture"):
        read_download("navoneel", tmp_path)
    with pytest.raises(UsageError, match=r"'navonell'.*navoneel"):
        find_set("navonell")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "part.zip").write_bytes(b"slices" * 1000)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/part.zip", folder / "part.zip"
        running.shutdown()
        thread.join()


def test_archives_are_fetched_whole_and_once(server, tmp_path):
    address, file = server
    archive = Archive(address, hashlib.sha256(file.read_bytes()).hexdigest(), "part.zip")
    steps = []
    target = tmp_path / "new" / "cheng"
    (got,) = fetch_set("cheng", target, archives=[archive], progress=steps.append)
    assert got == target / "part.zip"
    assert got.read_bytes() == file.read_bytes()
    file.unlink()  # the second time nothing is asked of the server
    assert fetch_set("cheng", target, archives=[archive]) == [got]
    assert steps == [1]


def test_another_hash_keeps_nothing(server, tmp_path):
    address, _ = server
    with pytest.raises(DataError, match="hash"):
        fetch_set("cheng", tmp_path / "new", archives=[Archive(address, "0" * 64, "part.zip")])
    assert list((tmp_path / "new").iterdir()) == []


def test_a_silent_address_is_named(server, tmp_path):
    address, _ = server
    missing = Archive(address.replace("part", "gone"), "0" * 64, "gone.zip")
    with pytest.raises(DataError, match=r"gone\.zip: cannot be fetched"):
        fetch_set("cheng", tmp_path / "new", archives=[missing])
    assert list((tmp_path / "new").iterdir()) == []


def test_sets_without_address_say_where_they_lie(tmp_path):
    with pytest.raises(UsageError, match=r"kaggle\.com.*tumorlens data add navoneel"):
        fetch_set("navoneel", tmp_path)
