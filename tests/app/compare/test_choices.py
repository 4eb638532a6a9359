"""What is offered for the columns, and what is proposed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from baton_reasoning.app.compare.chooser import USUAL, CompareChoice, arms, common_ones, proposed, recorded
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.events import Finish, RunEnded
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import keywords, run

BASE = RunSettings(seed=3)
TO_WRITE = arms(BASE)


def written(settings: RunSettings, finish: Finish = Finish.END_OF_TEXT) -> Exchange:
    events = run(keywords(), ["One two three.</think>\n\n4"]).trace.events
    last = events[-1]
    assert isinstance(last, RunEnded)
    return Exchange("2 + 2?", settings, trace=Trace.of([*events[:-1], replace(last, finish=finish)]))


def settings_of(name: str) -> RunSettings:
    return next(choice.settings for choice in TO_WRITE if choice.name == name)


def names(choices: list[CompareChoice]) -> list[str]:
    return [choice.name or choice.title.split(":")[0] for choice in choices]


def test_every_policy_can_be_chosen_with_the_seed_that_is_set_but_no_arm_that_needs_a_batch():
    random = RunSettings(policy="random", seed=3)
    assert {choice.settings.policy.policy for choice in [*TO_WRITE, *arms(random)]} == set(POLICIES)
    assert {choice.settings.seed for choice in TO_WRITE} == {3}
    assert len({choice.title for choice in TO_WRITE}) == len(set(names(TO_WRITE))) == len(TO_WRITE)
    assert not {"random as baton", "c = 3"} & set(names(TO_WRITE))
    assert names(common_ones(TO_WRITE)) == ["baton", "every-step", "small", "large"]


def test_without_answers_the_usual_three_are_proposed_as_far_as_they_are_known():
    assert names(proposed(USUAL, [], TO_WRITE, None)) == ["small", "baton", "large"]
    assert names(proposed(("small", "by-the-moon"), [], TO_WRITE, None)) == ["small"]


def test_an_arm_that_was_written_is_not_written_again_unless_it_was_broken_off():
    attempts = [written(settings_of("large")), written(settings_of("small"))]
    assert names(proposed(USUAL, recorded(attempts), TO_WRITE, attempts[0])) == ["Attempt 2", "baton", "Attempt 1"]
    attempts = [written(settings_of("small"), Finish.STOPPED)]
    assert names(proposed(USUAL, recorded(attempts), TO_WRITE, attempts[0])) == ["small", "baton", "large"]


@pytest.mark.parametrize(("policy", "place"), [("never", 0), ("every-step", 1), ("always", 2)])
def test_the_answer_in_front_is_one_of_the_columns(policy, place):
    answer = written(RunSettings(policy=policy, seed=9))
    assert proposed(USUAL, recorded([answer]), TO_WRITE, answer)[place].exchange is answer


def test_a_try_says_what_it_is_and_one_without_text_is_no_choice():
    attempts = [Exchange("2 + 2?", BASE), written(BASE)]
    choices = recorded(attempts)
    assert names(choices) == ["Attempt 2"]
    assert choices[0].title == f"Attempt 2: Keywords, seed 3, {attempts[1].trace.tokens} tokens"
