"""The one door to libraries that only an extra brings."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from tumorlens.errors import MissingExtra

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["EXTRAS", "FIRST", "installed_extras", "load", "say_install"]

EXTRAS: dict[str, tuple[str, ...]] = {
    "evaluate": (
        *("sklearn", "scipy", "threadpoolctl"),
        *("matplotlib", "jinja2", "onnx", "pooch", "usearch"),
    ),
    "train": ("torch", "lightning", "onnxscript", "safetensors"),
    "tune": ("optuna",),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "view": ("starlette", "uvicorn", "jinja2", "matplotlib"),
    "openvino": ("openvino",),
    "litert": ("litert_torch", "ai_edge_litert", "ai_edge_quantizer"),
    "executorch": ("executorch",),
    "dicom": ("highdicom",),
    "pacs": ("dicomweb_client", "pynetdicom"),
    "slurm": ("submitit",),
    "remote": ("fsspec", "s3fs", "gcsfs"),
    "serve": (
        *("fastapi", "prometheus_client", "python_multipart", "starlette", "uvicorn"),
        *("jinja2", "matplotlib"),
    ),
    "mcp": ("mcp",),
}
"""Extra -> the modules it brings, by import name. The first that has a library is told with it."""

FIRST = {"usearch": "onnxruntime"}
"""Module -> what must be loaded before it, by import name.

usearch's wheels for Linux hold the C++ library and offer its symbols to the whole process. One that
is loaded later takes their numbers of locale facets for its own, and ONNX Runtime ends in SIGSEGV.
Loaded first, it has its own."""


def load(module: str, purpose: str = "") -> ModuleType:
    """Import ``module`` (dotted), or raise `MissingExtra` with the pip line.

    Args:
        module: import name, e.g. ``"sklearn.metrics"``.
        purpose: what wants it, e.g. ``"looking for copies"``; stands at the start of the message.
    """
    root = module.partition(".")[0]
    if root in FIRST:
        import_module(FIRST[root])
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != root:
            raise
        extra = _extra_of(root)
        raise MissingExtra(root, extra, say_install(extra), purpose) from None


def installed_extras() -> dict[str, bool]:
    """Which extras are complete here; imports none of their libraries."""
    return {
        extra: all(find_spec(module) is not None for module in modules)
        for extra, modules in EXTRAS.items()
    }


def say_install(extra: str) -> str:
    """The line that installs an extra beside the tumorlens that runs here.

    It names what tumorlens was installed from, a clone or a wheel, as pip recorded it (PEP 610).
    Where that is gone, it names the libraries: they are on every index.
    """
    from importlib import metadata

    with suppress(metadata.PackageNotFoundError):
        installed = metadata.distribution("tumorlens")
        return _from_origin(installed, extra) or _from_index(installed, extra)
    root = Path(__file__).parents[2]  # run from a clone that was never installed
    name = str(root) if (root / "pyproject.toml").is_file() else "tumorlens"
    return f'pip install "{name}[{extra}]"'


def _from_origin(installed: Distribution, extra: str) -> str:
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    url = str(origin.get("url", ""))
    if not url.startswith("file:"):
        # pip itself takes "NAME[EXTRA] @ URL"; a repository is named with the system it is in.
        system = origin.get("vcs_info", {}).get("vcs")
        return f'pip install "tumorlens[{extra}] @ {system}+{url}"' if system else ""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    path = Path(url2pathname(urlsplit(url).path))
    editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
    return f'pip install {editable}"{path}[{extra}]"' if path.exists() else ""


def _from_index(installed: Distribution, extra: str) -> str:
    marks = (f"extra == '{extra}'", f'extra == "{extra}"')
    lines = [line for line in installed.requires or [] if line.endswith(marks)]
    wanted = " ".join(f'"{line.partition(";")[0].strip()}"' for line in lines)
    return f"pip install {wanted}" if wanted else f'pip install "tumorlens[{extra}]"'


def _extra_of(root: str) -> str:
    return next((extra for extra, modules in EXTRAS.items() if root in modules), "all")
