"""Recipes make arms that differ from the chosen settings in one thing; a pilot finds the chance that gives a share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running.arms import (
    PILOT_PROBLEMS,
    RECIPES,
    Arm,
    OtherModels,
    arm_title,
    arms_of,
    by_models,
    chance_for_share,
    needs,
    pilot_of,
    refuse_impossible,
)
from baton_reasoning.core.engines.base import Placement
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.batches import StoredArm
from baton_reasoning.core.thinking.policies.every_step import EveryStep
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.step_score import StepScore
from baton_reasoning.core.thinking.policy import Needs
from tests.core.batch.counting import problems
from tests.fakes.scripted import THINK, ScriptedEngine

HERE = Placement((), batch=512, threads=1, kv_type="f16")
BASE = RunSettings(temperature=0.3, policy=Keywords.Settings(n1=12))


def only(recipe: str) -> RunSettings:
    (arm,) = RECIPES[recipe].make(BASE)
    return arm.settings


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_keeps_what_it_does_not_compare(recipe):
    assert {arm.settings.temperature for arm in RECIPES[recipe].make(BASE)} == {0.3}


@pytest.mark.parametrize(("recipe", "policy"), [("small", "never"), ("large", "always"), ("step-score", "step-score")])
def test_a_recipe_names_a_policy(recipe, policy):
    assert only(recipe).policy.policy == policy


@pytest.mark.parametrize("recipe", ["paper", "reference"])
def test_a_preset_changes_its_own_values_and_leaves_chosen_lengths(recipe):
    assert only(recipe).policy == Keywords.presets[recipe].model_copy(update={"n1": 12})


@pytest.mark.parametrize("chosen", ["paper", "reference"])
def test_the_arm_of_a_preset_is_that_preset_whatever_was_chosen(chosen):
    base = RunSettings(policy=Keywords.presets[chosen])
    assert [arm.settings.policy for arm in arms_of(["baton"], base)] == [Keywords.presets["baton"]]


def test_the_counter_of_reflections_is_varied_as_in_the_paper_and_n3_stays_as_it_is():
    policies = [arm.settings.policy for arm in RECIPES["c"].make(BASE)]
    values = [
        (policy.c, policy.c_most, policy.n3_step, policy.n3_most)
        for policy in policies
        if isinstance(policy, Keywords.Settings)
    ]
    assert values == [(c, c, 0, 125) for c in (3, 15, 50)]


def test_the_random_arm_brings_the_arm_whose_share_it_takes():
    assert [arm.name for arm in arms_of(["small", "random"], BASE)] == ["small", "baton", "random as baton"]
    shares = {arm.name: arm.equal_share_of for arm in arms_of(["relay", "random-as-relay", "relay"], BASE)}
    assert shares == {"relay": "", "random as relay": "relay"}, "what is named twice is run once"
    for like in ("every-step", "token-entropy"):
        assert [arm.equal_share_of for arm in arms_of([f"random-as-{like}"], BASE)] == ["", like]


def test_an_unknown_arm_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match="Choose among chosen, small, large, drafted, baton"):
        arms_of(["huge"], BASE)


def test_arms_say_which_models_they_need():
    assert needs(arms_of(["small"], BASE)) == Needs(large=False)
    assert needs(arms_of(["large", "baton"], BASE)) == Needs()
    assert needs(arms_of(["large", "drafted"], BASE)) == Needs(small=False, drafts=True)


def test_a_sweep_tries_several_values_of_one_parameter():
    arms = RECIPES["n1"].make(BASE)
    assert [(arm.name, arm.sweep, arm.settings.policy.model_dump()["n1"]) for arm in arms] == [
        ("n1 = 6", "n1", 6),
        ("n1 = 12", "n1", 12),
        ("n1 = 24", "n1", 24),
    ]


def test_the_arms_run_with_every_other_large_model_after_the_batch_s_own():
    assert [arm.name for arm in arms_of(["small"], BASE, larges=["B.gguf"])] == ["small", "chosen, B"]
    arms = arms_of(["small", "large", "chosen"], BASE, larges=["/models/Big-32B.gguf", "http://office:8080"])
    groups = by_models(arms[::-1])
    assert list(groups) == [
        OtherModels(),
        OtherModels(large="http://office:8080"),
        OtherModels(large="/models/Big-32B.gguf"),
    ]
    names = [arm.name for arm in groups[OtherModels(large="/models/Big-32B.gguf")]]
    assert names == ["chosen, Big-32B", "large, Big-32B"], "small alone is not run again"


def test_the_arms_run_with_every_other_small_model_in_every_combination():
    arms = arms_of(["small", "large", "paper"], BASE, larges=["B.gguf"], smalls=["s.gguf"])
    assert {arm.name: tuple(arm.models) for arm in arms if any(arm.models)} == {
        "small, s": ("s.gguf", ""),
        "large, B": ("", "B.gguf"),
        "paper, B": ("", "B.gguf"),
        "paper, s": ("s.gguf", ""),
        "paper, s, B": ("s.gguf", "B.gguf"),
    }


def test_a_control_takes_the_share_of_the_arm_with_the_same_models():
    arms = arms_of(["random"], BASE, larges=["B.gguf"])
    assert [(arm.name, arm.equal_share_of) for arm in arms] == [
        ("baton", ""),
        ("random as baton", "baton"),
        ("baton, B", ""),
        ("random as baton, B", "baton, B"),
    ]


def test_two_models_of_one_name_are_refused():
    with pytest.raises(SettingsError, match="called “large, Big”"):
        arms_of(["large"], BASE, larges=["a/Big.gguf", "b/Big.gguf"])


def test_speculative_decoding_is_large_only_where_a_draft_model_goes_ahead():
    (arm,) = arms_of(["drafted"], RunSettings(), drafting=["http://host:8081"])
    assert (arm.settings.policy.policy, arm.large_model) == ("drafted", "http://host:8081")
    two = arms_of(["drafted"], BASE, drafting=["http://host:8081", "http://host:8082"])
    lengths = {f"drafted, host:{port}": f"http://host:{port}" for port in (8081, 8082)}
    assert {arm.name: arm.large_model for arm in two} == lengths, "two draft lengths are two arms"
    refuse_impossible([arm], Pair(None, ScriptedEngine().with_card(drafting="draft-mtp")))
    refuse_impossible(arms_of(["large"], RunSettings()), Pair(None, ScriptedEngine()))
    with pytest.raises(SettingsError, match="needs a small model that drafts"):
        refuse_impossible([arm], Pair(None, ScriptedEngine()))


SILENT = {"returns_alternatives": False}


@pytest.mark.parametrize(
    ("recipe", "small", "large", "why"),
    [
        ("drafted", {}, {"vocabulary": "another"}, "their vocabularies differ"),
        ("drafted", {"supports_truncation": False}, {}, "recurrent memory"),
        ("drafted", {}, {"placement": replace(HERE, parallel=4)}, "loaded for parallel requests"),
        ("drafted", {"placement": None}, {}, "both must be on this machine"),
        ("first-token-entropy", SILENT, {}, "probabilities of each token, and small gives none.*Or leave it out"),
        ("step-score", {}, SILENT, "and large gives none.*another large model.*Or leave it out"),
        ("no thinking", {"thinking": THINK}, {}, "small always thinks"),
    ],
)
def test_an_arm_that_models_cannot_serve_is_refused_with_the_reason(recipe, small, large, why):
    (arm,) = arms_of(["small"], RunSettings(thinking=False)) if recipe == "no thinking" else arms_of([recipe], BASE)
    here = {"placement": HERE}
    pair = Pair(ScriptedEngine().with_card(**(here | small)), ScriptedEngine(name="large").with_card(**(here | large)))
    with pytest.raises(SettingsError, match=f"“{arm.name}” cannot run: .*{why}"):
        refuse_impossible([arm], pair)


def test_an_arm_without_thinking_needs_a_switch_in_the_model_that_writes_alone():
    small, large = ScriptedEngine(thinking=THINK).with_card(switches_thinking=True), ScriptedEngine(thinking=THINK)
    refuse_impossible(arms_of(["small"], RunSettings(thinking=False)), Pair(small, large))


def test_the_opening_is_varied_in_the_chosen_policy():
    chosen = RunSettings(policy=EveryStep.presets["reference"])
    policies = [arm.settings.policy for arm in RECIPES["opening"].make(chosen)]
    assert policies == [EveryStep.presets["reference"].model_copy(update={"opening": tokens}) for tokens in (100, 0)]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("baton", "Keywords"),
        ("baton, R1-32B", "Keywords, R1-32B"),
        ("reference", "Keywords (reference)"),
        ("random as baton", "Random as Keywords"),
        ("c = 3", "c = 3"),
    ],
)
def test_an_arm_has_the_title_of_its_policy(name, title):
    assert arm_title(name) == title


def test_an_arm_with_a_setting_that_left_is_shown_as_it_was_stored_and_not_run(store):
    small, policy = arms_of(["small"], BASE)[0].stored(), {"policy": "step-score", "threshold": 5, "as_published": True}
    stored = StoredArm("old", small.settings | {"settings": {"policy": policy, "system": "Be brief."}})
    batch = store.batches.create("old", {}, problems(1), [small, stored])
    assert Results.read(store, batch).report.arms[1].settings == stored.settings
    shown = Arm.shown(stored).settings
    assert (shown.policy, shown.system) == (StepScore.Settings(threshold=5), "Be brief.")
    with pytest.raises(SettingsError, match="The settings of the arm “old” cannot be read"):
        Arm.of(stored)


@pytest.mark.parametrize("policy", [{"policy": "agreement", "bound": -0.8}, 3])
def test_an_arm_of_a_policy_that_left_is_named_in_the_error(policy):
    with pytest.raises(SettingsError, match="The settings of the arm “old” cannot be read"):
        Arm.shown(StoredArm("old", {"settings": {"policy": policy}}))


@pytest.mark.parametrize("share", [0.05, 0.2, 0.35, 0.6])
def test_a_chance_is_found_whose_share_is_the_one_wanted(share):
    def long_takeovers(p: float) -> float:
        return 3 * p / (3 * p + 1 - p)

    assert long_takeovers(chance_for_share(share, long_takeovers)) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(
    ("share", "measure", "chance"),
    [(0.0, lambda _: pytest.fail("measured"), 0.0), (0.9, lambda p: 0.3 * p, 1.0), (0.4, lambda _: 0.0, 0.0)],
    ids=["no share", "a share beyond reach", "no takeover comes off"],
)
def test_where_no_chance_gives_the_share_the_nearest_end_is_chosen(share, measure, chance):
    assert chance_for_share(share, measure) == chance


def test_pilots_come_from_all_over_the_set():
    chosen = pilot_of(problems(240))
    assert len(chosen) == PILOT_PROBLEMS
    assert chosen[-1].id == "p230"
    assert [problem.id for problem in pilot_of(problems(2))] == ["p0", "p1"]
