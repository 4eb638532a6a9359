"""A disk without room, for this process alone."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.systems import NEEDS_POSIX


@contextmanager
def a_full_disk(size: int = 4096) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes."""
    if sys.platform == "win32":
        pytest.skip(NEEDS_POSIX.format("a limit to the size of files"))
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
