"""Runs in a process that may hang: math-verify's algebra and users' regular expressions, one question at a time.

Started by `grader.Grader` with spawn; light to import, since SymPy is loaded only inside the process.
"""

import contextlib
import logging
import re
import signal
from multiprocessing.connection import Connection
from typing import NamedTuple

_MOST_MEMORY = 4 * 2**30
"""Bytes of address space; `9^{9^9}` ends in a MemoryError, not in a frozen machine. POSIX only."""


class Ready(NamedTuple):
    """Says that SymPy is loaded; from now on the time of each question counts."""


class MathQuestion(NamedTuple):
    """Asks whether two answers are equal; both are LaTeX without dollar signs."""

    expected: str
    given: str


class RegexQuestion(NamedTuple):
    """Asks whether the pattern occurs in the text."""

    pattern: str
    text: str


class Reply(NamedTuple):
    """Says whether they are the same (None: undecided), and why as a sentence."""

    same: bool | None
    reason: str


def serve(connection: Connection) -> None:
    """Answer questions until the other end closes."""
    # Ctrl+C in a terminal reaches the whole group; the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    # It warns at every call that its time limit is off; ours is the parent's.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    import math_verify  # noqa: F401

    try:
        connection.send(Ready())
        while True:
            connection.send(_reply(connection.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _reply(question: MathQuestion | RegexQuestion) -> Reply:
    try:
        if isinstance(question, RegexQuestion):
            found = re.search(question.pattern, question.text) is not None
            return Reply(found, f"The pattern was {'found' if found else 'not found'}.")
        return _compare(question)
    except Exception as error:  # noqa: BLE001 - whatever SymPy or `re` raises, these two cannot be compared
        return Reply(None, f"The answers cannot be compared ({type(error).__name__}).")


def _compare(question: MathQuestion) -> Reply:
    from math_verify import LatexExtractionConfig, parse, verify

    def parsed(latex: str) -> list[object]:
        found: list[object] = parse(f"${latex}$", [LatexExtractionConfig()], parsing_timeout=None)
        return found

    expected, given = parsed(question.expected), parsed(question.given)
    if not expected or not given:
        unread = "answer" if expected else "expected answer"
        return Reply(None, f"The {unread} cannot be read as mathematics.")
    # The order matters: math-verify is not symmetric, the gold answer comes first.
    same = verify(expected, given, timeout_seconds=None, raise_on_error=True)
    return Reply(same, f"They are {'equal' if same else 'not equal'} by algebra.")


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:
        # Windows has no such limit; there the time limit alone must do.
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _MOST_MEMORY if hard == resource.RLIM_INFINITY else min(_MOST_MEMORY, hard)
    # macOS knows the limit but may refuse to set it.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
