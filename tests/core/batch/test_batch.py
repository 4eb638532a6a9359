"""A batch runs arms with equal settings once, and one of an older version opens without what has left since."""

from __future__ import annotations

from baton_reasoning.core.batch.reporting.exports import EXPORTS, export
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.tables import notes
from baton_reasoning.core.batch.running.arms import Arm, arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings, add_arms, create_batch, without_duplicates
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.grading.verdict import How, Verdict
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.batches import Conditions, StoredArm
from tests.core.batch.counting import counting_pair, problems
from tests.core.store.made import claim

NOTE = "“n1 = 20” has the same settings as “Current settings”, which runs once."


def test_arms_that_differ_in_their_name_alone_are_one_which_stands_in_the_sweep():
    found = without_duplicates(arms_of(["small", "chosen", "n1"], RunSettings()))
    assert [(arm.name, arm.sweep) for arm in found.arms] == [
        *(("small", ""), ("chosen", "n1"), ("n1 = 10", "n1"), ("n1 = 40", "n1"))
    ]
    assert found.notes == (NOTE,)


def test_a_control_takes_the_share_of_the_arm_that_stays():
    found = without_duplicates(arms_of(["chosen", "random"], RunSettings())).arms
    assert [(arm.name, arm.equal_share_of) for arm in found] == [("chosen", ""), ("random as baton", "chosen")]


def test_an_arm_that_is_added_is_run_only_if_its_settings_are_new(store):
    batch = create_batch(store, "counting", problems(2), arms_of(["chosen"], RunSettings()))
    assert add_arms(store, batch, arms_of(["n1"], RunSettings())) == (NOTE,)
    assert [Arm.of(arm).name for arm in store.batches.open(batch).arms] == ["chosen", "n1 = 10", "n1 = 40"]
    assert add_arms(store, batch, arms_of(["chosen"], RunSettings())) == ()
    assert store.batches.open(batch).jobs == 3 * 2


LINE = "Begun by an older version of Baton: what this one does not know, such as votes, is left out."


class OlderConditions(Conditions):
    joules: float = 12.5
    machine: str = "desk"
    resumed: bool = True


def test_votes_names_of_one_arm_energy_and_merged_folders_are_left_out(store, grader, tmp_path):
    settings = BatchSettings().stored() | {
        "aliases": [{"name": "chosen", "same_as": "small", "sweep": ""}],
        "warm_up_tokens": 16,
        "energy_measured": "processor by RAPL",
    }
    settings["provenance"]["merged"] = {"desk": {}, "laptop": {}}
    small = arms_of(["small"], RunSettings())[0].stored().settings
    vote = StoredArm("vote of 3", small | {"votes": 3})
    batch = store.batches.create("old", settings, problems(1), [vote], seeds=(0, 10_000, 20_000))
    (job,) = claim(store, batch)
    conditions = OlderConditions(parallel=1, threads=2, other_load=0.0)
    store.batches.finish(job, "0", Verdict.of(True, How.AUTO, ""), conditions=conditions)
    list(Runner(store, batch, counting_pair(), grader).run())
    report = Results.read(store, batch).report
    (arm,) = report.arms
    assert (arm.name, arm.answers, arm.conditions.setups[0][0]) == ("vote of 3", 3, 1)
    assert LINE in notes(report)
    for ending in EXPORTS:
        export(store, batch, tmp_path / f"old{ending}")


def test_a_batch_of_this_version_says_nothing_of_older_ones(store):
    batch = create_batch(store, "new", problems(1), arms_of(["small"], RunSettings()))
    assert LINE not in notes(Results.read(store, batch).report)
