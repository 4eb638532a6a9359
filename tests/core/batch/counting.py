"""Problems that scripted engines solve as real ones do: n has the answer n, and the small model errs on odd n."""

from __future__ import annotations

import re

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import create_batch
from baton_reasoning.core.engines.base import Conversation
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.store import Store
from tests.fakes.scripted import ScriptedEngine


def problems(count: int) -> list[Problem]:
    return [Problem(f"p{n}", f"Count to {n}.", str(n), {}, n + 1) for n in range(count)]


def batch_of(store: Store, count: int, *recipes: str, seeds: tuple[int, ...] = (0,)) -> str:
    """A batch of so many problems; without recipes the small model solves them alone."""
    return create_batch(store, "counting", problems(count), arms_of(recipes or ("small",), RunSettings()), seeds)


def number_in(conversation: Conversation) -> int:
    return int(re.findall(r"Count to (\d+)", conversation[-1].content)[0])


def solution(answer: int) -> str:
    return f"First we count.\n\nThen we look.\n\nIt is so.\n\n</think>\n\nThe answer is \\boxed{{{answer}}}."


def rest(whole: str, body: str) -> str:
    """What is left of a text to be written after the body."""
    return whole[len(body) :] if whole.startswith(body) else ""


def unlike_after_reading(conversation: Conversation, body: str) -> str:
    """What a model writes that goes on in other words after a text which it has read: real ones round otherwise."""
    return " Or not.\n\n</think>\n\nThe answer is \\boxed{-1}." if body else solution(number_in(conversation))


def small_engine() -> ScriptedEngine:
    def text(conversation: Conversation, body: str) -> str:
        n = number_in(conversation)
        return rest(solution(n + n % 2), body)

    return ScriptedEngine(continue_with=text)


def large_engine() -> ScriptedEngine:
    return ScriptedEngine(
        name="large", continue_with=lambda conversation, body: rest(solution(number_in(conversation)), body)
    )


def counting_pair() -> Pair:
    return Pair(small_engine(), large_engine())
