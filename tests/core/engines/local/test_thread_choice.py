"""The number of threads follows the load, and trials cost little. No clock runs: the choice is told the seconds."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from baton_reasoning.core.engines.local.thread_choice import LARGE, ThreadChoice

Seconds = Callable[[int], float]
"""Of a decode of one token, by its number of threads."""


def idle(threads: int) -> float:
    return 1 / threads


def beside(busy: int, cores: int) -> Seconds:
    """All threads wait for the one that shares its core with one of so many busy programs."""
    return lambda threads: (1.0 if threads <= cores - busy else 3.0) / threads


def decode(choice: ThreadChoice, seconds: Seconds, count: int, tokens: Callable[[int], int] = lambda _: 1) -> float:
    """Decode `count` times; return what it took of the time with the number that was chosen least wrongly."""
    taken = 0.0
    for number in range(count):
        cost = seconds(choice.threads) * (1 + 0.1 * tokens(number))
        choice.record(tokens(number), cost)
        taken += cost
    return taken


def share_of_best(choice: ThreadChoice, seconds: Seconds, count: int, most: int) -> float:
    best = min(seconds(threads) for threads in range(1, most + 1))
    return best * 1.1 * count / decode(choice, seconds, count)


@pytest.mark.parametrize("cores", [2, 4, 16])
def test_on_an_idle_machine_all_threads_work_and_trials_cost_little(cores: int) -> None:
    choice = ThreadChoice(cores)
    assert share_of_best(choice, idle, 200, cores) > 0.97
    assert share_of_best(choice, idle, 2000, cores) > 0.985


@pytest.mark.parametrize(("cores", "busy"), [(2, 1), (4, 1), (4, 2), (8, 3), (16, 1)])
def test_busy_programs_are_left_their_cores_and_these_are_taken_back(cores: int, busy: int) -> None:
    choice = ThreadChoice(cores)
    decode(choice, idle, 300)
    decode(choice, beside(busy, cores), 600)
    assert share_of_best(choice, beside(busy, cores), 1000, cores) > 0.95
    decode(choice, idle, 1500)
    assert share_of_best(choice, idle, 1000, cores) > 0.95


def test_a_program_that_comes_is_noticed_before_the_next_regular_trial() -> None:
    choice = ThreadChoice(2)
    decode(choice, idle, 120)  # the next regular trial is about a hundred decodes away
    decode(choice, beside(1, 2), 24)
    assert choice.threads == 1


def test_noise_alone_takes_no_thread_away() -> None:
    numbers = random.Random(4)
    choice = ThreadChoice(2)
    noisy = 0.0
    for _ in range(5000):
        cost = idle(choice.threads) * numbers.choice([0.9, 1, 1, 1.1, 1.1, 4])
        noisy += choice.threads == 2
        choice.record(1, cost)
    assert noisy > 4800


def test_decodes_are_compared_with_those_of_as_many_tokens() -> None:
    """As in a batch, where texts begin and end: here 12 and 13 in turn, and now and then one that begins."""
    choice = ThreadChoice(2)
    decode(choice, beside(1, 2), 200, lambda number: 100 if number % 10 == 0 else 12 + number % 2)
    assert choice.threads == 1


def test_reading_a_text_is_no_trial() -> None:
    choice = ThreadChoice(2)
    decode(choice, beside(1, 2), 500, lambda _: LARGE)
    assert choice.threads == 2


def test_one_core_has_one_thread() -> None:
    choice = ThreadChoice(1)
    decode(choice, idle, 300)
    assert choice.threads == 1
