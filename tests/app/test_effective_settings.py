"""Chat, batch, comparison and terminal use the same settings for the same choice, on the demo pair and on others."""

from __future__ import annotations

from pathlib import Path

import pytest

from baton_reasoning.app.compare.chooser import arms
from baton_reasoning.app.terminal.options import RunOptions, run_settings
from baton_reasoning.core.models.options import LocalFile
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.registry import matching_preset

pytestmark = pytest.mark.slow
OTHER_PAIR = ModelChoice(small=LocalFile(Path("small.gguf")), large=LocalFile(Path("large.gguf")))
DEMO_PAIR = ModelChoice()


def in_the_terminal(policy: PolicySettings, models: ModelChoice) -> RunSettings:
    preset = matching_preset(policy)
    changed = {} if preset else policy.model_dump(mode="json", exclude_defaults=True)
    options = RunOptions(
        policy=policy.policy,
        preset=preset or None,
        set=tuple(f"{name}={value}" for name, value in changed.items()),
        cues=None,
        seed=None,
        max_tokens=None,
    )
    return run_settings(options, is_demo=models.is_demo)


@pytest.mark.parametrize("models", [DEMO_PAIR, OTHER_PAIR], ids=["demo pair", "other pair"])
@pytest.mark.parametrize(
    "policy", [Keywords.Settings(), Keywords.presets["paper"], Keywords.Settings(c=3), RandomTakeover.Settings(p=0.5)]
)
def test_one_choice_means_one_thing_everywhere(make_window, policy, models):
    window = make_window()
    window.preferences.change(models=models)
    window.preferences.change_run(policy=policy, alternatives=0)
    chat = window.session.settings
    assert window._batch
    assert window._batch._settings() == chat
    assert next(choice.settings for choice in arms(chat) if choice.name == "chosen") == chat
    assert in_the_terminal(policy, models) == chat


def test_own_values_reach_a_batch_of_the_demo_pair(make_window):
    window = make_window()
    window.preferences.change_run(policy=Keywords.Settings(c=3, n1=9))
    assert window._batch
    assert window._batch._settings().policy == Keywords.Settings(c=3, n1=9, n2=22, n3=14, n3_step=0)
