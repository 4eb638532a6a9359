"""The sizes of tests that draw at random or run many cases: the usual one of `make test`, and that of `make test-long`.

Such a test has the marker `scaled`, so that the long tier runs it again.
"""

import os

IS_LONG = os.environ.get("BATON_TESTS") == "long"


def size(usual: int, long: int) -> int:
    """How many cases a test runs in the tier that is running."""
    return long if IS_LONG else usual
