"""Grades answers: quick comparisons first, then algebra in a process that can be killed."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import re
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self

from baton_reasoning.core.child_process import start_shielded
from baton_reasoning.core.grading.compare import compare, compare_choice, compare_exact, compare_numeric
from baton_reasoning.core.grading.normal import tidy
from baton_reasoning.core.grading.verdict import How, Outcome, Regex, Verdict

TIME_LIMIT = 5.0
"""Seconds for one question to the worker; almost all take milliseconds."""
_START_LIMIT = 60.0
_LONGEST_ANSWER = 5_000
"""Characters; what is longer is no answer, and algebra on it would only run into the time limit."""


@dataclass
class _Time:
    """The seconds that the worker may still spend on one pair of answers, however many questions that takes."""

    left: float


class Grader:
    """Grades answers; owns one worker process, started when first needed and again after it was killed.

    A context manager. `grade` may be called from many threads; questions to the worker wait for each other.
    """

    def __init__(self, time_limit: float = TIME_LIMIT) -> None:
        self._time_limit = time_limit
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def grade(self, expected: str | None, given: str | None, how: How | Regex = How.AUTO) -> Verdict:
        """Compare the expected answer with the one given.

        Without an expected answer (None) it is unscored. Without a given one it is wrong: the model did not solve it.
        """
        named = How.REGEX if isinstance(how, Regex) else how
        if not (expected and expected.strip()) and not (isinstance(how, Regex) and "{expected}" not in how.pattern):
            return Verdict(Outcome.UNSCORED, named, "The problem has no expected answer.")
        if not (given and given.strip()):
            return Verdict(Outcome.WRONG, named, "The model gave no answer.")
        expected, given = _encodable(expected or ""), _encodable(given)
        if isinstance(how, Regex):
            return self._ask(RegexQuestion(how.filled(expected), given), How.REGEX, _Time(self._time_limit))
        if max(len(expected), len(given)) > _LONGEST_ANSWER:
            return Verdict(Outcome.UNSCORED, named, f"The answer is longer than {_LONGEST_ANSWER:,} characters.")
        match how:
            case How.EXACT:
                return compare_exact(expected, given)
            case How.NUMERIC:
                return compare_numeric(expected, given)
            case How.CHOICE:
                return compare_choice(expected, given)
            case How.MATH:
                return self._algebra(expected, given, _Time(self._time_limit))
            case How.AUTO:
                return compare(expected, given, partial(self._algebra, time=_Time(self._time_limit)))
            case How.REGEX:
                return Verdict(Outcome.UNSCORED, How.REGEX, "Grading by pattern needs a pattern.")

    def close(self) -> None:
        """End the worker. The grader can be used again: it starts another."""
        with self._lock:
            self._stop()

    def _algebra(self, expected: str, given: str, time: _Time) -> Verdict:
        return self._ask(MathQuestion(_latex(expected), _latex(given)), How.MATH, time)

    def _ask(self, question: MathQuestion | RegexQuestion, how: How, time: _Time) -> Verdict:
        with self._lock:
            reply = self._reply_to(question, time)
        return Verdict.of(reply.same, how, reply.reason)

    def _reply_to(self, question: MathQuestion | RegexQuestion, time: _Time) -> Reply:
        too_long = f"Comparing took longer than {self._time_limit:g} seconds and was stopped."
        if time.left <= 0:
            return Reply(None, too_long)
        try:
            connection = self._connection or self._start()
            began = monotonic()
            connection.send(question)
            answered = connection.poll(time.left)
            time.left -= monotonic() - began
            if answered:
                reply: Reply = connection.recv()
                return reply
            reason = too_long
        except (EOFError, OSError):
            reason = "The process that compares answers ended; it may have run out of memory."
        self._stop()
        return Reply(None, reason)

    def _start(self) -> Connection:
        """Start the worker and wait until it is ready, so that loading SymPy costs no question its time."""
        context = multiprocessing.get_context("spawn")
        connection, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs,), name="grading", daemon=True)
        start_shielded(process)
        self._process, self._connection = process, connection
        # Only the worker may hold its end, or its death would not be seen here as end of file.
        theirs.close()
        if not connection.poll(_START_LIMIT):
            raise EOFError
        connection.recv()
        return connection

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None


def _encodable(text: str) -> str:
    """Replace lone surrogates, which neither the worker nor a database accepts."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _latex(answer: str) -> str:
    """Write an answer as math-verify reads it best: tidy, with the signs escaped that LaTeX would take for its own."""
    return tidy(answer).replace("%", r"\%").replace("°", r"^{\circ}")


class Standing(NamedTuple):
    """How one answer compares with the others."""

    answer: str | None
    outcome: Outcome
    """Unscored where no expected answer is known."""
    same: tuple[int, ...]
    """Indices of the others that agree with it."""


def standings(answers: Sequence[str | None], expected: str, grader: Grader) -> list[Standing]:
    """Find out which answers agree with each other, and which are right. A pair that cannot be compared does not agree.

    `expected` may be empty. This may take seconds: algebra is done in the grader's process.
    """
    same: list[list[int]] = [[] for _ in answers]
    for one, other in combinations(range(len(answers)), 2):
        if grader.grade(answers[one], answers[other]).outcome is Outcome.CORRECT:
            same[one].append(other)
            same[other].append(one)
    outcomes = [grader.grade(expected, answer).outcome for answer in answers]
    return [Standing(*standing) for standing in zip(answers, outcomes, map(tuple, same), strict=True)]


# In the process that may hang: math-verify's algebra and users' regular expressions


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
