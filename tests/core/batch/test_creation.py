"""Arms with equal settings are run once."""

from __future__ import annotations

from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.batch.running.creation import add_arms, create_batch, without_duplicates
from baton_reasoning.core.batch.running.recipes import arms_of
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import problems

NOTE = "“n1 = 20” has the same settings as “Current settings”, which runs once."


def test_arms_that_differ_in_their_name_alone_are_one_which_stands_in_the_sweep() -> None:
    found = without_duplicates(arms_of(["small", "chosen", "n1"], RunSettings()))
    assert [(arm.name, arm.sweep) for arm in found.arms] == [
        *(("small", ""), ("chosen", "n1"), ("n1 = 10", "n1"), ("n1 = 40", "n1"))
    ]
    assert found.notes == (NOTE,)


def test_a_control_takes_the_share_of_the_arm_that_stays() -> None:
    found = without_duplicates(arms_of(["chosen", "random"], RunSettings())).arms
    assert [(arm.name, arm.equal_share_of) for arm in found] == [("chosen", ""), ("random as baton", "chosen")]


def test_an_arm_that_is_added_is_run_only_if_its_settings_are_new(store: Store) -> None:
    batch = create_batch(store, "counting", problems(2), arms_of(["chosen"], RunSettings()))
    assert add_arms(store, batch, arms_of(["n1"], RunSettings())) == (NOTE,)
    assert [Arm.of(arm).name for arm in store.batches.open(batch).arms] == ["chosen", "n1 = 10", "n1 = 40"]
    assert add_arms(store, batch, arms_of(["chosen"], RunSettings())) == ()
    assert store.batches.open(batch).jobs == 3 * 2
