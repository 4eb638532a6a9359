"""Every figure of a report follows from the lines of results.jsonl: plain loops over random batches find the same.

Nothing of that uses the formulas of the report, which are held against published values below.
"""

import json
import math
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from itertools import combinations
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baton_reasoning.core.analysis.run_cost import RunCost
from baton_reasoning.core.batch.reporting import tables
from baton_reasoning.core.batch.reporting.report import build_report
from baton_reasoning.core.batch.reporting.results import ExportedResult
from baton_reasoning.core.batch.reporting.statistics import (
    bootstrap,
    clustered_accuracy,
    difference,
    mcnemar_exact,
    quantile,
    ratio_of_sums,
)
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.engines.base import Handoff
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.grading.verdict import GradingMethod, Verdict
from baton_reasoning.core.intervals import Estimate, wilson
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.batches import Batch, Conditions, JobState, ResultRow
from baton_reasoning.core.table import NOTHING
from baton_reasoning.core.thinking.events import Finish, HandedOver, TakeoverEnded, TakeoverStarted, WriteStarted
from baton_reasoning.core.thinking.trace import Trace
from tests.core.batch.counting import problems
from tests.core.store.made import tokens
from tests.tiers import size

Z = 1.959963984540054
SUMS = (
    "small_tokens large_tokens discarded_tokens small_read large_read small_recomputed large_recomputed "
    "small_decoded large_decoded handoffs steps large_steps drafted accepted seconds"
).split()
ERRORS = ("The server is gone.", "The key was refused.", "The disk is full.")
SIGNS = {"+": True, "-": False, "?": None}


@st.composite
def random_batches(draw):
    """A batch, its problems, its rows, and the lines of its results.jsonl."""
    recipes = draw(st.lists(st.sampled_from(["small", "large", "baton", "cascade", "random"]), min_size=1, unique=True))
    arms = arms_of(recipes, RunSettings(), draw(st.sampled_from([[], ["B.gguf"]])))
    count, seeds = draw(st.integers(1, 6)), draw(st.sampled_from([(0,), (3, 4), (0, 7, 10_007)]))
    jobs = [(arm, position, seed) for position in range(count) for arm in arms for seed in seeds]
    kinds = draw(st.lists(st.sampled_from("+++--?!."), min_size=len(jobs), max_size=len(jobs)))
    setups = draw(st.sampled_from([[(8, 2)], [(8, 2), (1, 2), (8, 0)]]))
    dice = Random(draw(st.integers(0, 99)))
    found, rows, lines = problems(count), [], []
    for number, ((arm, position, seed), kind) in enumerate(zip(jobs, kinds, strict=True)):
        trace = Trace() if kind in "!." else Trace.of(_text(arm.name, dice))
        verdict = None if kind in "!." else Verdict.of(SIGNS[kind], GradingMethod.EXACT, "")
        parallel, threads = dice.choice(setups)
        row = ResultRow(
            *(number, f"run{number}", arm.name, position, seed, JobState.WAITING if kind == "." else JobState.DONE),
            *(dice.choice(["", "4"]), verdict, dice.choice(ERRORS) if kind == "!" else ""),
            None if kind in "!." else dice.choice(list(Finish)),
            RunCost() if kind == "." else _cost(trace, dice, has_answer=kind != "!"),
            notices=tuple(dice.sample(["Slow.", "Restarted."], dice.randrange(3))),
            conditions=None if kind in "!." else Conditions(parallel=parallel, threads=threads),
        )
        rows.append(row)
        lines.append(json.loads(ExportedResult.of("b", found[position], row, trace).model_dump_json(by_alias=True)))
    shares = {arm.name: 0.3 for arm in arms if arm.equal_share_of}
    stored = BatchSettings(seed_numbers=seeds, shares=shares).stored(), tuple(arm.stored() for arm in arms)
    done = sum(row.state is JobState.DONE for row in rows)
    return Batch("b", "random", *stored, count, len(rows), done, datetime.now(UTC)), found, rows, lines


def _text(arm, dice):
    """Write a text by one model, or by the small one with takeovers."""
    only = Author.LARGE if arm.startswith("large") else Author.SMALL
    yield from _written(only, None, dice)
    for _ in range(0 if arm.startswith(("small", "large")) else dice.randrange(3)):
        reason = dice.choice(["reflection", "random"])
        yield TakeoverStarted(0.0, reason, None, 4, 0)
        yield from _written(Author.LARGE, reason, dice)
        yield TakeoverEnded(0.0, 4)
        yield from _written(Author.SMALL, None, dice)


def _written(author, reason, dice):
    yield WriteStarted(0.0, author, reason, 0)
    yield HandedOver(0.0, author, Handoff(0, dice.randrange(50), 0.0))
    yield from tokens(author, dice.choices(["one ", "two.\n\n"], k=dice.randint(1, 6)))


def _cost(trace, dice, *, has_answer):
    """Return the cost of a text, with random figures where nothing is read from the text."""
    named = {name for name in SUMS if name.endswith(("read", "recomputed", "decoded"))}
    named |= {"discarded_tokens", "drafted", "accepted", "remote_tokens"}
    counts = {name: dice.randrange(40) for name in sorted(named)}
    money = round(dice.random(), 4) if dice.random() < 0.5 else 0.0
    to_end, to_answer = (round(dice.uniform(0.1, 9), 3) for _ in range(2))
    figures = {
        "seconds": to_end if has_answer else 0.0,
        "seconds_to_answer": to_answer if has_answer and dice.random() < 0.7 else None,
        "money": money,
        "currency": "EUR" if money else "",
    }
    return RunCost.of(trace).model_copy(update=counts | figures)


def close(value):
    return value if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)


def by_problem(values):
    """The values of each problem."""
    return [[value for name, value in values if name == problem] for problem in sorted({name for name, _ in values})]


def design(groups):
    """How many answers are worth an independent one, with z²/2 problems more that are always solved or never."""
    usual = sum(map(len, groups)) / len(groups)
    counts = [(1.0, sum(each), len(each)) for each in groups] + [(Z * Z / 2, usual, usual), (Z * Z / 2, 0, usual)]
    share = sum(weight * right for weight, right, _ in counts) / sum(weight * number for weight, _, number in counts)
    spread = sum(weight * (right - share * number) ** 2 for weight, right, number in counts)
    return max(1.0, spread / sum(weight * number * share * (1 - share) for weight, _, number in counts))


def accuracy(groups):
    """Wilson's limits are the p with (share − p)² = z² p (1 − p) / n."""
    if not groups:
        return None
    n, share = sum(map(len, groups)) / design(groups), sum(map(sum, groups)) / sum(map(len, groups))
    a, b, c = 1 + Z * Z / n, -2 * share - Z * Z / n, share * share
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return {"value": share, "low": (-b - root) / (2 * a), "high": (-b + root) / (2 * a)}


def woodruff(groups, share):
    if not groups:
        return None
    values = sorted(value for each in groups for value in each)
    middle = float(np.quantile(values, share))
    effect = design([[value <= middle for value in each] for each in groups])
    error = Z * math.sqrt(share * (1 - share) * effect / len(values))
    low, high = (min(1.0, max(0.0, share + each)) * (len(values) - 1) for each in (-error, error))
    return {"value": middle, "low": values[math.floor(low)], "high": values[math.ceil(high)]}


@cache
def drawn(size):
    dice = np.random.default_rng(0)
    return [dice.integers(size, size=size).tolist() for _ in range(1_000)]


def resampled(groups, figure):
    sums = [[sum(column) for column in zip(*each, strict=True)] for each in groups]

    def of(chosen):
        return figure(*map(sum, zip(*chosen, strict=True))) if chosen else None

    value = of(sums)
    if value is None:
        return None
    again = [each for draw in drawn(len(sums)) if (each := of([sums[index] for index in draw])) is not None] or [value]
    low, high = map(float, np.quantile(again, (0.025, 0.975)))
    return {"value": value, "low": low, "high": high}


def ratio(above, below):
    return above / below if below > 0 else None


def gap(arm, small, large):
    return (arm - small) / (large - small) if large > small else None


def exact_p(one, other):
    """The chance of all splits of the discordant problems that are no likelier than this one."""
    n = one + other
    splits = [math.comb(n, k) for k in range(n + 1)]
    return math.fsum(each for each in splits if each <= splits[one]) / 2.0**n


def answers_of(lines, arm):
    rows = (line for line in lines if line["arm"] == arm)
    return {(line["id"], line["seed"]): line for line in rows if line["outcome"] in ("correct", "wrong", "unscored")}


def scored(answers):
    return {job: line["outcome"] == "correct" for job, line in answers.items() if line["outcome"] != "unscored"}


def alone(arms, arm, model):
    """The arm of the small or the large model alone, with the same file as this arm."""
    policies = {"small": "never", "large": "always"}
    for each in arms:
        policy = each["settings"]["settings"]["policy"]["policy"]
        if policy == policies[model] and each["settings"][f"{model}_model"] == arm["settings"][f"{model}_model"]:
            return str(each["name"])
    return None


def check_counts_and_costs(arm, lines):
    rows, answers = [line for line in lines if line["arm"] == arm["name"]], answers_of(lines, arm["name"]).values()
    outcomes = [line["outcome"] for line in rows]
    told = {name: arm[name] for name in ("jobs", "done", "correct", "wrong", "unscored", "failed")}
    assert told == {
        "jobs": len(rows),
        "done": sum(line["state"] == "done" for line in rows),
        **{name: outcomes.count(name) for name in ("correct", "wrong", "unscored")},
        "failed": outcomes.count("error"),
    }
    limits = {"max tokens", "time limit", "context full"}
    assert arm["cut_off"] == sum(line["finish"] in limits for line in answers)
    assert arm["no_answer"] == sum(line["answer"] == "" for line in answers)
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
    assert arm["takeovers"] == Counter(began)
    assert arm["errors"] == Counter(line["error"] for line in rows if line["error"])
    assert arm["notices"] == Counter(notice for line in rows for notice in line["notices"])


def check_seconds(arm, lines):
    answers = answers_of(lines, arm["name"]).values()
    for name, field in (("seconds_to_end", "seconds"), ("seconds_to_answer", "seconds_to_answer")):
        groups = by_problem([(line["id"], line[field]) for line in answers if line[field] is not None])
        assert (arm[name] or {}).get("p50") == close(woodruff(groups, 0.5))
        assert (arm[name] or {}).get("p95") == close(woodruff(groups, 0.95))
    setups = [(line["conditions"]["parallel"], line["conditions"]["threads"]) for line in answers]
    assert {(parallel, threads): count for parallel, threads, count in arm["setups"]} == Counter(setups)


def check_against_baselines(arm, arms, lines):
    small, large = alone(arms, arm, "small"), alone(arms, arm, "large")
    own = answers_of(lines, arm["name"])
    expected = None
    if large:
        other = answers_of(lines, large)
        jobs = own.keys() & other.keys()
        times = by_problem([(job[0], (own[job]["seconds"], other[job]["seconds"])) for job in jobs])
        expected = resampled(times, ratio)
    assert arm["time_ratio"] == close(expected)
    recovered, advice = None, ""
    if small and large:
        marks = [scored(answers) for answers in (own, answers_of(lines, small), answers_of(lines, large))]
        jobs = set.intersection(*map(set, marks))
        recovered = resampled(by_problem([(job[0], [each[job] for each in marks]) for job in jobs]), gap)
        is_pair = arm["name"] not in (small, large) and not arm["settings"]["equal_share_of"]
        if recovered and is_pair:
            found = [accuracy(by_problem([(job[0], each[job]) for job in jobs])) for each in marks]
            pair, low, high = (each or {} for each in found)
            if max(pair["high"], low["high"]) < high["low"]:
                nothing = low["high"] < 0.1
                advice = "falls far short" if nothing or recovered["value"] <= 0 else ""
    assert arm["gap_recovered"] == close(recovered)
    assert advice in arm["advice"]
    assert bool(advice) is bool(arm["advice"])


def newcombe(one, other):
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


def check_comparisons(report, lines):
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
        assert each["difference"] == close(newcombe(firsts, seconds))
    assert told.keys() == found.keys()
    for pair, p in found.items():
        before = sorted(found.values())
        steps = [min(1.0, (len(before) - rank) * each) for rank, each in enumerate(before) if each <= p]
        assert told[pair]["adjusted_p"] == close(max(steps))


def check_whether_seconds_compare(report, lines):
    arms = [answers for arm in report["arms"] if (answers := answers_of(lines, arm["name"]).values())]
    conditions = [[line["conditions"] for line in answers] for answers in arms]
    ways = [[(each["parallel"], max(1, each["threads"])) for each in found] for found in conditions]
    shares = [[found.count(way) / len(found) for found in ways] for way in {way for found in ways for way in found}]
    differ = any(max(each) - min(each) > 0.1 for each in shares)
    assert bool(report["not_comparable"]) is differ


def check_tables(report, lines):
    """The table of what an answer took has the means of each arm with answers."""
    took = [table for table in tables.more_tables(report) if table.title == "What an answer took"]
    for table in took:
        for arm, row in zip(report.arms, table.rows, strict=True):
            answers = answers_of(lines, arm.name).values()
            recomputed = sum(line["small_recomputed"] + line["large_recomputed"] for line in answers)
            sums = {
                "tokens": sum(span["tokens"] for line in answers for span in line["spans"]),
                "discarded": sum(line["discarded_tokens"] for line in answers),
                "first read": sum(line["small_read"] + line["large_read"] for line in answers) - recomputed,
                "read again": recomputed,
            }
            told = dict(zip(table.headings, row, strict=True))
            for title, total in sums.items():
                assert told.get(title, NOTHING) == (f"{total / len(answers):,.0f}" if answers else NOTHING)


@pytest.mark.slow
@pytest.mark.scaled
@settings(max_examples=size(40, long=1_000))
@given(random_batches())
def test_plain_loops_over_the_lines_find_every_figure_in_whatever_order_they_come(random_batch):
    batch, found, rows, lines = random_batch
    made = build_report(batch, found, rows)
    assert build_report(batch, found, rows[::-1]).model_dump_json() == made.model_dump_json()
    check_tables(made, lines)
    report = json.loads(made.model_dump_json(by_alias=True))
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


# Published values


def test_wilson_and_mcnemar_have_published_values():
    """Newcombe 1998, table 1; Bentur et al. 2009 and Cavo et al. 2012, in Fagerland et al. 2014."""
    published = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0.0, 0.1611)}
    for counts, limits in published.items():
        assert wilson(*counts).interval == pytest.approx(limits, abs=5e-5)
    assert wilson(20, 20).high == 1.0
    for impossible in ((1, 0), (0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="trials"):
            wilson(*impossible)
    for discordant, p in {(1, 7): 0.0703, (6, 16): 0.0525, (0, 0): 1.0, (2400, 2600): 0.00487}.items():
        assert mcnemar_exact(*discordant) == mcnemar_exact(*discordant[::-1]) == pytest.approx(p, abs=5e-5)


@pytest.mark.scaled
@settings(max_examples=size(200, long=2_000))
@given(st.data(), st.integers(1, 40), st.integers(1, 10))
def test_one_more_right_answer_never_lowers_the_ends_of_an_interval(data, count, seeds):
    """Whether the arm is perfect then or not: 120 of 120 is no less certain than 119."""
    chances = [0.0, *data.draw(st.lists(st.floats(0, 1), min_size=1, max_size=4)), 1.0]
    dice = Random(data.draw(st.integers(0, 999)))
    problems = [[dice.random() < chance for _ in range(seeds)] for chance in dice.choices(chances, k=count)]

    def found():
        estimate = clustered_accuracy(problems)
        assert estimate
        return estimate

    wrong = [(at, seed) for at, each in enumerate(problems) for seed, right in enumerate(each) if not right]
    dice.shuffle(wrong)
    before = found()
    for at, seed in wrong:
        problems[at][seed] = True
        after = found()
        assert after.low >= before.low - 1e-12
        assert after.high >= before.high - 1e-12
        before = after
    assert before.low == pytest.approx(wilson(count, count).low), "answers that are all alike count once a problem"


@pytest.mark.parametrize(
    ("counts", "value", "low", "high"),
    [
        # Cavo et al. 2012, in Fagerland, Lydersen & Laake, Statistical Analysis of Contingency Tables, chapter 8
        ((59, 6, 16, 80), 0.0621, 0.0046, 0.1186),
        # Altman et al. 2000, Statistics with Confidence, table 6.2
        ((14, 5, 0, 22), -0.122, -0.226, -0.011),
    ],
)
def test_a_paired_difference_has_newcombes_published_interval_whatever_the_seeds_repeat(counts, value, low, high):
    """`counts`: problems that both solve, only the first, only the second, neither. Three seeds are worth one."""
    kinds = [(True, True), (True, False), (False, True), (False, False)]
    pairs = [kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]
    once, thrice = (difference([([one] * seeds, [other] * seeds) for one, other in pairs]) for seeds in (1, 3))
    assert once
    assert thrice
    assert (once.difference.value, *once.difference.interval) == pytest.approx((value, low, high), abs=5e-4)
    assert thrice.difference.interval == pytest.approx(once.difference.interval, abs=0.005)


def test_the_interval_of_a_median_is_that_of_the_binomial_distribution():
    """Of 100 values in order, the 40th and the 61st hold the median with 96.5% (Conover 1999, chapter 3.2)."""
    found = quantile([[float(number)] for number in range(1, 101)], 0.5)
    assert found
    assert (found.value, *found.interval) == (50.5, 40, 61)
    assert quantile([[7.0]], 0.95) == Estimate(7.0, 7.0, 7.0)
    assert quantile([[]], 0.5) is None
    assert ratio_of_sums([(1.0, 0.0)]) is None
    assert bootstrap([[1.0, 1.0], [1.0, 0.0]], lambda sums: sums[0] / sums[1] if sums[1] else None) == Estimate(2, 1, 2)
