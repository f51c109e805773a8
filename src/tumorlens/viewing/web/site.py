"""Lay the page that judges in the browser into a folder, for any web server."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tumorlens.arguments import PATH, check_arguments, optional
from tumorlens.design.tokens import read_css
from tumorlens.detector import Detector, open_detector
from tumorlens.errors import UsageError
from tumorlens.model.registry import DEFAULT, MODELS
from tumorlens.model.session import Session
from tumorlens.version import __version__
from tumorlens.viewing.examples import EXAMPLES, find_examples
from tumorlens.viewing.web.runtime import copy_runtime
from tumorlens.writing import name_place

__all__ = ["EIGHT_BIT", "EXAMPLES", "WebPage", "list_files", "write_web_page"]

_HERE = Path(__file__).parent
_PAGE = _HERE / "page"
EIGHT_BIT = _HERE / "models" / "eight-bit.onnx"
"""The model `default` in eight-bit integers; `release/eight_bit_model.py` makes it."""

_NO_CACHE = ("models/full.onnx",)
_MARK = "tumorlens-page.json"


@dataclass(frozen=True, slots=True)
class WebPage:
    """What was written.

    Attributes:
        folder: to be served.
        model: name and version of the model that loads first.
        megabytes: of that model.
        full: whether the float model lies there, too, for who asks for it.
        note: why there is no smaller model, if there is none; else empty.
    """

    folder: Path
    model: str
    megabytes: float
    full: bool
    note: str


@check_arguments(runtime=optional(PATH))
def write_web_page(
    output: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | Detector = DEFAULT,
    runtime: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> WebPage:
    """Write a page that judges in the browser, as a folder for any web server.

    It does what ``tumorlens web`` does: page, model, runtime and examples.

    Args:
        output: the folder to be made; its parent exists.
        model: name of the registry, an ``.onnx`` file, or a `Detector`. ``default`` is written
            twice: in 8-bit integers, which load first, and as it is, which a person may ask for.
        runtime: folder ``dist`` of onnxruntime-web; None fetches it from the npm registry, once.
        overwrite: replace a folder that this function has written before.

    Raises:
        UsageError: the folder exists, or the runtime cannot be had.
        ModelFileError: the model is unknown or broken.
    """
    folder = Path(output)
    _check_folder(folder, overwrite=overwrite)
    session = open_detector(model, threads=1).session
    eight_bit, note = _find_eight_bit(session)
    with (
        name_place(folder),
        TemporaryDirectory(dir=folder.absolute().parent, prefix=f"{folder.name}.partial") as place,
    ):
        built = Path(place) / "page"
        _lay_page(built)
        (built / "runtime").mkdir()
        copy_runtime(built / "runtime", None if runtime is None else Path(runtime))
        models = _lay_models(built / "models", session, eight_bit)
        _lay_examples(built / "examples")
        _write_settings(built, models)
        if folder.exists():
            shutil.rmtree(folder)
        built.rename(folder)
    first = eight_bit or session
    size = first.path.stat().st_size / 1e6
    return WebPage(folder, first.card.full_name, size, eight_bit is not None, note)


def list_files(folder: Path) -> list[str]:
    """Addresses of a page's files relative to it, but for those that are asked for late."""
    files = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    return [name for name in files if name not in (*_NO_CACHE, _MARK, "service-worker.js")]


def _check_folder(folder: Path, *, overwrite: bool) -> None:
    if not folder.absolute().parent.is_dir():
        raise UsageError(f"{folder}: its folder does not exist; create {folder.parent} first")
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / _MARK).is_file()):
        raise UsageError(f"{folder}: exists and holds something else; name a new folder")
    if not overwrite and any(folder.iterdir()):
        raise UsageError(f"{folder}: exists already; choose another name or give `overwrite=True`")


def _find_eight_bit(session: Session) -> tuple[Session | None, str]:
    """The model in 8-bit integers, if it is the default one, and why there is none."""
    if session.sha256 != MODELS[DEFAULT].sha256:
        return None, ""
    if not EIGHT_BIT.is_file():
        return None, "this build has no 8-bit model: the page loads the model as it is"
    eight_bit = Session(EIGHT_BIT, threads=1)
    if session.sha256 not in (eight_bit.card.made_from or ""):
        return None, "the 8-bit model was made of another model: the page loads the model as it is"
    return eight_bit, ""


def _lay_page(built: Path) -> None:
    """Copy the page itself; `shutil.copytree` would go on after an error."""
    built.mkdir()
    for path in sorted(_PAGE.rglob("*")):
        place = built / path.relative_to(_PAGE)
        if path.is_dir():
            place.mkdir()
        else:
            shutil.copyfile(path, place)
    (built / "tokens.css").write_text(read_css(), encoding="utf-8")


def _lay_models(
    folder: Path, session: Session, eight_bit: Session | None
) -> list[dict[str, object]]:
    """Copy the models; what the page knows of each, the first one first."""
    folder.mkdir()
    named = [("eight-bit.onnx", eight_bit)] if eight_bit else []
    laid: list[dict[str, object]] = []
    for name, one in [*named, ("full.onnx" if eight_bit else "model.onnx", session)]:
        shutil.copyfile(one.path, folder / name)
        size = one.path.stat().st_size
        laid.append(
            {
                "file": f"models/{name}",
                "bytes": size,
                "kind": "int8" if one is eight_bit else "float",
            }
        )
    return laid


def _lay_examples(folder: Path) -> None:
    folder.mkdir()
    for file in find_examples(tuple(EXAMPLES)):
        shutil.copyfile(file, folder / file.name)


def _write_settings(built: Path, models: list[dict[str, object]]) -> None:
    """What the page reads first, and the list of files that it keeps for use without a network."""
    examples = [
        {"file": f"examples/{name}", "words": words}
        for name, words in EXAMPLES.items()
        if (built / "examples" / name).is_file()
    ]
    settings = {"version": __version__, "models": models, "examples": examples}
    (built / "settings.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
    files = list_files(built)
    digest = hashlib.sha256()
    for name in files:
        digest.update(name.encode() + hashlib.sha256((built / name).read_bytes()).digest())
    worker = built / "service-worker.js"
    text = worker.read_text(encoding="utf-8")
    text = text.replace("__FILES__", json.dumps(["./", *files])).replace(
        "__VERSION__", json.dumps(digest.hexdigest()[:16])
    )
    worker.write_text(text, encoding="utf-8")
    (built / _MARK).write_text(json.dumps({"tumorlens": __version__}), encoding="utf-8")
