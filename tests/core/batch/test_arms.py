"""Recipes make arms that differ from the chosen settings in one thing."""

import pytest

from core.batch.arms import Arm, by_large_model, needs, refuse_undrafted
from core.batch.recipes import RECIPES, arms_of
from core.errors import SettingsError
from core.run import RunSettings
from core.store.batch_rows import StoredArm
from core.thinking.cues import Category, Cue
from core.thinking.policies.keywords import Keywords
from tests.fakes.scripted import ScriptedEngine

BASE = RunSettings(temperature=0.3, policy=Keywords.Settings(n1=12))


def only(recipe: str) -> RunSettings:
    (arm,) = RECIPES[recipe].make(BASE)
    return arm.settings


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_keeps_what_it_does_not_compare(recipe: str) -> None:
    assert {arm.settings.temperature for arm in RECIPES[recipe].make(BASE)} == {0.3}


@pytest.mark.parametrize(
    ("recipe", "policy"),
    [("small", "never"), ("large", "always"), ("entropy", "first-token-entropy"), ("score", "step-score")],
)
def test_a_recipe_names_a_policy(recipe: str, policy: str) -> None:
    assert only(recipe).policy.policy == policy


@pytest.mark.parametrize("recipe", ["paper", "reference"])
def test_a_preset_changes_its_own_values_and_leaves_chosen_lengths(recipe: str) -> None:
    assert only(recipe).policy == Keywords.presets[recipe].model_copy(update={"n1": 12})


@pytest.mark.parametrize("chosen", ["paper", "reference"])
def test_the_arm_of_a_preset_is_that_preset_whatever_was_chosen(chosen: str) -> None:
    base = RunSettings(policy=Keywords.presets[chosen])
    assert [arm.settings.policy for arm in arms_of(["baton"], base)] == [Keywords.presets["baton"]]


def test_the_counter_of_reflections_is_varied_as_in_the_paper() -> None:
    counts = [
        (policy.c, policy.c_most)
        for arm in RECIPES["c"].make(BASE)
        if isinstance(policy := arm.settings.policy, Keywords.Settings)
    ]
    assert counts == [(3, 3), (15, 15), (50, 50)]


def test_the_random_arm_brings_the_arm_whose_share_it_takes() -> None:
    assert [arm.name for arm in arms_of(["small", "random"], BASE)] == ["small", "baton", "random as baton"]


def test_an_arm_that_is_named_twice_is_run_once() -> None:
    assert [arm.name for arm in arms_of(["baton", "random", "baton"], BASE)] == ["baton", "random as baton"]


def test_an_unknown_arm_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="Choose among chosen, small, large, baton"):
        arms_of(["huge"], BASE)


def test_arms_say_which_models_they_need() -> None:
    assert needs(arms_of(["small"], BASE)) == (True, False)
    assert needs(arms_of(["large", "baton"], BASE)) == (True, True)


def test_an_arm_of_another_version_is_refused_in_words() -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        Arm.of(StoredArm("odd", {"settings": {"policy": 3, "warp": 9}}))


def test_a_sweep_tries_several_values_of_one_parameter() -> None:
    arms = RECIPES["n1"].make(BASE)
    assert [(arm.name, arm.sweep, arm.settings.policy.model_dump()["n1"]) for arm in arms] == [
        ("n1 = 6", "n1", 6),
        ("n1 = 12", "n1", 12),
        ("n1 = 24", "n1", 24),
    ]


def test_one_class_of_cues_at_a_time_leaves_the_others_no_words() -> None:
    arms = RECIPES["one-class"].make(BASE)
    signs = [{cue.category for cue in english_text_cues(arm)} for arm in arms]
    assert signs == [{Category.REFLECTION}, {Category.AFFIRMATION}, {Category.VERIFICATION}]


def english_text_cues(arm: Arm) -> list[Cue]:
    assert arm.settings.lexicon
    return arm.settings.lexicon.find("Wait, yes, let me verify.")


def test_every_other_large_model_is_an_arm_that_runs_after_the_batch_s_own() -> None:
    arms = arms_of(["large", "chosen"], BASE, guides=["/models/Big-32B.gguf", "http://office:8080"])
    groups = by_large_model(arms[::-1])
    assert list(groups) == ["", "http://office:8080", "/models/Big-32B.gguf"]
    assert [arm.name for arm in groups["/models/Big-32B.gguf"]] == ["guide Big-32B"]
    assert [arm.name for arm in groups["http://office:8080"]] == ["guide office:8080"]


def test_two_large_models_of_one_name_are_refused() -> None:
    with pytest.raises(SettingsError, match="called “guide Big”"):
        arms_of([], BASE, guides=["a/Big.gguf", "b/Big.gguf"])


def test_speculative_decoding_is_large_only_where_a_draft_model_goes_ahead() -> None:
    (arm,) = arms_of(["drafted"], RunSettings(), drafting="http://host:8081")
    assert (arm.settings.policy.policy, arm.guide_model) == ("always", "http://host:8081")
    refuse_undrafted([arm], ScriptedEngine().with_card(drafts=True))
    refuse_undrafted(arms_of(["large"], RunSettings()), ScriptedEngine())
    with pytest.raises(SettingsError, match="“speculative decoding” needs"):
        refuse_undrafted([arm], ScriptedEngine())


def test_an_arm_of_an_older_baton_keeps_its_guide_model() -> None:
    stored = StoredArm("guide", {"settings": {}, "large": "big.gguf"})
    assert Arm.of(stored).guide_model == "big.gguf"
    assert Arm.of(Arm.of(stored).stored()).guide_model == "big.gguf"
