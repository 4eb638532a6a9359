"""Policies are found, described and configured through the registry alone; other packages can bring their own.

Such plug-ins are those of docs/examples, which are run here.
"""

import re
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from after_a_long_step import LONG_STEP, AfterALongStep
from agreement import DISAGREEMENT, Agreement
from mentor import MENTOR, Mentor
from periodic import PERIODIC, Periodic
from pydantic import ValidationError
from self_check import REJECTED, SelfCheck
from triggers import OVERCONFIDENCE, UNPRODUCTIVE, Triggers

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.thinking.events import Judged, Scored, Tried
from baton_reasoning.core.thinking.policies.alone import Never
from baton_reasoning.core.thinking.policies.keywords import EveryStep, Keywords
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.policy import Needs, Policy, PolicySettings
from baton_reasoning.core.thinking.reasons import OPENING, SHARED_REASONS
from baton_reasoning.core.thinking.registry import (
    ENTRY_POINTS,
    PACKAGE,
    POLICIES,
    PolicyRegistry,
    matching_preset,
    own_values,
    policy_summary,
    policy_title,
    settings_for,
    with_values,
)
from baton_reasoning.core.thinking.requirements import unmet_need
from tests.core.thinking.running import LARGE, SMALL, Run, run
from tests.fakes.scripted import ScriptedEngine

every_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))


@every_policy
def test_a_policy_describes_itself_its_parameters_reasons_presets_and_arms(policy):
    assert policy.summary.endswith(".")
    assert policy.Settings().policy == policy.name
    assert isinstance(POLICIES.of(policy.Settings())(), policy)
    parameters = {name: field for name, field in policy.Settings.model_fields.items() if name != "policy"}
    assert all(field.title and field.description for field in parameters.values())
    assert set(policy.main_parameters) <= set(parameters)
    assert all(POLICIES.reason(reason.id) == reason for reason in policy.reasons)
    for settings in [*policy.presets.values(), *(arm.settings for arm in policy.arms)]:
        assert isinstance(settings, policy.Settings)
        chosen = RunSettings(policy=settings)
        assert RunSettings.model_validate_json(chosen.model_dump_json()) == chosen
    assert next(iter(policy.presets.values()), policy.Settings()) == policy.Settings()
    assert list(policy.preset_summaries) == list(policy.presets)[1:]
    assert len({policy_summary(policy, preset) for preset in policy.presets}) == len(policy.presets)


def test_names_of_reasons_and_arms_are_unique_and_an_unknown_reason_is_named_by_its_id():
    reasons = {reason for policy in POLICIES.values() for reason in policy.reasons} | set(SHARED_REASONS)
    arms = [arm.name for policy in POLICIES.values() for arm in policy.arms]
    assert len({reason.id for reason in reasons}) == len(reasons), "policies share a reason, or have different ids"
    assert len({reason.label for reason in reasons}) == len(reasons), "two reasons have one label"
    assert len(set(arms)) == len(arms)
    assert POLICIES.reason("of another version").label == "of another version"
    controls = [policy.name for policy in POLICIES.values() if policy.is_control]
    assert list(POLICIES)[:2] == ["automatic", "keywords"]
    assert list(POLICIES)[-len(controls) :] == controls, "they come last"
    assert controls[:2] == ["never", "always"]


def test_what_is_not_installed_or_of_another_policy_is_refused():
    with pytest.raises(SettingsError, match="Choose one of automatic, keywords, "):
        POLICIES.of(PolicySettings(policy="majority"))
    with pytest.raises(ValidationError, match="choose one of automatic, keywords, "):
        RunSettings.model_validate({"policy": {"policy": "majority"}})
    with pytest.raises(ValidationError, match="tau"):
        RunSettings.model_validate({"policy": {"policy": "keywords", "tau": 1}})


def test_another_policy_takes_over_the_values_that_a_person_changed():
    chosen = settings_for("every-step", Keywords.Settings(n1=7, c=3))
    assert chosen == EveryStep.Settings(n1=7, c=3)
    assert settings_for("random", chosen) == RandomTakeover.Settings(n1=7)
    assert settings_for("never", chosen) == Never.Settings()
    assert with_values(Never.Settings(), {"p": 0.5}) == Never.Settings()
    assert with_values(RandomTakeover.Settings(n1=7), {"p": 3}) == RandomTakeover.Settings(n1=7), "out of bounds"


def test_a_preset_is_known_by_its_values_and_a_title_names_policy_preset_and_changes():
    paper, changed = Keywords.presets["paper"], Keywords.presets["paper"].model_copy(update={"c": 3})
    assert [matching_preset(each) for each in (Keywords.Settings(), paper, changed)] == ["baton", "paper", ""]
    assert own_values(changed) == {"c": 3}
    assert policy_title(Keywords.Settings()) == "Keywords"
    assert policy_title(changed) == "Keywords (paper), reflections allowed 3"
    several = Keywords.Settings(n3=100, n1=2, c=3)
    assert policy_title(several) == "Keywords, tokens per takeover 2, reflections allowed 3, …"
    assert policy_title(Keywords.Settings(one_cue=True)) == "Keywords, one cue per class on"
    assert policy_title(Keywords.Settings(n1=18), advised=Keywords.Settings(n1=18)) == "Keywords"


def test_an_installed_package_brings_a_policy_under_a_free_name_and_what_cannot_be_loaded_is_logged(
    monkeypatch, caplog
):
    targets = ("self_check:SelfCheck", f"{__name__}:Usurper", "no_such_package:Coin", "self_check:REJECTED")
    points = [EntryPoint("own", target, ENTRY_POINTS) for target in targets]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points if group == ENTRY_POINTS else [])
    registry = PolicyRegistry()
    own = [name for name, policy in registry.items() if not policy.__module__.startswith(PACKAGE)]
    assert (own, registry["self-check"]) == (["self-check"], SelfCheck)
    assert registry.reason(REJECTED.id) == REJECTED
    assert registry["never"] is Never
    for told in ("Policy never of", "the name is taken", *targets[2:]):
        assert told in caplog.text


class Usurper(Policy):
    name, title = "never", "Usurper"


PAGE = Path(__file__).parents[3] / "docs" / "method.md"


def test_the_table_names_every_policy_in_the_words_of_the_menus():
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+) \| [^|]+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    own = [policy for policy in POLICIES.values() if policy.__module__.startswith(PACKAGE)]  # plug-ins may be installed
    assert sorted(rows) == sorted((policy.name, policy.summary) for policy in own)


# The plug-ins of docs/examples
BETTER = ["Better.\n\nNo"] * 3
CIRCLING = "Wait, no.\n\nWait, so.\n\n"


class Reading(Policy):
    title = "Reading"
    default_writer = LARGE
    needs = Needs(alternatives=20)


@pytest.mark.parametrize(
    ("policy", "author", "lacks", "told"),
    [
        (Agreement, LARGE, Ability.SCORES, "large gives no log-probabilities of a text"),
        (SelfCheck, SMALL, Ability.JUDGEMENTS, "small gives no log-probabilities of an answer"),
        (Triggers, SMALL, Ability.ALTERNATIVES, "small gives no log-probabilities of the tokens"),
        (Reading, LARGE, Ability.ALTERNATIVES, "large gives no log-probabilities of the tokens"),
    ],
)
def test_what_a_policy_needs_is_asked_of_the_model_that_has_to_give_it(policy, author, lacks, told):
    cards = Pair(ScriptedEngine(), ScriptedEngine(name="large")).cards
    assert unmet_need(policy, cards) is None
    lacking = {each: ScriptedEngine(name=each.value).with_ability(lacks, False).card for each in cards}
    assert told in str(unmet_need(policy, cards | {author: lacking.pop(author)}))
    if not (policy.needs.of_small and policy.needs.of_large):
        assert unmet_need(policy, cards | lacking) is None, "the other one need not give any"
    assert "needs a large model" in str(unmet_need(policy, {SMALL: cards[SMALL]}))


def test_after_a_long_step_only_the_large_model_writes():
    small = ["One.\n\nTwo is a long step.\n\n", "Four.</think>"]
    done = run(AfterALongStep(AfterALongStep.Settings(tokens=6)), small, ["Three is long as well.\n\n"])
    assert [author for author, text in done.told if text.strip()] == ["small", "small", "large", "small"]
    assert done.reasons == [LONG_STEP.id]
    assert done.measures[0] == ("tokens", 7, 6)


def test_agreement_has_a_step_rewritten_that_the_large_model_finds_unlikely():
    small = ["One.\n\nNo", "Two.\n\nNo", "End.</think>Four.\n\nFive."]
    large = ScriptedEngine(*BETTER, name="large", scored=lambda _, token: -9.0 if "Two" in token else -0.1)
    done = run(Agreement(Agreement.Settings(bound=-1.0)), small, large)
    assert done.reasons == [DISAGREEMENT.id]
    assert [(measure.name, measure.limit) for measure in done.measures if measure] == [("agreement", -1)]
    assert done.trace.text.startswith("One.\n\nBetter.\n\nEnd.")
    scored = ["".join(token.text for token in event.tokens) for event in done.all(Scored)]
    assert scored == ["One.\n\n", "Two.\n\n", "End.</think>"], "neither its own step nor the answer"


def test_self_check_asks_the_large_model_where_the_small_one_is_unsure():
    engine = ScriptedEngine("One.\n\nNo", "Two.\n\nNo", "End.</think>", "Four.", marks=["yes", "no", "No"])
    done = run(SelfCheck(), engine, ScriptedEngine(*BETTER, name="large", marks=["3", "7"]))
    assert [event.author for event in done.all(Judged)] == [SMALL, SMALL, LARGE, SMALL, LARGE]
    assert (done.reasons, done.measures) == ([REJECTED.id], [("score", 3, 7)])
    assert done.trace.text == "One.\n\nBetter.\n\nEnd.</think>Four."
    over = run(SelfCheck(), ScriptedEngine("One.\n\n", "", "Four.", marks=["yes"] * 9))
    assert len(over.all(Judged)) == 1, "there is no step after it to check"


def test_triggers_let_the_large_model_write_the_plan_also_in_a_text_that_is_taken_up():
    policy = Triggers(Triggers.Settings(plan_steps=2))
    first = run(policy, [], BETTER, RunSettings(max_tokens=3))
    done = run(policy, ["End.</think>Four."], BETTER, before=first.trace)
    assert done.reasons == [OPENING.id, OPENING.id], "one before, and one after"
    assert done.trace.text.startswith("Better.\n\nBetter.\n\nEnd.")


@pytest.mark.parametrize(
    ("steps", "chances", "expected", "decided", "stands"),
    [
        (CIRCLING, (0.5, 0.5), [UNPRODUCTIVE.id], ["hesitating steps"], f"{CIRCLING}Better."),
        ("One.\n\nOne.\n\n", (0.5, 0.5), [UNPRODUCTIVE.id], [None], "One.\n\nOne.\n\nBetter."),
        ("Wait, no.\n\nSo.\n\nWait, so.\n\n", (0.5, 0.5), [], [], "Wait, no.\n\nSo.\n\nWait, so.\n\n"),
        ("One.\n\n", (1.0,), [OVERCONFIDENCE.id], ["confidence"], "Better."),
    ],
)
def test_going_in_circles_and_extraordinary_confidence_bring_the_large_model(steps, chances, expected, decided, stands):
    policy = Triggers(Triggers.Settings(plan_steps=0, hesitations=2, confidence=-0.1))
    done = run(policy, ScriptedEngine(steps, "End.</think>Four.", chances=lambda _: chances), BETTER)
    assert (done.reasons, done.trace.text.startswith(stands)) == (expected, True)
    assert [measure and measure.name for measure in done.measures] == decided


ALONE = "The sum is five, so 5.</think>Five."
OTHERWISE = {"The": " sum is five", "The sum": " is five", "The sum is": " four, so 4."}
"""What the large model writes after the small one's text: the first difference is in the fourth word."""


def mentored(mark: str) -> Run:
    def go_on(_: object, body: str) -> str:
        return ALONE.removeprefix(body) if ALONE.startswith(body) else ""

    large = ScriptedEngine(continue_with=lambda _, body: OTHERWISE.get(body, " and so on"), name="large")
    small = ScriptedEngine(continue_with=go_on, marks=mark * 99)
    return run(Mentor(Mentor.Settings(chance=1, tokens=4)), small, large)


def test_under_mentor_both_models_try_to_go_on_and_the_small_one_chooses():
    other, own = mentored("B"), mentored("A")
    assert other.trace.text.startswith("The sum is four, so 4")
    assert (other.reasons[0], other.measures[0]) == (MENTOR.id, ("preference", 1, 0))
    assert [tried.text for tried in other.all(Tried)][:4] == [" sum is five", " is five", " four, so 4", ", so 5"]
    assert other.all(Judged)[0].author is SMALL
    assert (own.trace.text, own.reasons, bool(own.all(Judged))) == (ALONE, [], True)
    tried = sum(len(each.tokens) for each in own.all(Tried))
    assert sum(total.tried for total in own.trace.totals.values()) == tried > 0, "none of them in the text"


def test_periodic_gives_every_third_step_to_the_large_model_counted_on_in_a_text_that_is_taken_up():
    policy = Periodic(Periodic.Settings(every=3))
    first = run(policy, ["One.\n\nTwo.\n\n"], [], RunSettings(max_tokens=3))
    small = [" is it.\n\n", "Four.\n\nFive.\n\n", "End.</think>"]
    done = run(policy, small, ["Three.\n\n", "Six.\n\n"], before=first.trace)
    authors = [step.pieces[0].author for step in done.trace.steps]
    assert authors == [SMALL, SMALL, LARGE, SMALL, SMALL, LARGE, SMALL]
    assert set(done.reasons) == {PERIODIC.id}
