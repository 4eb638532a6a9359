"""Speeds are compared only where they were taken under the same conditions."""

from __future__ import annotations

import pytest

from baton_reasoning.core.batch.reporting.report import ArmConditions, why_not_comparable
from baton_reasoning.core.batch.running.runner import LoadMeter
from baton_reasoning.core.store.batches import Conditions, JobState, ResultRow
from baton_reasoning.core.store.run_cost import RunCost


def row(parallel: int = 16, load: float = 0.0) -> ResultRow:
    return ResultRow(
        *(1, "", "arm", 0, 0, JobState.DONE, "", None, "", None, RunCost(seconds=2.0)),
        conditions=Conditions(parallel=parallel, threads=2, other_load=load),
    )


def test_only_arms_that_were_written_under_the_same_conditions_can_be_compared():
    def why_not(first: list[ResultRow], second: list[ResultRow]) -> str:
        return why_not_comparable([("a", ArmConditions.of(first)), ("b", ArmConditions.of(second))])

    mixed = [row(parallel=16), row(parallel=2)] * 4
    assert why_not(mixed, mixed) == ""
    resumed = why_not([row(parallel=16)] * 4, [row(parallel=2)] * 4)
    assert "100% of the answers" in resumed
    assert "at once with 2 threads" in resumed
    loaded = why_not([row(load=0.1)] * 4, [row(load=0.6)] * 4)
    assert loaded == "Other programs used 60% of the CPU during b and 10% during a."


def test_jobs_that_wait_have_no_conditions():
    waiting = [row()._replace(conditions=None)]
    assert ArmConditions.of(waiting).setups == ()


def test_the_load_of_other_programs_leaves_out_our_own():
    meter = LoadMeter()
    start = meter.read()
    end = start._replace(time=start.time + 10, busy=start.busy + 8, own=start.own + 8)
    assert meter.others_since(start) <= 1
    meter._last = end
    assert meter.others_since(start) == pytest.approx(0)
