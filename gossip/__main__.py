"""Makes ``python -m gossip`` the same as ``gossip``."""

import sys

from gossip.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
