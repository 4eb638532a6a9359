"""`python -m baton` is the command `baton`."""

import sys

from baton import terminal

if __name__ == "__main__":  # a child process imports this file without starting a second program
    sys.exit(terminal())
