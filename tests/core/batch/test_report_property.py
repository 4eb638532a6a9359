"""Every figure of a report follows from the lines of results.jsonl: plain loops over them find the same.

Nothing here uses the formulas of the report. Wilson's interval is the solution of its quadratic equation, the exact
test adds up what is as unlikely, Holm's p is the highest of those before it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.batch.random_batches import random_batches

pytestmark = pytest.mark.slow
Line = dict[str, Any]
Z = 1.959963984540054
SUMS = (
    *("small_tokens", "large_tokens", "discarded_tokens", "small_read", "large_read", "small_reread", "large_reread"),
    *("small_decoded", "large_decoded", "handoffs", "steps", "large_steps", "drafted", "accepted", "seconds"),
)


def close(value: object) -> Any:
    return value if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)


def by_problem(values: Sequence[tuple[str, Any]]) -> list[list[Any]]:
    """The values of each problem."""
    return [[value for name, value in values if name == problem] for problem in sorted({name for name, _ in values})]


def design(groups: Sequence[Sequence[bool]]) -> float:
    """How many answers are worth an independent one."""
    total, right = sum(map(len, groups)), sum(map(sum, groups))
    if total == len(groups):
        return 1.0
    if len(groups) == 1 or right in (0, total):
        return total / len(groups)
    share = right / total
    spread = sum((sum(each) - share * len(each)) ** 2 for each in groups) * len(groups) / (len(groups) - 1)
    return max(1.0, spread / (total * share * (1 - share)))


def accuracy(groups: Sequence[Sequence[bool]]) -> Line | None:
    """Wilson's limits are the p with (share − p)² = z² p (1 − p) / n."""
    if not groups:
        return None
    n, share = sum(map(len, groups)) / design(groups), sum(map(sum, groups)) / sum(map(len, groups))
    a, b, c = 1 + Z * Z / n, -2 * share - Z * Z / n, share * share
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return {"value": share, "low": (-b - root) / (2 * a), "high": (-b + root) / (2 * a)}


def quantile(values: Sequence[float], share: float) -> float:
    values, place = sorted(values), share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def woodruff(groups: Sequence[Sequence[float]], share: float) -> Line | None:
    if not groups:
        return None
    values = sorted(value for each in groups for value in each)
    middle = quantile(values, share)
    effect = design([[value <= middle for value in each] for each in groups])
    error = Z * math.sqrt(share * (1 - share) * effect / len(values))
    low, high = (min(1.0, max(0.0, share + each)) * (len(values) - 1) for each in (-error, error))
    return {"value": middle, "low": values[math.floor(low)], "high": values[math.ceil(high)]}


@cache
def drawn(size: int) -> list[list[int]]:
    dice = np.random.default_rng(0)
    return [dice.integers(size, size=size).tolist() for _ in range(1_000)]


def bootstrap(groups: Sequence[Sequence[Sequence[float]]], figure: Callable[..., float | None]) -> Line | None:
    sums = [[sum(column) for column in zip(*each, strict=True)] for each in groups]

    def of(chosen: Sequence[Sequence[float]]) -> float | None:
        return figure(*map(sum, zip(*chosen, strict=True))) if chosen else None

    value = of(sums)
    if value is None:
        return None
    again = [each for draw in drawn(len(sums)) if (each := of([sums[index] for index in draw])) is not None] or [value]
    return {"value": value, "low": quantile(again, 0.025), "high": quantile(again, 0.975)}


def ratio(above: float, below: float) -> float | None:
    return above / below if below > 0 else None


def gap(arm: float, small: float, large: float) -> float | None:
    return (arm - small) / (large - small) if large > small else None


def exact_p(one: int, other: int) -> float:
    """The chance of all splits of the discordant problems that are no likelier than this one."""
    n = one + other
    splits = [math.comb(n, k) for k in range(n + 1)]
    return math.fsum(each for each in splits if each <= splits[one]) / 2.0**n


def answers_of(lines: Sequence[Line], arm: str) -> dict[tuple[str, int], Line]:
    rows = (line for line in lines if line["arm"] == arm)
    return {(line["id"], line["seed"]): line for line in rows if line["outcome"] in ("correct", "wrong", "unscored")}


def scored(answers: dict[tuple[str, int], Line]) -> dict[tuple[str, int], bool]:
    return {job: line["outcome"] == "correct" for job, line in answers.items() if line["outcome"] != "unscored"}


def alone(arms: Sequence[Line], arm: Line, model: str) -> str | None:
    """The arm of the small or the large model alone, with the same file as this arm."""
    policies = {"small": "never", "large": "always"}
    for each in arms:
        policy = each["settings"]["settings"]["policy"]["policy"]
        if policy == policies[model] and each["settings"][f"{model}_model"] == arm["settings"][f"{model}_model"]:
            return str(each["name"])
    return None


def counts(values: Sequence[Any]) -> dict[Any, int]:
    return {value: values.count(value) for value in set(values)}


def check_counts_and_costs(arm: Line, lines: list[Line]) -> None:
    rows, answers = [line for line in lines if line["arm"] == arm["name"]], answers_of(lines, arm["name"]).values()
    outcomes = [line["outcome"] for line in rows]
    told = {name: arm[name] for name in ("jobs", "done", "correct", "wrong", "unscored", "failed")}
    assert told == {
        "jobs": len(rows),
        "done": sum(line["state"] == "done" for line in rows),
        **{name: outcomes.count(name) for name in ("correct", "wrong", "unscored")},
        "failed": outcomes.count("error"),
    }
    assert {name: arm[name] for name in SUMS} == close({name: sum(line[name] for line in answers) for name in SUMS})
    spans = [span for line in answers for span in line["spans"]]
    written = [sum(span["tokens"] for span in spans if span["author"] == author) for author in ("small", "large")]
    assert [arm["small_tokens"], arm["large_tokens"]] == written
    assert arm["large_share"] == pytest.approx(written[1] / max(1, sum(written)), abs=1e-6)
    assert arm["money"] == close(sum(line["money"] for line in rows))
    assert arm["remote_tokens"] == sum(line["remote_tokens"] for line in rows)
    assert arm["currency"] == ("EUR" if any(line["currency"] for line in rows) else "")
    number, seconds = max(1, len(answers)), sum(line["seconds"] for line in answers)
    assert arm["tokens_per_answer"] == close(sum(written) / number)
    assert arm["seconds_per_answer"] == close(seconds / number)
    assert arm["money_per_answer"] == close(arm["money"] / number)
    assert arm["tokens_per_second"] == close(sum(written) / seconds if seconds else 0)
    began = (
        span["reason"]
        for line in answers
        for before, span in zip([None, *line["spans"]], line["spans"], strict=False)
        if span["reason"] and (before is None or before["author"] != "large")
    )
    assert arm["takeovers"] == counts(list(began))
    assert arm["errors"] == counts([line["error"] for line in rows if line["error"]])
    assert arm["notices"] == counts([notice for line in rows for notice in line["notices"]])


def check_seconds(arm: Line, lines: list[Line]) -> None:
    answers = answers_of(lines, arm["name"]).values()
    for name, field in (("seconds_to_end", "seconds"), ("seconds_to_answer", "seconds_to_answer")):
        groups = by_problem([(line["id"], line[field]) for line in answers if line[field] is not None])
        assert (arm[name] or {}).get("p50") == close(woodruff(groups, 0.5))
        assert (arm[name] or {}).get("p95") == close(woodruff(groups, 0.95))
    setups = [(line["conditions"]["parallel"], line["conditions"]["threads"]) for line in answers]
    assert {(parallel, threads): count for parallel, threads, count in arm["conditions"]["setups"]} == counts(setups)
    seconds = sum(line["seconds"] for line in answers)
    load = sum(line["conditions"]["other_load"] * line["seconds"] for line in answers)
    assert arm["conditions"]["seconds"] == close(seconds)
    assert arm["conditions"]["other_load"] == close(load / seconds if seconds else 0)


def check_against_baselines(arm: Line, arms: list[Line], lines: list[Line]) -> None:
    small, large = alone(arms, arm, "small"), alone(arms, arm, "large")
    own = answers_of(lines, arm["name"])
    expected = None
    if large:
        other = answers_of(lines, large)
        jobs = own.keys() & other.keys()
        times = by_problem([(job[0], (own[job]["seconds"], other[job]["seconds"])) for job in jobs])
        expected = bootstrap(times, ratio)
    assert arm["time_ratio"] == close(expected)
    recovered, advice = None, ""
    if small and large:
        marks = [scored(answers) for answers in (own, answers_of(lines, small), answers_of(lines, large))]
        jobs = set.intersection(*map(set, marks))
        recovered = bootstrap(by_problem([(job[0], [each[job] for each in marks]) for job in jobs]), gap)
        is_pair = arm["name"] not in (small, large) and not arm["settings"]["equal_share_of"]
        if recovered and is_pair:
            found = [accuracy(by_problem([(job[0], each[job]) for job in jobs])) for each in marks]
            pair, low, high = (each or {} for each in found)
            if max(pair["high"], low["high"]) < high["low"]:
                nothing = low["high"] < 0.1
                advice = "next to nothing right" if nothing else "recovers nothing" if recovered["value"] <= 0 else ""
    assert arm["gap_recovered"] == close(recovered)
    assert advice in arm["advice"]
    assert bool(advice) is bool(arm["advice"])


def newcombe(one: list[list[bool]], other: list[list[bool]]) -> Line:
    """Square and add, with the correlation of the problems' means."""
    first, second = ([sum(each) / len(each) for each in groups] for groups in (one, other))
    n = len(first)
    means = sum(first) / n, sum(second) / n
    covariance = sum((a - means[0]) * (b - means[1]) for a, b in zip(first, second, strict=True)) / n
    spread = math.sqrt(sum((a - means[0]) ** 2 for a in first) / n * sum((b - means[1]) ** 2 for b in second) / n)
    r = 0.0
    if spread:
        r = max(-1.0, min(1.0, (max(covariance - 1 / (2 * n), 0.0) if covariance > 0 else covariance) / spread))
    x, y = accuracy(one) or {}, accuracy(other) or {}
    down = (y["value"] - y["low"], x["high"] - x["value"])
    up = (y["high"] - y["value"], x["value"] - x["low"])
    below, above = (math.sqrt(max(0.0, a * a - 2 * r * a * b + b * b)) for a, b in (down, up))
    value = means[1] - means[0]
    return {"value": value, "low": value - below, "high": value + above}


def check_comparisons(report: Line, lines: list[Line]) -> None:
    told = {(each["first"], each["second"]): each for each in report["comparisons"]}
    found = {}
    for first, second in combinations([arm["name"] for arm in report["arms"]], 2):
        one, other = scored(answers_of(lines, first)), scored(answers_of(lines, second))
        jobs = one.keys() & other.keys()
        firsts, seconds = (by_problem([(job[0], marks[job]) for job in jobs]) for marks in (one, other))
        if not jobs:
            continue
        pairs = list(zip(map(sum, firsts), map(sum, seconds), strict=True))
        better = sum(a > b for a, b in pairs), sum(b > a for a, b in pairs)
        p = exact_p(*better)
        found[first, second] = p
        each = told[first, second]
        assert (each["better_first"], each["better_second"], each["problems"]) == (*better, len(pairs))
        assert each["p"] == close(p)
        expected = newcombe(firsts, seconds)
        assert each["difference"] == close(expected)
        assert bool(each["remark"]) is ((expected["low"] > 1e-12 or expected["high"] < -1e-12) is not (p < 0.05))
    assert told.keys() == found.keys()
    for pair, p in found.items():
        before = sorted(found.values())
        steps = [min(1.0, (len(before) - rank) * each) for rank, each in enumerate(before) if each <= p]
        assert told[pair]["adjusted_p"] == close(max(steps))


def check_whether_seconds_compare(report: Line, lines: list[Line]) -> None:
    arms = [answers for arm in report["arms"] if (answers := answers_of(lines, arm["name"]).values())]
    conditions = [[line["conditions"] for line in answers] for answers in arms]
    ways = [[(each["parallel"], max(1, each["threads"])) for each in found] for found in conditions]
    shares = [[found.count(way) / len(found) for found in ways] for way in {way for found in ways for way in found}]
    times = [[line["seconds"] for line in answers] for answers in arms]
    weighted = [[line["conditions"]["other_load"] * line["seconds"] for line in answers] for answers in arms]
    loads = [sum(load) / sum(seconds) for load, seconds in zip(weighted, times, strict=True) if sum(seconds) >= 5]
    differ = any(max(each) - min(each) > 0.1 for each in [*shares, *([loads] if loads else [])])
    assert bool(report["not_comparable"]) is differ


@settings(max_examples=40, deadline=None)
@given(random_batches())
def test_plain_loops_over_the_lines_find_every_figure(batch):
    lines, report = batch.lines(), json.loads(batch.report().model_dump_json(by_alias=True))
    assert sorted({line["id"] for line in lines}) == sorted(report["problem_ids"])
    for arm in report["arms"]:
        check_counts_and_costs(arm, lines)
        check_seconds(arm, lines)
        marks = scored(answers_of(lines, arm["name"]))
        assert arm["accuracy"] == close(accuracy(by_problem([(job[0], right) for job, right in marks.items()])))
        check_against_baselines(arm, report["arms"], lines)
    if main := next((arm for arm in report["arms"] if arm["name"] == report["main"]), None):
        told = [report[name] or None for name in ("small_alone", "large_alone")]
        assert told == [alone(report["arms"], main, model) for model in ("small", "large")]
    check_comparisons(report, lines)
    check_whether_seconds_compare(report, lines)


@settings(max_examples=25, deadline=None)
@given(random_batches(), st.integers(0, 99))
def test_rows_in_any_order_give_the_same_report(batch, seed):
    shuffled = Random(seed).sample(batch.rows, len(batch.rows))
    assert batch.report(shuffled).model_dump_json() == batch.report().model_dump_json()
