"""Arms with equal settings are run once, and shown under both names."""

from __future__ import annotations

from baton_reasoning.core.batch.reporting.report_text import comparisons, footnotes
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running.creation import create_batch, without_duplicates
from baton_reasoning.core.batch.running.recipes import arms_of
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import counting_pair, problems


def test_arms_that_differ_in_their_name_alone_are_one() -> None:
    arms = arms_of(["small", "chosen", "n1"], RunSettings())
    different, aliases = without_duplicates(arms)
    assert [arm.name for arm in different] == ["small", "chosen", "n1 = 10", "n1 = 40"]
    assert [(alias.name, alias.same_as, alias.sweep) for alias in aliases] == [("n1 = 20", "chosen", "n1")]


def test_the_results_of_an_arm_stand_under_both_its_names(store: Store, grader: Grader) -> None:
    arms = arms_of(["chosen", "n1"], RunSettings())
    batch = create_batch(store, "counting", problems(2), arms, seeds=(0, 1))
    list(Runner(store, batch, counting_pair(), grader).run())
    report = Results.read(store, batch).report
    chosen, twin = report.arms[0], report.arms[-1]
    assert store.batches.open(batch).jobs == 3 * 2 * 2
    assert (twin.name, twin.sweep, twin.same_as, twin.tokens) == ("n1 = 20", "n1", "chosen", chosen.tokens)
    assert "n1 = 20: the same settings as Current settings, run once" in footnotes(report)
    assert not any("n1 = 20" in line for line in comparisons(report))
