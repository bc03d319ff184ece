"""`python -m paxion`: what torchrun starts."""

import sys

from paxion.cli import main

if __name__ == "__main__":
    sys.exit(main())
