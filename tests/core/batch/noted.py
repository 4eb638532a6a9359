"""A report as text, and a batch in which everything happened that a reader must know beside the table."""

from __future__ import annotations

from baton_reasoning.core.batch.reporting.failures import FailureAnalysis
from baton_reasoning.core.batch.reporting.page import html_report
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.statistics import difference
from baton_reasoning.core.batch.reporting.tables import report_parts
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import create_batch
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import large_engine, problems, small_engine
from tests.fakes.scripted import Fault, ScriptedEngine

REFUSAL = EngineRefused("gpu.example refused the key <none>.", "Give it another one.")
SLOW = "gpu.example was slow, and was asked again."
NOTES = (
    "The interval leaves out 0 although p ≥ 0.05",
    "p: McNemar's exact test. Adjusted p: Holm's method over the 3 comparisons",
    "Small only: 1 answer failed: “gpu.example refused the key <none>. Give it another one.”",
    "Small only: 1 answer with the notice “gpu.example was slow, and was asked again.”",
    "Seconds cannot be compared: Other programs used 60% of the CPU during large.",
    "1 error: resume the batch for these answers.",
)
"""What terminal, HTML and window must say."""


def text_of(report: Report) -> str:
    """What a terminal shows of a report, as wide as it gets."""
    parts = [
        part if isinstance(part, str) else "\n".join((part.title, part.as_text(), *part.notes))
        for part in report_parts(report)
    ]
    return "\n\n".join(parts)


def page_of(report: Report) -> str:
    """The page of a report, without an analysis of what went wrong."""
    return html_report(report, FailureAnalysis(0, (), ()))


def noted_report(store: Store, grader: Grader) -> Report:
    """Three arms, a refusal, a notice; a comparison whose interval disagrees."""
    small = ScriptedEngine(continue_with=small_engine().continue_with, faults=[Fault(3, REFUSAL)], notices={80: SLOW})
    batch = create_batch(store, "counting", problems(6), arms_of(["large", "small", "chosen"], RunSettings()))
    list(Runner(store, batch, Pair(small, large_engine()), grader).run())
    found = Results.read(store, batch).report
    odd = difference([([False], [True])] * 5 + [([True], [True])] * 5)
    assert odd
    first, *others = found.comparisons
    disagreeing = first.model_copy(update={"remark": odd.remark})
    sentence = "Other programs used 60% of the CPU during large."
    return found.model_copy(update={"comparisons": (disagreeing, *others), "not_comparable": sentence})
