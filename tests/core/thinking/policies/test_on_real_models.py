"""Every policy answers on two real models of different families and vocabularies; one that needs drafts cannot."""

from __future__ import annotations

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.events import Finish, Judged, TokenWritten
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.steps import Boundary
from baton_reasoning.core.thinking.trace import Trace
from tests.tiers import size

pytestmark = [pytest.mark.real_models, pytest.mark.scaled]
PROBLEM = "List ten animals, each on a line of its own."
VARIED = ("keywords", "first-token-entropy", "step-score", "relay", "always")
"""Policies that together need all that an engine can do, and whose first writer is either model."""
TOKENS = size(16, long=64)
SHORT = {"n1": 6, "n2": 8, "n3": 8, "step_cap": 24, "sentence_cap": 8, "p": 0.5, "opening": 8}
"""Lengths with which a short answer has several takeovers."""


@pytest.fixture(scope="module")
def pair(smollm2, gemma):
    small, large = (LocalEngine(path, LoadOptions(context=512, threads=1)) for path in (smollm2, gemma))
    yield Pair(small, large)
    for engine in (small, large):
        engine.close()


def short(name: str) -> PolicySettings:
    kind = POLICIES[name].Settings
    fitting = {field: value for field, value in SHORT.items() if field in kind.model_fields}
    return kind().model_copy(update=fitting)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in VARIED else pytest.mark.long)
        for name, policy in POLICIES.items()
        if not policy.needs.drafts
    ],
)
def test_a_policy_answers_on_two_real_models(pair, name):
    settings = RunSettings(policy=short(name), max_tokens=TOKENS, boundary=Boundary.LINE, instruction="", seed=1)
    trace = Trace.of(run(pair, ask(PROBLEM, settings), settings))
    policy, needs = POLICIES[name], POLICIES[name].needs
    assert trace.finish in (Finish.END_OF_TEXT, Finish.MAX_TOKENS, Finish.REPETITION), trace.ended
    assert 0 < trace.tokens <= TOKENS
    assert len(trace.steps) > 1
    assert {author for author, total in trace.totals.items() if total.decoded} >= {policy.default_writer} - (
        {Author.SMALL} if not needs.small else set()
    )
    assert bool(needs.judge) is any(isinstance(event, Judged) for event in trace.events)
    own = [event for event in trace.events if isinstance(event, TokenWritten) and event.author is policy.default_writer]
    assert all(len(event.alternatives) == needs.alternatives for event in own)
