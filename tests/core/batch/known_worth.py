"""Answers whose takeovers have a known worth: after “wait” the large model helps by .5, after “yes” it harms by .3."""

from __future__ import annotations

from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.never import Never
from tests.fakes.scripted import ScriptedEngine

START, AFTER_WAIT, AFTER_YES = 0.4, 0.9, 0.1
"""Chances that the small model gets it right from the beginning, and after each takeover."""


def small_draws(text: str, number: int) -> bytes | None:
    """`number`: 31 random bits."""
    if not text:
        return b"One.\n\n" if number % 2 else b"Two.\n\n"
    if text in ("One.\n\n", "Two.\n\n"):
        return b"Wait" if text[0] == "O" else b"Yes"
    if text.endswith(("Wait", "Yes")):
        return b", is it.\n\n"
    if "</think>" not in text:
        return b"</think>"
    if text.endswith("</think>"):
        return b"\n\n"
    if text.endswith("\n\n"):
        return b"\\boxed{"
    if text.endswith("{"):
        chance = AFTER_WAIT if "good" in text else AFTER_YES if "bad" in text else START
        return b"1" if number < chance * 2**31 else b"0"
    return None if text.endswith("}") else b"}"


def known_pair() -> Pair:
    large = ScriptedEngine(
        continue_with=lambda _, body: ("Wait, good.\n\n" if body.startswith("One") else "Yes, bad.\n\n") + "More.",
        name="large",
    )
    return Pair(ScriptedEngine(draw=small_draws), large)


def known_batch(store: Store, grader: Grader, answers: int = 24, expected: str | None = "1") -> str:
    """Run a batch of one problem a number, with takeovers in the arm “both” and none in the arm “small”."""
    problems = [Problem(f"p{number}", f"Problem {number}", expected, {}, number) for number in range(answers)]
    both = Arm(name="both", settings=RunSettings(policy=Keywords.Settings(n1=5), max_tokens=100))
    alone = Arm(name="small", settings=RunSettings(policy=Never.Settings(), max_tokens=100))
    batch = store.batches.create("known", BatchSettings().stored(), problems, [both.stored(), alone.stored()])
    list(Runner(store, batch, known_pair(), grader, 1).run())
    return batch
