"""Batches of several machines become one, and what does not fit is refused with the difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from baton_reasoning.core.batch.reading.problem_set import ProblemFile, ProblemOrigin
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.report_text import footnotes
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running.batch_events import JobEnded
from baton_reasoning.core.batch.running.batch_settings import ModelSummary
from baton_reasoning.core.batch.running.creation import create_batch
from baton_reasoning.core.batch.running.merging import BatchToMerge, merged
from baton_reasoning.core.batch.running.provenance import Provenance
from baton_reasoning.core.batch.running.recipes import arms_of
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.batch_rows import JobState
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import counting_pair, problems

RANDOM = "random as baton"
HERE = Provenance(processor="A chip", cores=2)


Run = Callable[..., BatchToMerge]


@pytest.fixture
def ran(tmp_path: Path, grader: Grader) -> Iterator[Run]:
    """Run a batch in a folder with a store of its own; `answers`: stop it after so many."""
    with ExitStack() as stores:

        def run(
            folder: str,
            given: Sequence[Problem],
            *recipes: str,
            seeds: Sequence[int] = (0,),
            base: RunSettings = RunSettings(),  # noqa: B008 - immutable
            answers: int | None = None,
        ) -> BatchToMerge:
            store = stores.enter_context(Store.open(tmp_path / folder / "batch.sqlite"))
            arms = arms_of(recipes or ("small",), base)
            batch = create_batch(store, "counting", given, arms, seeds, provenance=HERE)
            with closing(Runner(store, batch, counting_pair(), grader).run()) as events:
                list(islice((event for event in events if isinstance(event, JobEnded)), answers))
            return BatchToMerge.of(folder, store, store.batches.open(batch))

        yield run


def with_settings(part: BatchToMerge, **values: object) -> BatchToMerge:
    return replace(part, settings=part.settings.model_copy(update=values))


def report_of(store: Store, *parts: BatchToMerge) -> Report:
    return Results.read(store, merged(parts, Provenance()).save(store)).report


def test_other_problems_are_joined_with_the_texts_of_their_answers(ran: Run, store: Store) -> None:
    first = ran("desk", problems(5)[:3], "small", "large")
    second = ran("laptop", problems(5)[3:], "small", "large")
    batch = merged([first, second], Provenance()).save(store)
    found = Results.read(store, batch)
    assert [arm.name for arm in found.report.arms] == ["small", "large"]
    assert [(arm.done, arm.correct) for arm in found.report.arms] == [(5, 3), (5, 5)]
    assert found.report.comparisons[0].problems == 5
    assert found.report.problem_ids == ("p0", "p1", "p2", "p3", "p4")
    exported = list(found.exported())
    assert all("\\boxed" in each.text and each.spans for each in exported)
    assert [each.conditions.machine for each in exported if each.conditions] == ["desk"] * 6 + ["laptop"] * 4


def test_other_seeds_are_joined_on_the_same_problems_whatever_their_ids(ran: Run, store: Store) -> None:
    renamed = [replace(problem, id=f"again {problem.id}", source="elsewhere.csv") for problem in problems(3)]
    first = ran("desk", problems(3), seeds=(0, 1))
    second = ran("laptop", renamed, seeds=(2,), base=RunSettings(seed=2))
    report = report_of(store, first, second)
    assert (report.problems, report.seed_numbers, report.arms[0].done) == (3, (0, 1, 2), 9)


def test_ids_that_name_other_problems_are_made_unique(ran: Run, store: Store) -> None:
    same_ids = [replace(problem, id=f"p{number}") for number, problem in enumerate(problems(4)[2:])]
    report = report_of(store, ran("desk", problems(4)[:2]), ran("laptop", same_ids))
    assert report.problem_ids == ("p0", "p1", "p0#2", "p1#2")


def test_a_text_that_is_twice_in_a_batch_is_two_problems(ran: Run, store: Store) -> None:
    twice = [problems(2)[1], replace(problems(2)[1], id="twin")]
    first, second = ran("desk", twice), ran("laptop", twice, seeds=(1,))
    report = report_of(store, first, second)
    assert (report.problem_ids, report.arms[0].done) == (("p1", "twin"), 4)


def test_arms_that_ran_on_different_machines_are_compared_in_accuracy_but_not_in_speed(ran: Run, store: Store) -> None:
    report = report_of(store, ran("desk", problems(4)), ran("laptop", problems(4), "large"))
    assert report.comparisons[0].problems == 4
    assert report.not_comparable == (
        "100% of the answers of Small only and 0% of those of Large only were written in desk."
    )
    assert report.throughput is None
    assert "Merged: laptop, A chip, 2 cores" in footnotes(report)
    assert report.provenance.merged["desk"].processor == "A chip"


def test_an_arm_that_equals_one_of_another_batch_shares_its_results(ran: Run, store: Store) -> None:
    first = ran("desk", problems(4)[:2], "chosen", "n1")
    second = ran("laptop", problems(4)[2:], "n1")
    report = report_of(store, first, second)
    assert {arm.name: arm.done for arm in report.arms}["chosen"] == 4
    assert {arm.name: arm.same_as for arm in report.arms if arm.same_as} == {"n1 = 20": "chosen"}


def test_a_merged_batch_can_be_merged_again(ran: Run, store: Store, tmp_path: Path) -> None:
    parts = [ran(name, problems(2), seeds=(seed,)) for seed, name in enumerate(("a", "b", "c"))]
    pair = merged(parts[:2], Provenance()).save(store)
    joined = BatchToMerge.of("pair", store, store.batches.open(pair))
    with Store.open(tmp_path / "all.sqlite") as into:
        report = report_of(into, joined, parts[2])
    assert sorted(report.arms[0].conditions.machines) == [("c", 2), ("pair, a", 2), ("pair, b", 2)]


def test_what_waits_in_one_batch_is_taken_from_the_other_or_waits(ran: Run, store: Store) -> None:
    begun = ran("desk", problems(4), answers=1)
    done = [row.position for row in begun.store.batches.results(begun.batch.id) if row.state is JobState.DONE]
    rest = [problem for problem in problems(3) if int(problem.expected or "") not in done]
    batch = merged([begun, ran("laptop", rest)], Provenance()).save(store)
    assert [row.state is JobState.DONE for row in store.batches.results(batch)] == [True, True, True, False]
    with Grader() as grader:
        list(Runner(store, batch, counting_pair(), grader).run())
    assert store.batches.open(batch).done == 4


@pytest.mark.parametrize("is_first", [True, False])
def test_an_answer_takes_the_place_of_an_error(ran: Run, store: Store, is_first: bool) -> None:
    failed, again = ran("desk", problems(2), answers=0), ran("laptop", problems(2)[:1])
    (job,) = failed.store.batches.claim(failed.batch.id)
    failed.store.batches.finish(job, "", None, error="The model ran out of memory.")
    (arm,) = report_of(store, *([failed, again] if is_first else [again, failed])).arms
    assert (arm.correct, arm.failed, arm.done, arm.jobs) == (1, 0, 1, 2)


def test_the_chance_of_a_random_arm_is_the_mean_by_jobs(ran: Run, store: Store) -> None:
    first = ran("desk", problems(4)[:3], "baton", "random")
    second = ran("laptop", problems(4)[3:], "baton", "random")
    parts = [with_settings(first, chances={RANDOM: 0.1}), with_settings(second, chances={RANDOM: 0.5})]
    assert report_of(store, *parts).chances == {RANDOM: pytest.approx(0.2)}


def test_an_answer_that_two_batches_have_is_refused(ran: Run) -> None:
    parts = ran("desk", problems(3)), ran("laptop", problems(3)[1:])
    sentence = r"“Small only” has answered the problem p1 with seed 0 in desk and in laptop\. Merge batches of other"
    with pytest.raises(SettingsError, match=sentence):
        merged(parts, Provenance())


DEFAULTS = RunSettings()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (RunSettings(max_tokens=7), r"max_tokens of the arm “Current settings” is \d+ in desk, and 7 in laptop\."),
        (
            DEFAULTS.model_copy(update={"policy": DEFAULTS.policy.model_copy(update={"n1": 30})}),
            r"n1 of the arm “Current settings” is 20 in desk, and 30 in laptop\.",
        ),
    ],
)
def test_arms_with_one_name_and_other_settings_are_refused(ran: Run, changed: RunSettings, sentence: str) -> None:
    first = ran("desk", problems(2), "chosen")
    second = ran("laptop", problems(2), "chosen", seeds=(1,), base=changed)
    with pytest.raises(SettingsError, match=sentence):
        merged([first, second], Provenance())


MODEL = ModelSummary(name="R1", quantisation="Q4_K_M", sha256="aa")


@pytest.mark.parametrize(
    ("other", "fits"),
    [
        (MODEL, True),
        (MODEL.model_copy(update={"name": "renamed"}), True),
        (MODEL.model_copy(update={"sha256": ""}), True),
        (MODEL.model_copy(update={"sha256": "bb"}), False),
        (MODEL.model_copy(update={"sha256": "", "quantisation": "Q8_0"}), False),
        (None, True),
    ],
)
def test_models_are_compared_by_hash_or_else_by_name(ran: Run, other: ModelSummary | None, fits: bool) -> None:
    first = with_settings(ran("desk", problems(1)), large=MODEL)
    second = with_settings(ran("laptop", problems(1), seeds=(1,)), large=other)
    if fits:
        assert merged([second, first], Provenance()).settings.large in (MODEL, other)
        return
    with pytest.raises(SettingsError, match=r"The large model is R1 in desk, and R1 in laptop, which is another file"):
        merged([first, second], Provenance())


def test_other_models_of_arms_are_compared_too(ran: Run) -> None:
    """Under one name they would be described as the first of them."""
    first = with_settings(ran("desk", problems(1)), other_larges={"big.gguf": MODEL})
    other = MODEL.model_copy(update={"sha256": "bb"})
    second = with_settings(ran("laptop", problems(1), seeds=(1,)), other_larges={"big.gguf": other})
    with pytest.raises(SettingsError, match=r"The large model is R1 in desk, and R1 in laptop, which is another file"):
        merged([first, second], Provenance())


def test_other_grading_is_refused_with_the_command_that_changes_it(ran: Run) -> None:
    first, second = ran("desk", problems(1)), ran("laptop", problems(1), seeds=(1,))
    with pytest.raises(SettingsError, match=r"desk is graded by “auto”, and laptop by “exact”.*baton batch grade"):
        merged([first, with_settings(second, grade=How.EXACT)], Provenance())


def test_another_expected_answer_is_refused(ran: Run) -> None:
    corrected = [replace(problems(2)[1], expected="2")]
    parts = ran("desk", problems(2)), ran("laptop", corrected, seeds=(1,))
    with pytest.raises(SettingsError, match=r"p1 has the expected answer “1” in desk, and “2” in laptop"):
        merged(parts, Provenance())


def test_the_files_of_all_batches_are_named_once(ran: Run) -> None:
    one, two = (ProblemFile(name=f"{name}.csv", sha256=name) for name in "ab")
    origins = [ProblemOrigin(files=(one,)), ProblemOrigin(files=(one, two))]
    parts = [
        with_settings(ran(f"{seed}", problems(1), seeds=(seed,)), provenance=Provenance(problems=origin))
        for seed, origin in enumerate(origins)
    ]
    assert merged(parts, HERE).settings.provenance.problems.files == (one, two)
