"""`python -m baton_reasoning` is the command `baton`."""

import sys

from baton_reasoning.app.cli import main

if __name__ == "__main__":  # a child process imports this file without starting a second program
    sys.exit(main())
