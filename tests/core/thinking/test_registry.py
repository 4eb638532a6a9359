"""Policies are found, described and configured through the registry alone; other packages can bring their own."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.policies.every_step import EveryStep
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.reasons import SHARED_REASONS
from baton_reasoning.core.thinking.registry import (
    COMMON_POLICIES,
    PACKAGE,
    POLICIES,
    PolicyRegistry,
    matching_preset,
    own_values,
    policy_summary,
    policy_title,
    settings_for,
    with_advice,
)

every_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))


@every_policy
def test_a_policy_describes_itself(policy):
    assert POLICIES[policy.name] is policy
    assert policy.title
    assert policy.summary.endswith(".")
    assert policy.Settings().policy == policy.name
    assert isinstance(POLICIES.of(policy.Settings())(), policy)


@every_policy
def test_every_parameter_has_a_title_and_a_description(policy):
    parameters = {name: field for name, field in policy.Settings.model_fields.items() if name != "policy"}
    assert all(field.title and field.description for field in parameters.values())
    assert set(policy.main_parameters) <= set(parameters)


@every_policy
def test_every_reason_has_a_label(policy):
    assert all(POLICIES.reason(reason.id) == reason for reason in policy.reasons)


@every_policy
def test_presets_and_arms_are_settings_of_the_policy(policy):
    for settings in [*policy.presets.values(), *(arm.settings for arm in policy.arms)]:
        assert isinstance(settings, policy.Settings)
    if policy.presets:
        assert next(iter(policy.presets.values())) == policy.Settings()


@every_policy
def test_settings_survive_json(policy):
    settings = RunSettings(policy=policy.Settings())
    assert RunSettings.model_validate_json(settings.model_dump_json()) == settings


@given(st.text(st.characters(codec="ascii")))
def test_a_reason_that_is_not_registered_is_named_by_its_id(id):
    assert POLICIES.reason(id).label == id or id in POLICIES._reasons


def test_names_of_reasons_and_arms_are_unique():
    reasons = {reason for policy in POLICIES.values() for reason in policy.reasons} | set(SHARED_REASONS)
    arms = [arm.name for policy in POLICIES.values() for arm in policy.arms]
    assert len({reason.id for reason in reasons}) == len(reasons), "policies share a reason, or have different ids"
    assert len({reason.label for reason in reasons}) == len(reasons), "two reasons have one label"
    assert len(set(arms)) == len(arms)


def test_a_policy_that_is_not_installed_is_refused_with_the_list():
    with pytest.raises(SettingsError, match="Choose one of keywords, "):
        POLICIES.of(PolicySettings(policy="majority"))
    with pytest.raises(ValidationError, match="choose one of keywords, "):
        RunSettings.model_validate({"policy": {"policy": "majority"}})


def test_a_parameter_of_another_policy_is_refused():
    with pytest.raises(ValidationError, match="tau"):
        RunSettings.model_validate({"policy": {"policy": "keywords", "tau": 1}})


def test_another_policy_takes_over_the_values_that_a_person_changed():
    chosen = settings_for("every-step", Keywords.Settings(n1=7, c=3))
    assert chosen == EveryStep.Settings(n1=7, c=3)
    assert settings_for("random", chosen) == RandomTakeover.Settings(n1=7)
    assert settings_for("never", chosen) == Never.Settings()


def test_a_preset_is_known_by_its_values():
    assert matching_preset(Keywords.Settings()) == "baton"
    assert matching_preset(Keywords.presets["paper"]) == "paper"
    assert matching_preset(Keywords.Settings(n1=21)) == ""
    assert own_values(Keywords.presets["paper"].model_copy(update={"n1": 21})) == {"n1": 21}


@every_policy
def test_every_preset_but_the_first_has_a_summary_of_its_own(policy):
    assert list(policy.preset_summaries) == list(policy.presets)[1:]
    assert len({policy_summary(policy, preset) for preset in policy.presets}) == len(policy.presets)


def test_a_title_names_policy_preset_and_changes():
    assert policy_title(Keywords.Settings()) == "Keywords"
    assert policy_title(Keywords.presets["paper"]) == "Keywords (paper)"
    assert (
        policy_title(Keywords.presets["paper"].model_copy(update={"c": 3})) == "Keywords (paper), reflections allowed 3"
    )
    assert policy_title(Keywords.Settings(one_cue=True)) == "Keywords, one cue per class on"
    assert policy_title(Keywords.Settings(n1=18), advised=Keywords.Settings(n1=18)) == "Keywords"


def test_advice_fills_in_what_a_person_left_alone():
    advised = Keywords.Settings(n1=18, n2=22)
    assert with_advice(Keywords.Settings(), advised) == advised
    assert with_advice(RandomTakeover.Settings(), advised) == RandomTakeover.Settings(n1=18)
    assert with_advice(Keywords.Settings(c=3, n2=9), advised) == Keywords.Settings(c=3, n1=18, n2=9)


Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package with one module and one entry point on the path, as pip would."""

    def install(source: str, target: str) -> None:
        name = target.partition(":")[0]
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        (folder / "entry_points.txt").write_text(f"[baton_reasoning.policies]\n{name} = {target}\n", encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, name, raising=False)

    return install


COIN = """
from typing import Literal
from baton_reasoning.core.thinking.policy import Policy, PolicySettings
from baton_reasoning.core.thinking.reasons import SHARED_REASONS
from baton_reasoning.core.thinking.reasons import TakeoverReason

class Coin(Policy):
    name = {name!r}
    title = "Coin"
    summary = "A coin decides."
    reasons = (TakeoverReason("coin", "The coin said so"),)

    class Settings(PolicySettings):
        policy: Literal[{name!r}] = {name!r}
"""


def test_the_policies_that_are_offered_first_need_no_explanation():
    titles = [POLICIES[name].title for name in COMMON_POLICIES]
    assert titles == ["Keywords", "Every step", "Small only", "Large only"]


def test_an_installed_package_brings_a_policy(install):
    install(COIN.format(name="coin"), "coin_policy:Coin")
    registry = PolicyRegistry()
    assert registry["coin"].title == "Coin"
    assert registry.reason("coin").label == "The coin said so"


def test_an_installed_policy_does_not_replace_another(install, caplog):
    install(COIN.format(name="never"), "usurping_policy:Coin")
    assert PolicyRegistry()["never"] is Never
    assert "the name is taken" in caplog.text


@pytest.mark.parametrize(("source", "target"), [("1 / 0", "broken_policy:Coin"), ("Coin = 3", "odd_policy:Coin")])
def test_a_package_that_cannot_be_loaded_is_logged_and_left_out(install, caplog, source, target):
    install(source, target)
    assert list(PolicyRegistry()) == list(POLICIES)
    assert target in caplog.text


PAGE = Path(__file__).parents[3] / "docs" / "method.md"


def test_the_table_names_every_policy_in_the_words_of_the_menus():
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+) \| [^|]+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    own = [policy for policy in POLICIES.values() if policy.__module__.startswith(PACKAGE)]  # plug-ins may be installed
    assert sorted(rows) == sorted((policy.name, policy.summary) for policy in own)
