"""Make the model that the page of `tumorlens web` loads first: `default` in 8-bit integers.

    python release/eight_bit_model.py DATA...

DATA are labelled sets, as `tumorlens export` takes them: some groups fit the numbers, others hold
the file to its bar. Run it whenever `default` changes; until then the page loads the
model as it is, and says so. Nothing else of the page is derived from the model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tumorlens.exporting.conversion import export
from tumorlens.viewing.web.site import EIGHT_BIT

PARITY_SLICES = 1500


def main() -> None:
    """Export, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--threads", type=int)
    asked = parser.parse_args()
    EIGHT_BIT.parent.mkdir(exist_ok=True)
    done = export(
        "default",
        "onnx-int8",
        EIGHT_BIT,
        data=asked.data,
        parity_slices=PARITY_SLICES,
        shared_groups=True,
        overwrite=True,
        threads=asked.threads,
    )
    report = done.report
    assert report is not None
    print(f"{EIGHT_BIT.name}: {EIGHT_BIT.stat().st_size / 1e6:.2f} MB; {done.card.parity}")


if __name__ == "__main__":
    main()
