"""``python -m tumorlens``."""

import sys

from tumorlens.cli.main import run

if __name__ == "__main__":
    sys.exit(run())
