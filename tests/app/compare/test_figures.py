"""Names of arms, figures and verdicts, in words."""

from __future__ import annotations

import pytest

from baton_reasoning.app.compare.figures import figures, standing_text
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.demo_pair import DEMO_SETTINGS
from baton_reasoning.core.grading.grader import Standing
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.labels import title_of
from baton_reasoning.core.words.numbers import percent_more, times_as_many
from tests.core.thinking.running import keywords, run

UNSCORED = Outcome.UNSCORED
TITLES = ["Small only", "Keywords", "Large only"]


@pytest.mark.parametrize("base", [RunSettings(), DEMO_SETTINGS])
@pytest.mark.parametrize(
    ("recipe", "titles"),
    [
        ("small", ["Small only"]),
        ("large", ["Large only"]),
        ("baton", ["Keywords"]),
        ("first-token-entropy", ["First-token entropy"]),
        ("one-cue", ["Keywords, one cue per class on"]),
        ("opening", ["Keywords, opening 100", "Keywords"]),
    ],
)
def test_an_arm_is_called_by_what_sets_it_apart(base: RunSettings, recipe: str, titles: list[str]) -> None:
    assert [title_of(arm.settings) for arm in arms_of([recipe], base)] == titles


def test_presets_are_known_by_name_own_cues_are_named_and_many_differences_are_cut_short() -> None:
    assert [title_of(arm.settings) for arm in arms_of(["paper", "reference"], RunSettings())] == [
        "Keywords (paper)",
        "Keywords (reference)",
    ]
    assert title_of(RunSettings(cue_list='{"reflection": ["Hm"]}')) == "Keywords, own cues"
    c = arms_of(["c"], RunSettings())[0]
    assert title_of(c.settings) == "Keywords, reflections allowed 3, takeover growth 0, …"


@pytest.mark.parametrize(
    ("value", "first", "words"),
    [(112, 100, "+12%"), (84, 100, "−16%"), (100, 100, "±0%"), (5, 0, ""), (3000, 1, "+299,900%")],
)
def test_tokens_are_compared_in_percent(value: int, first: int, words: str) -> None:
    assert percent_more(value, first) == words


@pytest.mark.parametrize(
    ("value", "first", "words"), [(0.6, 1.0, "0.6×"), (21.0, 10.0, "2.1×"), (140, 10, "14×"), (1, 0, "")]
)
def test_times_are_compared_as_ratios(value: float, first: float, words: str) -> None:
    assert times_as_many(value, first) == words


def test_figures_of_the_first_column_are_compared_with_nothing() -> None:
    trace = run(keywords(), ["One two three.</think>\n\n4"]).trace
    assert all(not figure.difference for figure in figures(trace, None))
    longer = run(keywords(), ["One two three four five six.</think>\n\n4"]).trace
    compared = {figure.name: figure.difference for figure in figures(longer, trace)}
    assert compared["Tokens"] == percent_more(longer.tokens, trace.tokens)
    assert compared["Time"].endswith("×")
    unknown = {figure.name: figure.difference for figure in figures(longer, trace, times_are_known=False)}
    assert unknown["Time"] == ""
    assert [figure.name for figure in figures(Trace(), None)] == ["Tokens", "Takeovers"]


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (Standing("4", Outcome.CORRECT, ()), "✓ right"),
        (Standing("5", Outcome.WRONG, (1,)), "✗ wrong"),
        (Standing(None, Outcome.WRONG, ()), "✗ no answer"),
        (Standing(None, UNSCORED, ()), "no answer"),
        (Standing("4", UNSCORED, (1, 2)), "= all agree"),
        (Standing("4", UNSCORED, (2,)), "= as Large only"),
        (Standing("4", UNSCORED, ()), "≠ differs"),
    ],
)
def test_a_verdict_has_a_sign_and_a_word(standing: Standing, words: str) -> None:
    assert standing_text(standing, TITLES) == words


def test_two_that_agree_are_not_called_all() -> None:
    assert standing_text(Standing("4", UNSCORED, (1,)), TITLES[:2]) == "= they agree"
