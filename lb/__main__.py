"""Makes ``python -m lb`` the same as ``gossip-lb``."""

import sys

from lb.cli import main

if __name__ == "__main__":
    sys.exit(main())
