"""`train_model`: what is refused before any training, and leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from limits_of_disk import small_files
from painter import write_class_folders, write_manifest
from tiny_training import make_recipe, make_request, stop_after, write_weights
from tumorlens.data.manifest import read_data
from tumorlens.errors import DataError
from tumorlens.network import weights as network_weights
from tumorlens.training.journal import hold_folder, read_run
from tumorlens.training.run import train_model


def test_one_class_only_is_refused(tmp_path, weights):
    data = write_class_folders(tmp_path / "data", 12)
    for file in (data / "no").iterdir():
        file.unlink()
    (data / "no").rmdir()
    with pytest.raises(DataError, match="no_tumor"):
        train_model(make_request(data, tmp_path / "run", weights))


def test_an_empty_class_is_refused(tmp_path, weights):
    data = write_class_folders(tmp_path / "data", 12)
    for file in (data / "no").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="no"):
        train_model(make_request(data, tmp_path / "run", weights))


def test_unreadable_pictures_are_listed_and_skipped_only_if_asked(tmp_path, weights):
    data = write_class_folders(tmp_path / "data", 14)
    (data / "yes/yes03.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    request = make_request(data, tmp_path / "run", weights)
    with pytest.raises(DataError) as caught:
        train_model(request)
    words = str(caught.value)
    assert words.startswith("1 pictures cannot be read:\n")
    assert "yes03.png" in words
    assert "`skip_unreadable=True`" in words
    assert not (tmp_path / "run").exists()
    said = []
    with pytest.raises(KeyboardInterrupt):
        train_model(replace(request, skip_unreadable=True, notice=stop_after(said, "validation")))
    assert any(one.startswith("skipped: ") and "yes03.png" in one for one in said)


def test_conflicts_are_listed_and_dropped_only_if_asked(tmp_path, weights):
    data = write_class_folders(tmp_path / "data", 16)
    Image.open(data / "yes/yes00.png").save(data / "no/copy.png")
    request = make_request(data, tmp_path / "run", weights)
    with pytest.raises(
        DataError, match=r"(?s)1 pictures have two labels:\n.*copy.*`drop_conflicts=True`"
    ):
        train_model(request)
    said = []
    with pytest.raises(KeyboardInterrupt):
        train_model(replace(request, drop_conflicts=True, notice=stop_after(said, "validation")))
    counts = [int(one.split()[1]) for one in said if one.startswith(("training:", "validation:"))]
    assert sum(counts) == 31


def test_groups_on_two_sides_are_refused(tmp_path, weights):
    manifest = read_data(write_manifest(tmp_path / "data", 12))
    crossing = manifest.with_rows(
        replace(row, split="test" if number == 0 else "train")
        for number, row in enumerate(manifest.rows)
    )
    with pytest.raises(DataError, match="stand on two sides of its splits"):
        train_model(make_request(crossing, tmp_path / "run", weights))
    assert not (tmp_path / "run").exists()


def test_missing_weights_say_what_to_do(tmp_path, monkeypatch):
    data = write_class_folders(tmp_path / "data", 12)
    with pytest.raises(DataError, match=r"nowhere.*no such file of weights"):
        train_model(make_request(data, tmp_path / "run", tmp_path / "nowhere"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(network_weights, "_TORCHVISION", "http://127.0.0.1:9/w-b0353104.pth")
    with pytest.raises(DataError, match="offline, copy the file here"):
        train_model(make_request(data, tmp_path / "other", None))


def test_a_folder_with_other_files_is_refused(tmp_path, weights):
    data = write_class_folders(tmp_path / "data", 12)
    with pytest.raises(DataError, match="is not empty and holds no run"):
        train_model(make_request(data, data, weights))


def test_no_space_for_pictures_is_refused(tmp_path, weights):
    request = make_request(write_class_folders(tmp_path / "data", 30), tmp_path / "run", weights)
    with (
        small_files(100_000),
        pytest.raises(DataError, match="prepared pictures cannot be written"),
    ):
        train_model(request)
    assert not request.folder.exists()


def test_no_groups_to_hold_out_is_refused(tmp_path, weights):
    manifest = read_data(write_manifest(tmp_path / "data", 12))
    one = manifest.with_rows(replace(row, group="everybody") for row in manifest.rows)
    with pytest.raises(
        DataError,
        match="1 group is too few to hold out 25 % of them; at least 4 are needed: add patients",
    ):
        train_model(make_request(one, tmp_path / "deep/run", weights))
    assert not (tmp_path / "deep").exists()


def test_two_trainings_do_not_share_a_folder(tmp_path, weights):
    request = make_request(write_class_folders(tmp_path / "data", 12), tmp_path / "run", weights)
    with hold_folder(request.folder):
        (request.folder / "run.json").write_text("{}")
        with pytest.raises(DataError, match="another training is at work in it"):
            train_model(request)
        (request.folder / "run.json").unlink()
    assert not request.folder.exists()


def test_a_folder_without_a_run_is_no_run(tmp_path):
    with pytest.raises(DataError, match="holds no run"):
        read_run(tmp_path)


def test_layers_of_narrowed_weights_are_not_frozen(tmp_path):
    data = write_class_folders(tmp_path / "data", 12)
    wide = write_weights(tmp_path / "wide.safetensors", width=0.5)
    request = make_request(data, tmp_path / "run", wide, make_recipe(network={"frozen": 4}))
    with pytest.raises(DataError, match=r"first 4 layers are frozen; give `settings="):
        train_model(request)
