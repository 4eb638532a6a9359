"""What Baton 0.1 stored still opens: run settings, events, batches and the settings file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.batch.running.arms import Arm
from core.engines.model_card import ModelCard
from core.run import RunSettings
from core.settings import SettingsFile
from core.store.batch_rows import StoredArm
from core.thinking import events
from core.thinking.policies.every_step import EveryStep
from core.thinking.policies.first_token_entropy import FirstTokenEntropy
from core.thinking.policies.keywords import Keywords
from core.thinking.policies.never import Never
from core.thinking.policies.random_takeover import RandomTakeover
from core.thinking.policies.step_score import StepScore
from core.thinking.policy import PolicySettings, Until
from core.thinking.schema_1 import upgrade_settings
from core.thinking.trace_json import event_from_json

PARAMETERS: dict[str, Any] = {
    "n1": 18,
    "n2": 22,
    "n3": 16,
    "n3_step": 0,
    "n3_most": 200,
    "c": 15,
    "c_step": 5,
    "c_most": 30,
    "opening": 0,
    "auxiliary_prompt": "Let us check whether there are some wrong steps. ",
    "match": "inflected",
    "keep_lookahead": True,
    "stop_at_first_cue": True,
    "until": "tokens",
    "scope": "thinking",
    "one_cue": False,
    "p": 0.5,
    "tau": 1.0,
    "step_cap": 64,
    "threshold": 6.0,
    "weighted": True,
}


@pytest.mark.parametrize(
    "policy",
    [
        Keywords.Settings(n1=18, n2=22, n3=16, n3_step=0, until=Until.TOKENS),
        FirstTokenEntropy.Settings(tau=1, step_cap=64),
        StepScore.Settings(threshold=6, step_cap=64, weighted=True),
        EveryStep.Settings(n1=18, until=Until.TOKENS),
        RandomTakeover.Settings(p=0.5, n1=18, until=Until.TOKENS),
        Never.Settings(),
    ],
)
def test_run_settings_keep_what_their_policy_read(policy: PolicySettings) -> None:
    old = {"policy": policy.policy, "parameters": PARAMETERS, "seed": 7, "cue_list": ""}
    assert RunSettings.model_validate(old) == RunSettings(policy=policy, seed=7)


def test_settings_of_today_are_left_as_they_are() -> None:
    now = RunSettings(seed=3).model_dump(mode="json")
    assert upgrade_settings(now) == now
    assert upgrade_settings({"seed": 3}) == {"seed": 3}


def test_the_settings_file_opens_and_a_wrong_value_falls_back_alone(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    run = {"policy": "random", "parameters": PARAMETERS | {"p": 7, "n1": 4}, "seed": 5}
    path.write_text(json.dumps({"run": run}), encoding="utf-8")
    settings = SettingsFile(path).load().run
    assert (settings.policy, settings.seed) == (RandomTakeover.Settings(n1=4, until=Until.TOKENS), 5)


def test_a_policy_that_is_gone_falls_back_to_the_default(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"run": {"policy": "majority", "parameters": PARAMETERS, "seed": 5}}), encoding="utf-8")
    settings = SettingsFile(path).load().run
    assert (settings.policy, settings.seed) == (Keywords.Settings(), 5)


def test_a_stored_batch_opens() -> None:
    settings = {"policy": "random", "parameters": PARAMETERS}
    arm = Arm.of(StoredArm("random", {"settings": settings, "equal_share_of": "baton"}))
    assert arm.settings.policy == RandomTakeover.Settings(p=0.5, n1=18, until=Until.TOKENS)


@pytest.mark.parametrize(
    ("old", "event"),
    [
        (
            {"event": "write_started", "at": 1, "author": "large", "rule": "reflection", "position": 3},
            events.WriteStarted(1, events.Author.LARGE, "reflection", 3),
        ),
        (
            {"event": "takeover_started", "at": 1, "rule": "reflection", "cue": None, "tokens": 20, "position": 3},
            events.TakeoverStarted(1, "reflection", None, 20, 3),
        ),
        (
            {"event": "text_inserted", "at": 1, "text": "So", "rule": "thinking budget"},
            events.TextInserted(1, "So", "thinking budget"),
        ),
        (
            {"event": "counted", "at": 1, "reflections": 3, "limit": 15},
            events.CountersChanged(1, {"reflections": 3, "c": 15, "firings": 0}),
        ),
    ],
)
def test_events_get_their_new_names(old: dict[str, Any], event: events.Event) -> None:
    assert event_from_json(old) == event


def test_a_run_begins_with_its_settings_and_model_cards() -> None:
    started = event_from_json(
        {
            "event": "run_started",
            "schema": 1,
            "at": 0,
            "conversation": [],
            "policy": "random",
            "settings": {"policy": "random", "parameters": PARAMETERS},
            "seed": 0,
            "small": {
                "name": "tiny",
                "vocabulary": "",
                "context": 9,
                "can_be_cut": False,
                "reads_along": True,
                "own": {},
            },
            "large": None,
            "prompt_tokens": 1,
            "thinking": True,
        }
    )
    assert isinstance(started, events.RunStarted)
    assert started.small == ModelCard("tiny", "", 9, supports_truncation=False, supports_prefetch=True)
    assert isinstance(RunSettings.model_validate(started.settings).policy, RandomTakeover.Settings)
