"""A question in a process of its own: its answer, its error, or the end of patience."""

import os
import threading

import pytest

from core.child_process import NoAnswer, answered_apart
from core.errors import SettingsError


def larger(number: int) -> int:
    return number + 1


def refused() -> None:
    raise SettingsError("It will not.", "Ask for something else.")


def died() -> None:
    os._exit(3)


def never() -> None:
    threading.Event().wait()


def test_the_answer_comes_back() -> None:
    assert answered_apart(larger, 4, seconds=60) == 5


def test_an_error_in_words_comes_back() -> None:
    with pytest.raises(SettingsError, match="Ask for something else"):
        answered_apart(refused, seconds=60)


def test_a_process_that_dies_is_no_answer() -> None:
    with pytest.raises(NoAnswer, match="the process ended"):
        answered_apart(died, seconds=60)


def test_a_question_without_an_end_is_given_up() -> None:
    with pytest.raises(NoAnswer, match="no answer within"):
        answered_apart(never, seconds=0.1)
