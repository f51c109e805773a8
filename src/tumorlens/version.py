"""The version, in one place."""

from __future__ import annotations

import sys

__all__ = ["__version__", "list_versions"]

__version__ = "0.2.0"


def list_versions() -> dict[str, str]:
    """tumorlens, Python, and the heavy libraries that this run has loaded."""
    import platform

    loaded: dict[str, str] = {
        name: str(getattr(sys.modules[name], "__version__", "unknown"))
        for name in ("numpy", "PIL", "onnxruntime", "pydicom", "nibabel", "sklearn", "torch")
        if name in sys.modules
    }
    return {"tumorlens": __version__, "python": platform.python_version(), **loaded}
