"""Put the small libraries of the web page into the package: pinned releases from the npm registry.

    python release/vendor_javascript.py

Each file is the library's own, but for two things: the comment that names its source map, which is
not shipped, is removed, and nifti-reader-js imports the fflate that lies beside it.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from pathlib import Path
from urllib.request import urlopen

VENDOR = Path(__file__).resolve().parents[1] / "src/tumorlens/viewing/web/page/vendor"
REGISTRY = "https://registry.npmjs.org"
PACKAGES = {
    "dicom-parser": (
        "dicom-parser/-/dicom-parser-1.8.21.tgz",
        "8d4656b35d15174bc549b69a42d78cde60c0b73fcc72bf80c47ffcacd9bd4ca9",
        {"dist/dicomParser.min.js": "dicomParser.min.js", "LICENSE": "LICENSE"},
    ),
    "nifti-reader-js": (
        "nifti-reader-js/-/nifti-reader-js-0.8.0.tgz",
        "30528e62dfdf31488afe9f857dca8a03893f42dadec356ec5cf073e5d7d31949",
        {
            **{
                f"dist/{name}.js": f"{name}.js"
                for name in ("nifti", "nifti1", "nifti2", "nifti-extension", "utilities")
            },
            "LICENSE": "LICENSE",
        },
    ),
    "fflate": (
        "fflate/-/fflate-0.8.3.tgz",
        "38c2cd824402407b43153c782274aec2ea83ea688e4aa0b743c5f2c305857d92",
        {"esm/browser.js": "fflate.js", "LICENSE": "LICENSE"},
    ),
    "jpeg-lossless-decoder-js": (
        "jpeg-lossless-decoder-js/-/jpeg-lossless-decoder-js-2.1.2.tgz",
        "5ef03afb9d0b6fce21c534a345024a7285cc4661a84d2ac6a72d0ebb89a36303",
        {"release/lossless-min.js": "lossless-min.js", "LICENSE": "LICENSE"},
    ),
    "openjpeg": (
        "@cornerstonejs/codec-openjpeg/-/codec-openjpeg-1.3.6.tgz",
        "e81b0597fbd58d4b3b55b2f06dbca58b83d82b644ac799871324de7da46ce04b",
        {f"dist/{name}": name for name in ("openjpegwasm_decode.js", "openjpegwasm_decode.wasm")},
    ),
    "charls": (
        "@cornerstonejs/codec-charls/-/codec-charls-1.2.7.tgz",
        "0383755533c104b171b3c0e2bcc45c3c5e9c317e7e6f35ffef38a74371bfa93f",
        {
            "dist/charlswasm_decode.js": "charlswasm_decode.js",
            "dist/charlswasm_decode.wasm": "charlswasm_decode.wasm",
            "LICENSE": "LICENSE",
        },
    ),
}
"""Folder -> (address of the release, its SHA-256, file inside -> name here)."""

_MAP = re.compile(rb"^//# sourceMappingURL=.*\n?", re.MULTILINE)


def main() -> None:
    """Download, check, copy."""
    for folder, (address, sha256, files) in PACKAGES.items():
        with urlopen(f"{REGISTRY}/{address}", timeout=60) as answer:
            data = answer.read()
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise SystemExit(f"{address}: SHA-256 {found}, expected {sha256}")
        target = VENDOR / folder
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for inside, name in files.items():
                member = archive.extractfile(f"package/{inside}")
                assert member is not None
                (target / name).write_bytes(adapt(name, member.read()))
        print(f"{folder}: {address.rpartition('/')[2]}")


def adapt(name: str, content: bytes) -> bytes:
    """The file as it is shipped."""
    if not name.endswith(".js"):
        return content
    return _MAP.sub(b"", content).replace(b"from 'fflate'", b"from '../fflate/fflate.js'")


if __name__ == "__main__":
    main()
