"""Texts of real models that are interrupted and go on, one at a time, at the paper's temperature."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, held_out_problems
from baton_reasoning.core.engines.local.client import LocalEngine
from baton_reasoning.core.models.loading import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.edit import edited
from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.drawn import every_policy, outcome
from tests.tiers import size

pytestmark = [pytest.mark.real_models, pytest.mark.scaled]
ONE_THREAD = LoadOptions(context=1024, threads=1)
ROUNDING = 0.5
"""By how much a logit of SmolLM2, at four bits, may differ where its text was read at once and not token by token."""


def written(pair: Pair, problem: str, settings: RunSettings, before: Trace | None = None) -> Trace:
    trace = before or Trace()
    for event in run(pair, ask(problem, settings), settings, resume_trace=trace):
        trace.apply(event)
    return trace


@every_policy
def test_a_text_of_the_demo_pair_goes_on_as_if_it_had_not_been_interrupted(
    demo_pair: Pair, policy: PolicySettings
) -> None:
    lengths = {"n1": 6, "n2": 12, "n3": 12, "step_cap": 40}
    fitting = {name: value for name, value in lengths.items() if name in type(policy).model_fields}
    settings = DEMO_SETTINGS.model_copy(
        update={"policy": policy.model_copy(update=fitting), "temperature": 0.6, "max_tokens": size(80, long=400)}
    )
    for seed, problem in zip(range(size(1, long=5)), held_out_problems(seed=31), strict=False):
        seeded = settings.model_copy(update={"seed": seed})
        undisturbed = written(demo_pair, problem.question, seeded)
        for end in random.Random(seed).sample(range(1, len(undisturbed.events)), size(3, long=20)):
            resumed = written(demo_pair, problem.question, seeded, Trace.of(undisturbed.events[:end]))
            assert outcome(resumed) == outcome(undisturbed), f"killed after {undisturbed.events[end - 1]}"


@every_policy
def test_an_edited_text_of_the_demo_pair_goes_on_from_the_edit(demo_pair: Pair, policy: PolicySettings) -> None:
    settings = DEMO_SETTINGS.model_copy(update={"policy": policy, "max_tokens": size(60, long=200)})
    problem = next(iter(held_out_problems(seed=31))).question
    undisturbed = written(demo_pair, problem, settings)
    for ending in ("", " so 1 +", undisturbed.text[undisturbed.length // 2 :][:9]):
        edit = edited(undisturbed, undisturbed.length // 2, ending)
        done = written(demo_pair, problem, settings, Trace.of(edit.events))
        assert done.text.startswith(edit.text)
        assert done.finish is not None
        again = written(demo_pair, problem, settings, Trace.of(edit.events))
        assert outcome(again) == outcome(done), "whatever was in the caches before"


def test_a_text_of_smollm2_goes_on_as_if_it_had_not_been_interrupted_up_to_near_ties(smollm2: Path) -> None:
    settings = RunSettings(policy="never", temperature=0.6, max_tokens=size(24, long=200), alternatives=20)
    with closing(LocalEngine(smollm2, ONE_THREAD)) as small:
        undisturbed = written(Pair(small), "Tell me a story.", settings)
        tokens = [event for event in undisturbed.events if isinstance(event, TokenWritten)]
        for end in random.Random(3).sample(range(4, len(undisturbed.events) - 2), size(2, long=20)):
            resumed = written(Pair(small), "Tell me a story.", settings, Trace.of(undisturbed.events[:end]))
            again = [event for event in resumed.events if isinstance(event, TokenWritten)]
            first = next((both for both in zip(tokens, again, strict=False) if both[0].id != both[1].id), None)
            if first:
                one, other = ({choice.id: choice.logprob for choice in token.alternatives} for token in first)
                shared = one.keys() & other.keys()
                assert max(abs(one[id] - other[id]) for id in shared) < ROUNDING, "another text, not another rounding"
