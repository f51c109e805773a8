"""``tumorlens card`` from end to end."""

import pytest

from models import write_tiny_model
from page_reader import PageReader
from tumorlens.cli.main import run


def test_the_bundled_model_has_a_card(capsys):
    assert run(["card", "default"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# Model card: tumorlens-")
    assert "not answered" in shown
    assert shown.count("For research only, not a medical device.") == 1


@pytest.mark.parametrize(("name", "words"), [("c.html", ()), ("c.txt", ("--format", "html"))])
def test_html_goes_to_the_file(tmp_path, name, words):
    model, file = write_tiny_model(tmp_path / "tiny.onnx"), tmp_path / name
    assert run(["card", str(model), "--output", str(file), *words]) == 0
    page = PageReader(file.read_text(encoding="utf-8"))
    assert page.faults == []
    assert f"Made by tumorlens card {model}" in page.text


def test_bad_input_writes_nothing(tmp_path, capsys):
    file = tmp_path / "c.md"
    assert run(["card", "defult", "--output", str(file)]) == 2
    assert "did you mean default" in capsys.readouterr().err
    assert not file.exists()
    file.write_text("kept")
    assert run(["card", "default", "--output", str(file)]) == 2
    assert file.read_text() == "kept"
