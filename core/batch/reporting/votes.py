"""Lets several answers of one problem vote: the control of self-consistency, at the cost of all of them.

Each answer is a row of its own in the store. For a report those of one problem and seed become one row, which has the
answer that most of them give, and the tokens and seconds of all: as if they had been written one after another.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from baton_reasoning.core.batch.reporting.run_cost import RunCost
from baton_reasoning.core.grading.normal_form import normalise
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.store.batch_rows import VOTES_APART, Conditions, ResultRow
from baton_reasoning.core.store.outline import ModelWork
from baton_reasoning.core.store.run_metrics import RunMetrics


class Voted(NamedTuple):
    """Rows of which each stands for all votes of a problem and a seed, and their costs by job."""

    rows: list[ResultRow]
    costs: dict[int, RunCost]


def count_votes(rows: Iterable[ResultRow], costs: Mapping[int, RunCost], seeds: Iterable[int]) -> Voted:
    """Let the rows of one arm vote. While a vote is missing, or has failed, its row stands for the others.

    `seeds`: of the batch, which are those of the first votes.
    """
    first = {seed % VOTES_APART: seed for seed in seeds}
    groups: defaultdict[tuple[int, int], list[ResultRow]] = defaultdict(list)
    for row in rows:
        groups[row.position, first[row.seed % VOTES_APART]].append(row)
    voted, summed = list[ResultRow](), dict[int, RunCost]()
    for (_, seed), votes in groups.items():
        if missing := next((row for row in votes if not row.has_answer), None):
            voted.append(missing._replace(seed=seed, metrics=_sum_of_metrics(votes, missing)))
            continue
        winner = majority(votes)
        voted.append(
            winner._replace(
                seed=seed,
                metrics=_sum_of_metrics(votes, winner),
                conditions=_joined_conditions(votes, winner),
                notices=tuple(dict.fromkeys(notice for row in votes for notice in row.notices)),
            )
        )
        summed[winner.job] = _sum_of_costs([costs[row.job] for row in votes], costs[winner.job])
    return Voted(voted, summed)


def majority(votes: Sequence[ResultRow]) -> ResultRow:
    """Return the first row with the answer that most give; neither texts without an answer vote, nor answers that
    cannot be graded.

    Right answers are the same, however they are written; wrong ones are if their text is the same.
    """
    graded = [row for row in votes if row.outcome is not Outcome.UNSCORED] or list(votes)
    valid = [row for row in graded if row.answer or row.outcome is Outcome.CORRECT] or graded
    choices = [row.outcome if row.outcome is Outcome.CORRECT else normalise(row.answer) for row in valid]
    winning = Counter(choices).most_common(1)[0][0]  # of equals the first that was written
    return valid[choices.index(winning)]


def _joined_conditions(votes: Sequence[ResultRow], winner: ResultRow) -> Conditions | None:
    """Say of all votes what was so during any of them; None if it is not known of each."""
    found = [row.conditions for row in votes if row.conditions]
    if winner.conditions is None or len(found) < len(votes):
        return None
    changes = {
        "paused": any(each.paused for each in found),
        "resumed": any(each.resumed for each in found),
        "other_load": sum(each.other_load for each in found) / len(found),
    }
    return winner.conditions.model_copy(update=changes)


def _sum_of_metrics(votes: Sequence[ResultRow], of: ResultRow) -> RunMetrics:
    metrics = [row.metrics for row in votes]
    return of.metrics._replace(
        seconds=sum(each.seconds for each in metrics),
        small_tokens=sum(each.small_tokens for each in metrics),
        large_tokens=sum(each.large_tokens for each in metrics),
        handoffs=sum(each.handoffs for each in metrics),
        steps=sum(each.steps for each in metrics),
        money=sum(each.money for each in metrics),
        remote_tokens=sum(each.remote_tokens for each in metrics),
    )


def _sum_of_costs(costs: Sequence[RunCost], winner: RunCost) -> RunCost:
    """Add up all counts, except for the winner's reflections.

    Votes are counted once the last one has ended: no token of the answer comes before.
    """
    return winner._replace(
        discarded_tokens=sum(each.discarded_tokens for each in costs),
        takeovers=tuple(takeover for each in costs for takeover in each.takeovers),
        small=_sum_of_work([each.small for each in costs]),
        large=_sum_of_work([each.large for each in costs]),
        large_steps=sum(each.large_steps for each in costs),
        answer_began=None,
        drafted=sum(each.drafted for each in costs),
        accepted=sum(each.accepted for each in costs),
    )


def _sum_of_work(each: Sequence[ModelWork]) -> ModelWork:
    return ModelWork(*map(sum, zip(*each, strict=True)))
