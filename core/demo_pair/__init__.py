"""The demo pair: two tiny models that come with the program, and the problems that they were made for.

Its settings are the paper's method, with lengths that suit its short steps.
"""

from __future__ import annotations

from baton_reasoning.core.demo_pair.task import DemoProblem, held_out_problems
from baton_reasoning.core.models.options import DEMO_FOLDER, DemoModel
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.policies.keywords import Keywords

__all__ = ["DemoProblem", "held_out_problems"]

DEMO_SETTINGS = RunSettings(
    # n1 is the 16 tokens of a second look or of the last sentence, n2 a line, n3 one after the auxiliary prompt.
    policy=Keywords.Settings(n1=16, n2=22, n3=14, n3_step=0),
    max_tokens=500,
)

MEASURED_COST = 13
"""Cost of the large model over that of the small one, in the experiment of `MEASURED_RATIO`."""
MEASURED_RATIO = 0.35
"""Seconds of an answer by the pair (arm `baton`) over those of the large model alone, one answer at a time, on a demo
pair made to cost as a real one: `baton evidence --cost 13 --all --limit 100`, docs/evidence.md."""

SMALL_MODEL = DemoModel.SMALL.path
LARGE_MODEL = DemoModel.LARGE.path
READY_PROBLEMS = DEMO_FOLDER / "problems.jsonl"
"""Twenty problems to try."""
BATCH_PROBLEMS = DEMO_FOLDER / "batch.jsonl"
"""Three hundred held-out problems for batches, none of them among the twenty."""
