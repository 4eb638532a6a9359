"""The paper's three rules, and every row of the table in which the three presets differ."""

from __future__ import annotations

from typing import TypeVar

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost, SettingsError
from baton_reasoning.core.thinking.cue_rules import EXCESSIVE_REFLECTION, VERIFICATION, CueSettings
from baton_reasoning.core.thinking.cues import Category, Lexicon
from baton_reasoning.core.thinking.events import (
    CountersChanged,
    TakeoverEnded,
    TakeoverStarted,
    TextDiscarded,
    TextInserted,
)
from baton_reasoning.core.thinking.interruptions import Limits, LimitsGuard
from baton_reasoning.core.thinking.policies.every_step import EveryStep
from baton_reasoning.core.thinking.policies.keywords import AFFIRMATION, REFLECTION, Keywords
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.policy import Advice, PolicyContext
from baton_reasoning.core.thinking.reasons import ANSWER, OPENING, REPETITION
from baton_reasoning.core.thinking.registry import POLICIES, advice_on
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.steps import Boundary
from tests.core.thinking.running import Run, keywords, rules, run
from tests.fakes.scripted import Fault, ScriptedEngine, single_bytes

LONG = "word " * 200
BLOCK = "```\none\n\nwait, check\n```\n\nSo.</think>"
PAPER, REFERENCE, BATON = (Keywords.presets[name] for name in ("paper", "reference", "baton"))
every_preset = pytest.mark.parametrize("preset", Keywords.presets.values(), ids=Keywords.presets)
S = TypeVar("S", bound=CueSettings)


def with_(settings: S, **changes: object) -> S:
    return settings.model_copy(update=changes)


def by_preset(name: str, **expected: object) -> pytest.MarkDecorator:
    """The test runs with each preset; `name` is what is expected there."""
    rows = [(Keywords.presets[preset], value) for preset, value in expected.items()]
    return pytest.mark.parametrize(("preset", name), rows, ids=expected)


# The three rules


@pytest.mark.parametrize(("word", "rule"), [("Wait", REFLECTION), ("Yes", AFFIRMATION)])
def test_a_cue_after_a_boundary_gives_the_sentence_to_the_large_model(word, rule):
    done = run(keywords(with_(BATON, n1=2)), [f"One.\n\n{word}, hm", " End.</think>"], ["It is two. And"])
    assert done.told[:3] == [("small", "One.\n\n"), ("large", "It is two."), ("small", " End.</think>")]
    assert rules(done) == [rule]
    assert done.all(TakeoverStarted)[0].tokens == 2


def test_a_statement_stays_with_the_small_model():
    done = run(keywords(BATON), ["One.\n\nTwo is next.\n\nThree.</think>4"])
    assert rules(done) == []
    assert done.trace.large_share == 0


def test_cues_before_the_first_boundary_are_not_looked_at():
    assert rules(run(keywords(BATON), ["Wait, yes, check.\n\nOne.</think>"])) == []


def test_a_verification_cue_in_what_the_large_model_wrote_gives_it_n2_tokens_more():
    settings = with_(BATON, n1=3, n2=4)
    done = run(
        keywords(settings), ["One.\n\nWait, hm", " End.</think>"], ["Let us verify it. No", " It is so: four. No"]
    )
    assert rules(done) == [REFLECTION, VERIFICATION]
    assert done.trace.text == "One.\n\nLet us verify it. It is so: four. End.</think>"


PROVE = Lexicon({Category.REFLECTION: {"wait": ()}, Category.VERIFICATION: {"prove": ()}})


@every_preset
def test_a_word_that_only_verifies_brings_a_takeover_as_well(preset):
    """The authors classify with the negative and the verifying words together."""
    done = run(
        Keywords(with_(preset, n1=4, n2=2), PolicyContext(lexicon=PROVE)),
        ["One.\n\nLet us prove it. No", " End.</think>"],
        ["So we prove it. No", " It holds. No"],
    )
    assert rules(done) == [REFLECTION, VERIFICATION]


@every_preset
def test_verification_reads_what_the_large_model_wrote(preset):
    done = run(keywords(with_(preset, n1=4)), ["One.\n\nWait, check it", " End.</think>"], ["So it is. And"])
    assert rules(done) == [REFLECTION]


@every_preset
@pytest.mark.parametrize(("small", "large", "counted"), [("Wait, no", "So it is", 0), ("Yes, so", "Wait, no", 1)])
def test_the_sentence_that_stands_is_counted_by_its_own_sign(preset, small, large, counted):
    """Not the lookahead, which was discarded."""
    settings = with_(preset, n1=4, stop_at_first_cue=False)
    policy = keywords(settings)
    run(policy, [f"One.\n\n{small}, it is", " End.</think>"], [f"{large}, it is."])
    assert policy.counters["reflections"] == counted


# Surprises that the default preset spares a person


@pytest.mark.parametrize(
    "step", ["    wait()\n\nSo.</think>", "```\nwait\n```\n\nSo.</think>", "### Verification\n\nSo.</think>", BLOCK]
)
def test_cues_in_code_and_headings_bring_no_takeover(step):
    assert rules(run(keywords(BATON), [f"One.\n\n{step}"])) == []


@pytest.mark.parametrize("step", ["See e.g. wait, no", "By eq. (3), let us verify"])
def test_an_abbreviation_does_not_end_the_lookahead(step):
    done = run(keywords(BATON), [f"One.\n\n{step} it", " End.</think>"], ["So it is. And"])
    assert rules(done)[:1] == [REFLECTION]


def test_a_large_model_with_nothing_to_write_hands_back():
    done = run(keywords(BATON), ["One.\n\nWait, no", "Two.</think>Four."], [""])
    assert done.trace.text == "One.\n\nTwo.</think>Four.", "the small one writes the sentence after all"
    assert done.trace.large_share == 0


def test_a_closing_tag_that_is_only_mentioned_closes_nothing():
    done = run(keywords(BATON), ["The tag `</think>` ends it.\n\nSo.</think>Four."])
    assert done.trace.answer == "Four."


@every_preset
def test_row_closing_tag_inside_a_lookahead_does_not_hide_the_cue_before_it(preset):
    small = ["One.\n\nYes, I am confident\n</think>\n\nIt is four now.", " End.</think>"]
    done = run(keywords(with_(preset, n1=12, stop_at_first_cue=False)), small, ["So it is. And"])
    assert rules(done)
    assert "confident" not in done.trace.text


@by_preset(
    "writers",
    paper=["small", "large", "small"],
    reference=["small", "large", "small"],
    baton=["small", "large", "large", "small"],
)
def test_row_a_takeover_that_ends_at_a_boundary(preset, writers):
    """Decided there and then by ours; the small model writes its next step first in the others."""
    large = [["So", ".\n\n"], ["And", ".\n\n"]]
    done = run(keywords(with_(preset, n1=2)), ["One.\n\nWait, no", "Wait, so", "Then.</think>"], large)
    assert [span.author.value for span in done.trace.pieces][: len(writers)] == writers


@by_preset("writes", paper=1, reference=2, baton=1)
def test_row_a_statement_lookahead_that_ends_the_text(preset, writes):
    """Kept, or sampled again."""
    small = ScriptedEngine("One.\n\nTwo is it", "Three is it", thinking=None)
    run(keywords(preset), small, ScriptedEngine(name="large", thinking=None))
    assert len(small.calls) == writes


@by_preset("detects", paper=False, reference=False, baton=True)
def test_row_loop_detector(preset, detects):
    assert keywords(preset).stops_repetition is detects


def endless_reflection(settings: Keywords.Settings, max_tokens: int = 2200) -> Run:
    """Both models reflect in every sentence."""
    return run(
        keywords(settings),
        ScriptedEngine(continue_with=lambda *_: "Wait, hm.\n\n" * 50),
        ScriptedEngine(continue_with=lambda *_: "Wait, so it is.\n\n" * 200, name="large"),
        RunSettings(max_tokens=max_tokens),
    )


def between_firings(done: Run) -> list[int]:
    """Reflections before each insertion of the auxiliary prompt."""
    counts = [0]
    for event in done.trace.events:
        if isinstance(event, TextInserted):
            counts.append(0)
        elif isinstance(event, TakeoverStarted) and event.reason == REFLECTION.id:
            counts[-1] += 1
    return counts[:-1]


def test_too_many_reflections_insert_the_auxiliary_prompt_and_n3_tokens_of_the_large_model():
    done = endless_reflection(with_(PAPER, n1=2, n3=7, c=3), max_tokens=150)
    first = done.all(TextInserted)[0]
    after = next(piece for piece in done.trace.pieces if piece.reason == EXCESSIVE_REFLECTION.id and piece.tokens)
    assert first.reason == EXCESSIVE_REFLECTION.id
    assert after.author is Author.LARGE
    assert (after.takeover and after.takeover.tokens) == 7


def test_the_counter_is_recorded_and_goes_back_to_zero():
    done = endless_reflection(with_(REFERENCE, n1=2, n3=5, c=3), max_tokens=100)
    counted = [
        (event.counters["reflections"], event.counters["reflections allowed"]) for event in done.all(CountersChanged)
    ]
    assert counted[:5] == [(1, 3), (2, 3), (3, 3), (0, 8), (1, 8)]


def test_the_opening_comes_first():
    done = run(keywords(with_(BATON, opening=3)), [" More.</think>"], ["Let me begin. No"])
    assert done.told == [("large", "Let me begin."), ("small", " More.</think>")]
    assert rules(done) == [OPENING]


# The table of presets


@by_preset("allowed", paper=[15] * 5, reference=[15, 20, 25, 30, 30], baton=[15, 20, 25, 30, 30])
def test_row_c(preset, allowed):
    done = endless_reflection(with_(preset, n1=2, stop_at_first_cue=True))
    assert between_firings(done)[:5] == allowed


def test_a_text_gone_on_with_keeps_its_counter_and_its_firings():
    settings = with_(REFERENCE, n1=2, n3=5, n3_step=5, c=2, c_step=0, c_most=2)
    whole = endless_reflection(settings, max_tokens=120)
    first = endless_reflection(settings, max_tokens=50)
    assert between_firings(first)[-1:] == [2], "it fired before"
    small = ScriptedEngine(continue_with=lambda *_: "Wait, hm.\n\n" * 50)
    large = ScriptedEngine(continue_with=lambda *_: "Wait, so it is.\n\n" * 200, name="large")
    rest = run(keywords(settings), small, large, RunSettings(max_tokens=120), before=first.trace)
    lengths = [t.tokens for t in rest.all(TakeoverStarted)]
    assert lengths == [t.tokens for t in whole.all(TakeoverStarted)]


@by_preset("lengths", paper=[125] * 5, reference=[125, 150, 175, 200, 200], baton=[125, 150, 175, 200, 200])
def test_row_n3(preset, lengths):
    done = endless_reflection(with_(preset, n1=2, c=2, c_step=0, c_most=2), max_tokens=1200)
    planned = [t.tokens for t in done.all(TakeoverStarted) if t.reason == EXCESSIVE_REFLECTION.id]
    assert planned[:5] == lengths


def test_row_ceilings_below_the_start_shrink_c_and_n3_in_the_authors_code():
    done = endless_reflection(with_(REFERENCE, n1=2, n3=9, n3_most=4, c=3, c_most=2), 150)
    assert between_firings(done)[:3] == [3, 2, 2]
    lengths = [t.tokens for t in done.all(TakeoverStarted) if t.reason == EXCESSIVE_REFLECTION.id]
    assert lengths[:3] == [9, 4, 4]


@pytest.mark.parametrize("kind", [Keywords, EveryStep])
@pytest.mark.parametrize(("name", "values"), [("c", {"c": 31}), ("n3", {"n3_most": 124})])
def test_row_ceilings_below_the_start_are_refused_by_ours(kind, name, values):
    with pytest.raises(SettingsError, match=rf"{name} begins at \d+, above its ceiling {name}_most") as refused:
        with_(kind.Settings(), **values).check_values()
    assert f"Raise {name}_most" in refused.value.advice


@pytest.mark.parametrize("preset", [*Keywords.presets.values(), *EveryStep.presets.values()])
def test_every_preset_makes_sense_and_has_the_papers_lengths(preset):
    preset.check_values()
    assert (preset.n1, preset.n2, preset.n3, preset.c) == (20, 125, 125, 15)
    assert preset.opening == (0 if isinstance(preset, Keywords.Settings) else 100)


def test_what_does_not_grow_has_no_ceiling():
    fixed = with_(PAPER, c=50)
    fixed.check_values()
    assert Keywords(fixed, PolicyContext(counters={"longer takeovers": 3})).counters["reflections allowed"] == 50


def test_one_cue_a_class_is_kept_of_an_own_list_too():
    own = Lexicon({Category.REFLECTION: {"hmm": (), "doubt": ()}})
    policy = Keywords(Keywords.Settings(one_cue=True), PolicyContext(lexicon=own))
    assert [cue.word for cue in policy.lexicon.find("Hmm, a doubt")] == ["Hmm"]


@by_preset(
    "prompt",
    paper="Let us check whether there are some wrong steps.",
    reference="Let me check whether there are some wrong steps:",
    baton="Let us check whether there are some wrong steps. ",
)
def test_row_auxiliary_prompt(preset, prompt):
    assert endless_reflection(with_(preset, n1=2, c=1), 200).all(TextInserted)[0].text == prompt


@by_preset("taken", paper={"wait"}, reference={"wait", "awaiting"}, baton={"wait", "verified"})
def test_row_cue_match(preset, taken):
    for word in ("wait", "verified", "awaiting"):
        done = run(keywords(with_(preset, n1=4)), [f"One.\n\nWe are {word} it now", "Two.</think>"], [LONG])
        assert bool(rules(done)) is (word in taken), word


@by_preset("writes", paper=1, reference=2, baton=1)
def test_row_lookahead_kept_on_a_statement(preset, writes):
    done = run(keywords(with_(preset, n1=3)), ["One.\n\nTwo is even. So.</think>", "Sampled again.</think>"])
    assert len(done.small.calls) == writes
    assert ("Sampled again" in done.trace.text) is (writes == 2)
    assert [gone.text for gone in done.all(TextDiscarded)] == ["Two is even"] * (writes - 1)


@by_preset("looked_at", paper=6, reference=6, baton=2)
def test_row_lookahead_length(preset, looked_at):
    done = run(keywords(with_(preset, n1=6)), ["One.\n\nWait, it is not. Or is it", " End"], [LONG])
    assert [gone.tokens for gone in done.all(TextDiscarded)] == [looked_at]


def test_row_lookahead_length_ends_with_the_sentence_in_baton():
    done = run(keywords(BATON), ["One.\n\nTwo is it. Wait, three.</think>"])
    assert rules(done) == []


@by_preset("text", paper="So we", reference="So we", baton="So we see.")
def test_row_end_of_a_takeover(preset, text):
    done = run(keywords(with_(preset, n1=2)), ["One.\n\nWait, no", " End</think>"], ["So we see. Then"])
    assert [piece.text for piece in done.trace.pieces if piece.author is Author.LARGE] == [text]


def test_row_end_of_a_takeover_is_at_most_32_tokens_late():
    done = run(keywords(with_(BATON, n1=2)), ["One.\n\nWait, no", " End</think>"], [LONG])
    assert [ended.tokens for ended in done.all(TakeoverEnded)] == [2 + 32]


def test_row_end_of_a_takeover_may_be_inside_a_word_for_the_reference():
    done = run(keywords(with_(REFERENCE, n1=2)), ["One.\n\nWait, no", " End</think>"], [["So", " ver", "ify"]])
    assert done.trace.text == "One.\n\nSo ver End</think>"


@pytest.mark.parametrize("preset", [REFERENCE, BATON])
def test_row_precedence_is_opening_then_counter_then_lookahead(preset):
    done = endless_reflection(with_(preset, n1=2, c=1, opening=5), 400)
    assert rules(done)[:3] == [OPENING, REFLECTION, EXCESSIVE_REFLECTION]
    inserted = next(i for i, piece in enumerate(done.trace.pieces) if piece.author is Author.INSERTED)
    assert done.trace.pieces[inserted].replaced == ""
    assert done.trace.pieces[inserted - 1].text.endswith("\n\n")


@by_preset("answer_too", paper=True, reference=True, baton=False)
def test_row_scope(preset, answer_too):
    small = ["One.</think>\n\nFour is it.\n\nYes, it is four", " End", " End"]
    done = run(keywords(with_(preset, n1=3, keep_lookahead=True)), small, [LONG])
    assert bool(rules(done)) is answer_too


def test_row_scope_the_large_model_goes_on_to_the_end_where_it_closed_the_thinking():
    done = run(keywords(with_(BATON, n1=20)), ["One.\n\nWait, no"], ["So.</think>", "\n\nIt is four. Truly.\n\nYes."])
    assert rules(done) == [REFLECTION, ANSWER]
    assert done.trace.answer.strip() == "It is four. Truly.\n\nYes."


@every_preset
def test_row_boundaries_inside_a_takeover_bring_no_decision_and_count_as_steps(preset):
    done = run(
        keywords(with_(preset, n1=12)), ["One.\n\nWait, no", " End.</think>"], ["So.\n\nYes, it is.\n\nYes, so. It"]
    )
    assert rules(done) == [REFLECTION]
    assert len(done.trace.steps) == 4


def test_a_boundary_inside_a_lookahead_of_fixed_length_is_decided_after_it():
    """The paper's lookahead is n1 tokens; the sentence after a boundary inside it is looked at all the same."""
    done = run(keywords(with_(PAPER, n1=5)), ["One.\n\nTwo.\n\nThree. Wait, no, no, no", " End.</think>"], [LONG])
    assert rules(done) == [REFLECTION]
    assert done.trace.pieces[1].text == "Two.\n\n"


# Two faults of the authors' code


def test_rule_three_works_across_tokenizers():
    """The authors' code fails there: it hands ids of one vocabulary to the other model."""
    large = ScriptedEngine("Wait, so. No", "It is right. No", name="large", vocabulary="other", split=single_bytes)
    settings = with_(BATON, n1=2, c=1)
    done = run(keywords(settings), ["One.\n\nWait, no", " Two.\n\nNo", " End.</think>"], large)
    assert rules(done) == [REFLECTION, EXCESSIVE_REFLECTION]
    assert done.all(TextInserted)[0].text in done.trace.text
    assert "wrong steps. It" in done.trace.text


def test_a_boundary_is_found_however_many_tokens_it_takes():
    """The authors look for two newlines in the last five tokens."""
    small = ScriptedEngine("One." + "\n" + " " * 12 + "\nWait, no", " End.</think>", split=single_bytes)
    assert rules(run(keywords(with_(BATON, n1=6)), small, ["It is so, and so. No"])) == [REFLECTION]


# Another boundary


def test_a_line_may_be_a_step():
    policy = keywords(with_(BATON, n1=2))
    done = run(policy, ["One.\nWait, hm", "\nTwo.</think>"], ["It is two. And"], RunSettings(boundary=Boundary.LINE))
    assert done.told[:2] == [("small", "One.\n"), ("large", "It is two.")]
    assert len(done.trace.steps) == 3


def test_two_equal_lines_are_a_repeated_step_where_a_line_is_a_step():
    guard = LimitsGuard(Limits())
    text, boundary = ["One.\nOne.\nTwo.</think>"], RunSettings(boundary=Boundary.LINE)
    assert rules(run(Never(), text, ["So.\nAnd"], boundary, [guard])) == [REPETITION]
    assert rules(run(Never(), text, ["So.\nAnd"], interruptions=[LimitsGuard(Limits())])) == []


def test_an_interjection_is_read_with_the_sentence_after_it():
    done = run(keywords(BATON), ["One.\n\nHmm. Wait, no", " End.</think>"], ["It is two. And"])
    assert [takeover.cue.word for takeover in done.all(TakeoverStarted) if takeover.cue] == ["Wait"]
    alone = run(keywords(BATON), ["One.\n\nHmm.\n\nSo it is.\n\nEnd.</think>"])
    assert rules(alone) == []
    assert alone.trace.text == "One.\n\nHmm.\n\nSo it is.\n\nEnd.</think>"


# Advice on a run in which the large model never wrote

PLAIN = "Two dogs.\n\nThree cats.\n\nFive in all.</think>\n\n5."


def test_no_cue_in_a_long_enough_text_is_worth_a_word():
    advice = advice_on(run(keywords(Keywords.presets["baton"]), small=[PLAIN]).trace)
    assert "No cue was found" in advice.text
    assert all(POLICIES[name].title in advice.text for name in advice.policies)


def test_a_short_answer_is_left_alone():
    assert advice_on(run(keywords(Keywords.presets["baton"]), small=["Five.</think>\n\n5."]).trace) == Advice()


def test_a_takeover_leaves_nothing_to_say():
    ran = run(
        keywords(Keywords.presets["baton"]),
        small=[PLAIN.replace("Five", "Wait, five"), "</think>\n\n5."],
        large=["Five it is. Yes"],
    )
    assert ran.trace.handoffs
    assert advice_on(ran.trace) == Advice()


def test_a_policy_that_never_hands_over_is_meant_so():
    assert advice_on(run(Never(), small=[PLAIN]).trace) == Advice()


def test_a_large_model_that_was_lost_is_no_sign_of_missing_cues():
    gone = Fault(0, EngineLost("The server is gone.", "Start it."), for_good=True)
    lost = ScriptedEngine("Five it is.", faults=[gone], name="large")
    small = PLAIN.replace("Five", "Wait, five")
    ran = run(keywords(), small=[small, "</think>\n\n5.", "Five.</think>\n\n5."], large=lost)
    assert ran.trace.notices
    assert advice_on(ran.trace) == Advice()
