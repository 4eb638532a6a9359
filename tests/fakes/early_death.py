"""A child that dies before it takes its end of the pipe, as if an import failed or a virus scanner had ended it."""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from multiprocessing.connection import Connection
from typing import Any

import pytest

EXIT_CODE = 3


class DiesWhenUnpickled:
    """What a child is given instead of the function that it is to call, which it unpickles before its end of a pipe."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (EXIT_CODE,)


@contextmanager
def untaken_ends_stay_open() -> Iterator[None]:
    """Keep the child's end of each new pipe open in this program, as Windows does until the child takes it."""
    spawn = multiprocessing.get_context("spawn")
    make = spawn.Pipe
    with ExitStack() as kept, pytest.MonkeyPatch.context() as patched:

        def kept_open(duplex: bool = True) -> tuple[Any, Any]:
            ours, theirs = make(duplex)
            if os.name == "posix":
                kept.enter_context(closing(Connection(os.dup(theirs.fileno()))))
            return ours, theirs

        patched.setattr(spawn, "Pipe", kept_open)
        yield
