"""Answers that are there get other verdicts, and nothing is written again."""

from __future__ import annotations

import pytest

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings, create_batch
from baton_reasoning.core.batch.running.regrading import RegradeCounts, regrade
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.errors import EngineLost, SettingsError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How, Outcome, Regex, Verdict
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.batches import JobState
from baton_reasoning.core.store.store import Store
from tests.core.batch.files import damage
from tests.fakes.scripted import THINK, Fault, ScriptedEngine

pytestmark = pytest.mark.slow

TEXT = "</think>The speed is 0.50 m/s, so \\boxed{0.50}."


def answered(store: Store, grader: Grader, expected: str = "1/2", fault: Fault | None = None) -> str:
    """A batch of two problems; both are answered with 0.50, or the first ends in an error."""
    problems = [Problem(f"p{n}", "How fast?", expected, {}, n) for n in range(2)]
    arms = [arm.stored() for arm in arms_of(["small"], RunSettings())]
    batch = store.batches.create("speeds", BatchSettings().stored(), problems, arms)
    engine = ScriptedEngine(continue_with=lambda _, body: TEXT.removeprefix(body), faults=[fault] if fault else [])
    list(Runner(store, batch, Pair(engine), grader).run())
    return batch


def outcomes(store: Store, batch: str) -> list[Outcome | None]:
    return [row.verdict.outcome if row.verdict else None for row in store.batches.results(batch)]


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        (How.AUTO, Outcome.CORRECT),
        (How.NUMERIC, Outcome.CORRECT),
        (How.EXACT, Outcome.WRONG),
        (How.CHOICE, Outcome.UNSCORED),
        (Regex(r"speed is 0\.5"), Outcome.CORRECT),
        (Regex("speed is {expected}"), Outcome.WRONG),
    ],
)
def test_every_way_to_grade_gives_its_own_verdict(store, grader, how, outcome):
    batch = answered(store, grader)
    list(regrade(store, batch, grader, How.EXACT if outcome is Outcome.CORRECT else How.NUMERIC))
    yielded = [row.verdict.outcome if row.verdict else None for row, _ in regrade(store, batch, grader, how)]
    assert yielded == outcomes(store, batch) == [outcome] * 2


def test_a_batch_is_graded_later_as_it_was_before_and_so_is_what_is_run_then(store, grader):
    batch = answered(store, grader)
    list(regrade(store, batch, grader, Regex(" m/s")))
    list(regrade(store, batch, grader))
    store.batches.add_arm(batch, arms_of(["large"], RunSettings())[0].stored(), [0])
    list(Runner(store, batch, Pair(large=ScriptedEngine("</think>It is 3 km/s.")), grader).run())
    assert {row.verdict.how for row in store.batches.results(batch) if row.verdict} == {How.REGEX}
    assert outcomes(store, batch) == [Outcome.CORRECT] * 2 + [Outcome.WRONG] * 2


def test_answers_are_found_in_the_texts_by_the_grader_of_today(store, grader):
    batch = answered(store, grader, expected="0.5")
    wrong = Verdict(Outcome.WRONG, How.EXACT, "As an older version graded it.")
    jobs = [row.job for row in store.batches.results(batch)]
    store.batches.regrade(batch, {}, [(jobs[0], "", wrong), (jobs[1], "0.50", wrong)])
    counts = RegradeCounts()
    for graded in regrade(store, batch, grader):
        counts.take(graded)
    assert [row.answer for row in store.batches.results(batch)] == ["0.50"] * 2
    assert outcomes(store, batch) == [Outcome.CORRECT] * 2
    assert (counts.answers, counts.found_otherwise, counts.graded_otherwise) == (2, 1, 2)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("</think>It is\n\n18", 100),
        ("</think>It is 18", 2),
        ("It is \\boxed{18} and so on", 100),
        ("So it is 18", 100),
        ("</think>", 100),
    ],
)
@pytest.mark.parametrize("thinking", [THINK, None])
def test_the_answer_is_found_as_it_was_in_the_run(store, grader, text, limit, thinking):
    batch = create_batch(
        store, "texts", [Problem("p", "How many?", "18", {}, 1)], arms_of(["small"], RunSettings(max_tokens=limit))
    )
    engine = ScriptedEngine(continue_with=lambda _, body: text.removeprefix(body), thinking=thinking)
    list(Runner(store, batch, Pair(engine), grader).run())
    ((row, before),) = regrade(store, batch, grader)
    assert (row.answer, row.verdict) == (before.answer, before.verdict)


def test_what_is_stopped_has_changed_nothing(store, grader):
    batch = answered(store, grader)
    graded = regrade(store, batch, grader, How.EXACT)
    next(graded)
    graded.close()
    assert outcomes(store, batch) == [Outcome.CORRECT] * 2
    assert BatchSettings.of(store.batches.open(batch)).grade is How.AUTO


def test_a_batch_that_is_running_is_not_graded_again(store, grader):
    batch = create_batch(store, "speeds", [Problem("p", "How fast?", "1/2", {}, 1)], arms_of(["small"], RunSettings()))
    store.batches.claim(batch)
    with pytest.raises(SettingsError, match=r"“speeds” is running\. Wait until it is done, or stop it"):
        list(regrade(store, batch, grader, How.EXACT))


def test_errors_and_what_waits_stay_as_they_are(store, grader):
    batch = answered(store, grader, fault=Fault(1, EngineLost("The model is gone.")))
    store.batches.add_arm(batch, arms_of(["large"], RunSettings())[0].stored(), [0])
    assert len(list(regrade(store, batch, grader, How.NUMERIC))) == 1
    rows = list(store.batches.results(batch))
    assert [bool(row.error) for row in rows] == [True, False, False, False]
    assert [row.state for row in rows] == [JobState.DONE] * 2 + [JobState.WAITING] * 2


def test_an_answer_whose_text_is_damaged_keeps_its_verdict(store, path, grader):
    batch = answered(store, grader)
    damage(path)
    assert list(regrade(store, batch, grader, How.EXACT)) == []
    assert outcomes(store, batch) == [Outcome.CORRECT] * 2


def test_settings_of_another_version_are_refused_in_words(store):
    batch = store.batches.create("odd", {"parallel": "many"}, [], [])
    with pytest.raises(SettingsError, match="cannot be read"):
        BatchSettings.of(store.batches.open(batch))
