"""Lets ``python -m gossip`` do what ``gossip`` does."""

import sys

from gossip.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
