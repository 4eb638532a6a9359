"""The frozen `baton-window`. Child processes start this program again; `freeze_support` sends them to their work."""

import multiprocessing
import sys

if __name__ == "__main__":
    multiprocessing.freeze_support()
    from baton_reasoning.app.__main__ import main

    sys.exit(main())
