"""``python -m metacart`` is ``metacart``."""

import sys

from metacart.cli import main

if __name__ == "__main__":
    sys.exit(main())
