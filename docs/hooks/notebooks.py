"""Executes the notebooks of the tutorials and writes the page of each: ``make tutorial``.

A notebook is kept without outputs. Its page is Markdown with the outputs, and its pictures lie
beside it. The notebook works in a temporary folder, so that nothing is left behind. A cell that
fails ends it.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 600  # that a cell may take
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_TIME = re.compile(r"^\d\d:\d\d:\d\d |, \d+ s$", re.MULTILINE)


def execute(path: Path) -> Any:
    """The notebook with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ["TUMORLENS_EXAMPLES"] = str(ROOT / "examples")
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=SECONDS, resources=resources).execute()
        for output in list_outputs(notebook):
            if "text" in output:
                output["text"] = hide_chance(output["text"], folder)
    return notebook


def list_outputs(notebook: Any) -> Iterator[Any]:
    """The outputs of all cells."""
    for cell in notebook.cells:
        yield from cell.get("outputs", [])


def hide_chance(text: str, folder: str) -> str:
    """Without what differs from one execution to the next: times, and the temporary folder."""
    text = _TIME.sub("", _COLOR.sub("", text)).replace(f"{folder}/", "").replace(f"{ROOT}/", "")
    return "\n".join(line.rstrip() for line in text.splitlines())


def write_page(notebook: Any, source: Path) -> Path:
    """Write the Markdown page of an executed notebook, and its pictures."""
    lines: list[str] = []
    for cell in notebook.cells:
        if cell["cell_type"] == "markdown":
            lines += [cell["source"], ""]
            continue
        lines += ["```python", cell["source"], "```", ""]
        for output in cell.get("outputs", []):
            lines += show_output(output, source)
    lines += [f"[Download this notebook]({source.name})", ""]
    page = source.with_suffix(".md")
    page.write_text("\n".join(lines), encoding="utf-8")
    return page


def show_output(output: Mapping[str, Any], source: Path) -> list[str]:
    """Markdown of an output; a picture is stored as a file."""
    data = output.get("data", {})
    if "image/png" in data:
        earlier = source.with_suffix("")
        number = 1 + len(list(source.parent.glob(f"{earlier.name}-*.png")))
        picture = source.with_name(f"{earlier.name}-{number}.png")
        picture.write_bytes(base64.b64decode(data["image/png"]))
        return [f"![Picture {number} of this notebook]({picture.name})", ""]
    text = (output.get("text") or data.get("text/plain") or "").strip("\n")
    return ["```{ .text .no-copy }", text, "```", ""] if text else []


def main() -> None:
    """Execute each notebook of the tutorials, and write its page."""
    for source in sorted((ROOT / "docs/tutorials").glob("*.ipynb")):
        notebook = execute(source)
        for picture in source.parent.glob(f"{source.stem}-*.png"):
            picture.unlink()
        print(write_page(notebook, source))


if __name__ == "__main__":
    main()
