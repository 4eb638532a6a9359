"""The frozen `baton`. Child processes start this program again; `freeze_support` sends them to their work."""

import multiprocessing
import sys

if __name__ == "__main__":
    multiprocessing.freeze_support()
    from baton_reasoning.app.cli import main

    sys.exit(main())
