"""Write niivue, with all that it imports, as one module into the viewer's page.

The page has no build step; niivue has one, for its package imports others by bare names, which a
browser does not know. Needs npm and its registry. Run it from the root of the repository after the
versions below were changed, and look at the viewer:

    python release/vendor_niivue.py
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

NIIVUE = "1.0.0-rc.9"
ESBUILD = "0.28.2"
PAGE = Path(__file__).resolve().parents[1] / "src/tumorlens/viewing/page"
ENTRY = "node_modules/@niivue/niivue/dist/niivuegpu.webgl2.js"
# cbor-x makes functions from text where it may; the page's policy forbids that.
ALIAS = "cbor-x=cbor-x/index-no-eval"


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "package.json").write_text('{"private": true}')
        packages = [f"@niivue/niivue@{NIIVUE}", f"esbuild@{ESBUILD}"]
        run(folder, "npm", "install", "--no-audit", "--no-fund", "--silent", *packages)
        run(
            folder, "node_modules/.bin/esbuild", ENTRY, "--bundle", "--format=esm", "--minify",
            "--legal-comments=none", f"--alias:{ALIAS}", "--metafile=meta.json",
            f"--outfile={PAGE / 'vendor/niivue.js'}", "--log-level=warning",
        )  # fmt: skip
        text = "\n\n".join(
            tell_license(folder / "node_modules" / name) for name in list_packages(folder)
        )
        (PAGE / "vendor/LICENSES.txt").write_text(text + "\n", encoding="utf-8")


def run(folder: Path, *words: str) -> None:
    subprocess.run(words, cwd=folder, check=True)


def list_packages(folder: Path) -> list[str]:
    """Packages of which something is in the bundle."""
    (output,) = json.loads((folder / "meta.json").read_text())["outputs"].values()
    names = set()
    for path in output["inputs"]:
        words = path.removeprefix("node_modules/").split("/")
        names.add("/".join(words[: 2 if words[0].startswith("@") else 1]))
    return sorted(names)


def tell_license(package: Path) -> str:
    told = json.loads((package / "package.json").read_text())
    file = next(path for path in sorted(package.iterdir()) if path.name.lower().startswith("licen"))
    head = f"{told['name']} {told['version']} ({told['license']})"
    return f"{head}\n{'=' * len(head)}\n\n{file.read_text(encoding='utf-8').strip()}"


if __name__ == "__main__":
    main()
