"""This file is about the command `mobyd`, which begins with as little as possible."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the daemon; never returns."""
    # Until it serves: nothing of what is imported and wired is garbage, and looking for some takes a while.
    gc.disable()
    from moby.cli.daemon import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
