"""Recipes make arms, which a batch runs once each."""

import pytest

from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.tables import notes
from baton_reasoning.core.batch.running.arms import (
    ARMS,
    RECIPES,
    Arm,
    OtherModels,
    arm_title,
    arms_of,
    by_models,
    needs,
    refuse_impossible,
    settings_of_all,
    usual_arms,
)
from baton_reasoning.core.batch.running.batch import (
    BatchSettings,
    add_arms,
    add_seeds,
    create_batch,
    without_duplicates,
)
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.batches import StoredArm
from baton_reasoning.core.thinking.policies.alone import Never
from baton_reasoning.core.thinking.policies.automatic import Automatic
from baton_reasoning.core.thinking.policies.keywords import EveryStep, Keywords
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.policy import Needs
from tests.core.batch.counting import problems
from tests.fakes.scripted import THINK, ScriptedEngine

BASE = RunSettings(temperature=0.3, policy=Keywords.Settings(n1=12))


def policies(recipe, base=BASE):
    return [arm.settings.policy for arm in RECIPES[recipe].make(base)]


def test_a_recipe_differs_from_the_chosen_settings_in_one_thing():
    for each in RECIPES.values():
        assert {arm.settings.temperature for arm in each.make(BASE)} == {0.3}
    for recipe, policy in (("small", "never"), ("large", "always"), ("step-score", "step-score")):
        assert [each.policy for each in policies(recipe)] == [policy]
    for preset in ("paper", "reference"):
        assert policies(preset) == [Keywords.presets[preset].model_copy(update={"n1": 12})], "a chosen length stays"
        assert policies("baton", RunSettings(policy=Keywords.presets[preset])) == [Keywords.presets["baton"]]
    in_every_step = RunSettings(policy=EveryStep.presets["reference"])
    assert policies("opening", in_every_step) == [
        EveryStep.presets["reference"].model_copy(update={"opening": tokens}) for tokens in (100, 0)
    ]


def test_an_ablation_tries_several_values_of_one_parameter():
    tried = [(arm.name, arm.settings.policy.model_dump()["n1"]) for arm in RECIPES["n1"].make(BASE)]
    assert tried == [("n1 = 6", 6), ("n1 = 12", 12), ("n1 = 24", 24)]
    values = [each.model_dump(include={"c", "c_most", "n3_step", "n3_most"}) for each in policies("c")]
    assert values == [{"c": c, "c_most": c, "n3_step": 0, "n3_most": 125} for c in (3, 15, 50)], "as in the paper"


def test_an_arm_has_the_word_of_its_recipe_and_a_title_beside_it_where_that_says_more():
    for name in ARMS:
        assert [arm.name for arm in RECIPES[name].make(BASE)] == [name]
    names = ("small", "baton, R1-32B", "first-token-entropy", "chosen", "c = 3")
    titles = ["small", "baton, R1-32B · Keywords", "first-token-entropy", "chosen · Current settings", "c = 3"]
    assert list(map(arm_title, names)) == titles
    for policy in ("token-entropy", "first-token-entropy"):
        assert all(arm.name.startswith(f"{policy} tau = ") for arm in RECIPES[f"{policy}-tau"].make(BASE))


@pytest.mark.parametrize(
    ("chosen", "pair"),
    [
        (Keywords.Settings(n1=12), "baton"),
        (Keywords.presets["reference"], "reference"),
        (TokenEntropy.Settings(), "token-entropy"),
        (TokenEntropy.Settings(tau=0.3), "token-entropy"),
        (Automatic.Settings(), "chosen"),
        (RandomTakeover.Settings(), "chosen"),
        (Never.Settings(), None),
    ],
    ids=str,
)
def test_what_is_chosen_is_proposed_between_the_models_alone(chosen, pair):
    settings = RunSettings(policy=chosen, seed=3)
    assert usual_arms(settings) == ("small", *filter(None, [pair]), "large")
    if pair:
        assert RECIPES[pair].make(settings)[0].settings == settings


def test_the_random_arm_brings_the_arm_whose_share_it_takes():
    assert [arm.name for arm in arms_of(["small", "random"], BASE)] == ["small", "baton", "random"]
    shares = {arm.name: arm.equal_share_of for arm in arms_of(["relay", "random-as-relay", "relay"], BASE)}
    assert shares == {"relay": "", "random-as-relay": "relay"}, "what is named twice is run once"
    for like in ("every-step", "token-entropy"):
        assert [arm.equal_share_of for arm in arms_of([f"random-as-{like}"], BASE)] == ["", like]
    single, spans = (policies(f"random{what}-as-token-entropy", BASE)[0] for what in ("", "-spans"))
    assert (single.model_dump()["n1"], spans.model_dump()["n1"]) == (1, BASE.policy.model_dump()["n1"])


def test_arms_say_which_models_they_need_and_run_with_every_other_one_after_the_batch_s_own():
    assert needs(arms_of(["small"], BASE)) == Needs(large=False)
    assert needs(arms_of(["large", "baton"], BASE)) == Needs()
    assert needs(arms_of(["large", "drafted"], BASE)) == Needs(small=False, drafts=True)
    assert [arm.name for arm in arms_of(["small"], BASE, larges=["B.gguf"])] == ["small", "chosen, B"]
    arms = arms_of(["small", "large", "chosen"], BASE, larges=["/models/Big-32B.gguf", "http://office:8080"])
    groups = by_models(arms[::-1])
    assert [each.large for each in groups] == ["", "http://office:8080", "/models/Big-32B.gguf"]
    names = [arm.name for arm in groups[OtherModels(large="/models/Big-32B.gguf")]]
    assert names == ["chosen, Big-32B", "large, Big-32B"], "small alone is not run again"
    arms = arms_of(["small", "large", "paper"], BASE, larges=["B.gguf"], smalls=["s.gguf"])
    assert {arm.name: tuple(arm.models) for arm in arms if any(arm.models)} == {
        "small, s": ("s.gguf", ""),
        "large, B": ("", "B.gguf"),
        "paper, B": ("", "B.gguf"),
        "paper, s": ("s.gguf", ""),
        "paper, s, B": ("s.gguf", "B.gguf"),
    }
    shares = {arm.name: arm.equal_share_of for arm in arms_of(["random"], BASE, larges=["B.gguf"])}
    assert shares == {"baton": "", "random": "baton", "baton, B": "", "random, B": "baton, B"}
    with pytest.raises(SettingsError, match="called “large, Big”"):
        arms_of(["large"], BASE, larges=["a/Big.gguf", "b/Big.gguf"])
    with pytest.raises(SettingsError, match="Choose among chosen, small, large, drafted, baton"):
        arms_of(["huge"], BASE)
    with pytest.raises(SettingsError, match="only drafted takes a model, as drafted=SERVER"):
        arms_of(["large=other.gguf"], BASE)


def test_speculative_decoding_is_large_only_where_a_draft_model_goes_ahead():
    (arm,) = arms_of(["drafted=http://host:8081"], RunSettings())
    assert (arm.settings.policy.policy, arm.large_model) == ("drafted", "http://host:8081")
    two = arms_of(["drafted=http://host:8081", "drafted=http://host:8082"], BASE)
    lengths = {f"drafted, host:{port}": f"http://host:{port}" for port in (8081, 8082)}
    assert {arm.name: arm.large_model for arm in two} == lengths, "two draft lengths are two arms"
    refuse_impossible([arm], Pair(None, ScriptedEngine().with_card(drafting="draft-mtp")))
    refuse_impossible(arms_of(["large"], RunSettings()), Pair(None, ScriptedEngine()))
    with pytest.raises(SettingsError, match="needs a small model that drafts"):
        refuse_impossible([arm], Pair(None, ScriptedEngine()))


def test_an_arm_that_models_cannot_serve_is_refused_with_the_reason():
    silent = ScriptedEngine(name="large").with_ability(Ability.JUDGEMENTS, False)
    with pytest.raises(SettingsError, match=r"“step-score” cannot run: large gives no.*Or leave it out"):
        refuse_impossible(arms_of(["step-score"], BASE), Pair(ScriptedEngine(), silent))
    silently, thinks = arms_of(["small"], RunSettings(thinking=False)), ScriptedEngine(thinking=THINK)
    with pytest.raises(SettingsError, match=r"“small” cannot run: .*small always thinks"):
        refuse_impossible(silently, Pair(thinks, ScriptedEngine()))
    refuse_impossible(silently, Pair(thinks.with_ability(Ability.THINKING_SWITCH), thinks))


# Arms of a batch: with equal settings they run once


def test_arms_that_differ_in_their_name_alone_are_one(store):
    arms = arms_of(["small", "chosen", "n1"], RunSettings())
    assert [arm.name for arm in without_duplicates(arms).arms] == ["small", "chosen", "n1 = 10", "n1 = 40"]
    control = without_duplicates(arms_of(["chosen", "random"], RunSettings())).arms
    assert [(arm.name, arm.equal_share_of) for arm in control] == [("chosen", ""), ("random", "chosen")]
    batch = create_batch(store, "counting", problems(2), arms[1:2])
    note = "“n1 = 20” has the same settings as “chosen”, which runs once."
    assert add_arms(store, batch, arms) == without_duplicates(arms).notes == (note,)
    assert [arm.name for arm in store.batches.open(batch).arms] == ["chosen", "small", "n1 = 10", "n1 = 40"]
    assert add_arms(store, batch, arms_of(["chosen"], RunSettings())) == ()
    assert store.batches.open(batch).jobs == 4 * 2


def test_an_added_arm_has_the_settings_of_the_others_and_is_another_for_what_it_is():
    def made(name, base=BASE):
        arm = arms_of([name], base)[-1]
        return arm.settings.temperature, arm.settings.policy

    def added(name, *before):
        return made(name, settings_of_all(arms_of(before, BASE)))

    for before in (["chosen"], ["small", "baton"], ["paper"]):
        assert added("random", *before) == made("random"), "n1 = 12, which was set"
    default = BASE.model_copy(update={"policy": Keywords.Settings()})
    for before in (["small"], ["c"], ["stitch"]):
        assert added("token-entropy", *before) == made("token-entropy", default)
    assert settings_of_all([]) == RunSettings()


def test_seeds_are_added_to_all_arms_once(store):
    batch = create_batch(store, "counting", problems(2), arms_of(["small", "large"], BASE), seeds=(7,))
    for count, jobs in ((3, 12), (3, 12), (2, 12), (4, 16)):
        add_seeds(store, batch, count)
        assert store.batches.open(batch).jobs == jobs
    assert BatchSettings.of(store.batches.open(batch)).seed_numbers == (7, 8, 9, 10)
    add_arms(store, batch, arms_of(["baton"], BASE))
    assert store.batches.open(batch).jobs == 24


def test_an_arm_without_a_policy_or_with_a_setting_that_left_is_left_out_and_hides_no_other(store):
    small = arms_of(["small"], BASE)[0].stored()
    gone = {"left": {"policy": "step-score", "as_published": True}, "gone": {"policy": "oracle", "delta": 0.2}}
    unknown = [StoredArm(name, {"settings": {"policy": policy}}) for name, policy in gone.items()]
    batch = store.batches.create("old", {}, problems(1), [*unknown, small])
    results = Results.read(store, batch)
    assert [arm.name for arm in results.report.arms] == ["small"]
    assert results.report.unknown_arms == ("left", "gone")
    for name in results.report.unknown_arms:
        told = f"{name}: left out, since this version of Baton does not have its policy, or a setting of it."
        assert told in notes(results.report)
    assert {each.arm for each in results.exported()} == {"small", "left", "gone"}
    for stored in (*unknown, StoredArm("three", {"settings": {"policy": 3}})):
        with pytest.raises(SettingsError, match=f"The settings of the arm “{stored.name}” cannot be read"):
            Arm.of(stored)
