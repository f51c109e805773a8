"""`tumorlens web`: the folder that it lays, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from limits_of_disk import small_files
from models import make_card, write_tiny_model
from tumorlens.cli.main import run
from tumorlens.errors import UsageError
from tumorlens.model.registry import find_model
from tumorlens.model.session import Session
from tumorlens.viewing.web import runtime, site

PAGE = Path(site.__file__).with_name("page")


@pytest.fixture(scope="module")
def runtime_folder(tmp_path_factory):
    """The files of onnxruntime-web, as somebody without a network would give them."""
    folder = tmp_path_factory.mktemp("runtime")
    try:
        runtime.copy_runtime(folder)
    except UsageError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture(scope="module")
def laid(tmp_path_factory, runtime_folder):
    folder = tmp_path_factory.mktemp("laid") / "page"
    return site.write_web_page(folder, runtime=runtime_folder)


# The model in eight-bit integers


def test_the_eight_bit_model_is_made_of_the_bundled_one():
    """Else: python release/eight_bit_model.py DATA..."""
    made, original = Session(site.EIGHT_BIT, threads=1), Session(find_model("default"), threads=1)
    assert original.sha256 in made.card.made_from
    assert made.card.parity.verdicts_equal >= 0.99
    assert site.EIGHT_BIT.stat().st_size < 4e6
    assert made.studies == original.studies


# What is laid


def test_the_service_worker_keeps_every_file_but_the_full_model(laid):
    text = (laid.folder / "service-worker.js").read_text(encoding="utf-8")
    files = json.loads(re.search(r"const FILES = (.*);", text)[1])
    there = {one.relative_to(laid.folder).as_posix() for one in laid.folder.rglob("*")}
    assert {name for name in files if name != "./" and name not in there} == set()
    assert "models/full.onnx" in there
    assert "models/full.onnx" not in files
    runtime = "runtime/ort-wasm-simd-threaded.wasm"
    assert {"models/eight-bit.onnx", runtime, "tokens.css"} <= set(files)


def test_settings_name_what_is_there(laid):
    settings = json.loads((laid.folder / "settings.json").read_text(encoding="utf-8"))
    assert [one["kind"] for one in settings["models"]] == ["int8", "float"]
    for one in (*settings["models"], *settings["examples"]):
        assert (laid.folder / one["file"]).is_file()
    assert len(settings["examples"]) == len(site.EXAMPLES)


def test_another_model_is_laid_as_it_is(tmp_path, runtime_folder):
    model = write_tiny_model(tmp_path / "tiny.onnx", make_card(name="tiny"))
    found = site.write_web_page(tmp_path / "page", model=str(model), runtime=runtime_folder)
    settings = json.loads((found.folder / "settings.json").read_text(encoding="utf-8"))
    assert [one["file"] for one in settings["models"]] == ["models/model.onnx"]
    assert (found.folder / "models/model.onnx").read_bytes() == model.read_bytes()
    assert (found.full, found.note) == (False, "")


def test_the_page_names_no_other_place():
    own = [one for one in PAGE.rglob("*") if one.is_file() and "vendor" not in one.parts]
    text = "".join(one.read_text("utf-8") for one in own if one.name != "licenses.txt")
    places = set(re.findall(r"https?://[^\s\"')]+", text))
    assert places <= {"http://www.w3.org/2000/svg"}


def test_each_library_has_its_licence():
    text = (PAGE / "licenses.txt").read_text(encoding="utf-8")
    for folder in (PAGE / "vendor").iterdir():
        assert f"vendor/{folder.name}/" in text
    assert f"ONNX Runtime Web {runtime.VERSION}" in text


# What is refused


def test_a_folder_of_something_else_is_never_replaced(tmp_path, runtime_folder):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="holds something else; name a new folder"):
        site.write_web_page(tmp_path / "mine", runtime=runtime_folder, overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").is_file()


def test_a_page_is_replaced_only_when_asked(laid, tmp_path, runtime_folder):
    shutil.copytree(laid.folder, tmp_path / "page")
    with pytest.raises(UsageError, match="exists already"):
        site.write_web_page(tmp_path / "page", runtime=runtime_folder)
    (tmp_path / "page" / "index.html").write_text("old")
    site.write_web_page(tmp_path / "page", runtime=runtime_folder, overwrite=True)
    assert "tumorlens" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")


def test_a_full_disk_is_told_in_one_line(tmp_path, runtime_folder):
    wanted = pytest.raises(UsageError, match=r"page: cannot be written \(File too large\); free")
    with small_files(10_000), wanted:
        site.write_web_page(tmp_path / "page", runtime=runtime_folder)
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_release_is_refused(tmp_path):
    (tmp_path / "dist").mkdir()
    for name in runtime.FILES:
        (tmp_path / "dist" / name).write_text("another release")
    with pytest.raises(UsageError, match=rf"is not the file of onnxruntime-web {runtime.VERSION}"):
        site.write_web_page(tmp_path / "page", runtime=tmp_path / "dist")
    assert not (tmp_path / "page").exists()


def test_a_folder_without_the_runtime_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is missing; give the folder `dist`"):
        site.write_web_page(tmp_path / "page", runtime=tmp_path)


def test_the_command_says_how_to_try_the_page(tmp_path, runtime_folder, capsys):
    code = run(["web", "--output", str(tmp_path / "page"), "--runtime", str(runtime_folder)])
    said = capsys.readouterr().out
    assert code == 0
    assert "python -m http.server --bind 127.0.0.1 --directory" in said
    assert run(["web"]) == 2


def test_without_a_network_the_way_round_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(runtime, "URL", "http://127.0.0.1:9/onnxruntime-web.tgz")
    with pytest.raises(UsageError, match=r"cannot be fetched.*package/dist with `runtime=`"):
        site.write_web_page(tmp_path / "page")
    assert [one.name for one in tmp_path.iterdir()] == ["cache"]


def test_a_download_that_is_no_release_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "wrong.tgz").write_bytes(b"no archive")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(runtime, "URL", (tmp_path / "wrong.tgz").as_uri())
    with pytest.raises(UsageError, match="cannot be fetched"):
        site.write_web_page(tmp_path / "page")
    assert not list((tmp_path / "cache/tumorlens").iterdir())
