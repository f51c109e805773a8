"""``python -m tumorlens``: the command, for those whose scripts are not on the path."""

import sys

from tumorlens.cli.main import run

if __name__ == "__main__":
    sys.exit(run())
