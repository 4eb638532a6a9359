"""What each policy decides: the rows of the table in which the presets of `keywords` differ, then the others.

The presets `reference` and `paper` are also compared with the authors' schedule (test_worlds.py).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, demo_settings
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.errors import EngineLost, SettingsError
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.run import Pair, ask
from baton_reasoning.core.run import run as run_pair
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.automatic import automatic_choice
from baton_reasoning.core.thinking.cue_rules import EXCESSIVE_REFLECTION, VERIFICATION, Scope
from baton_reasoning.core.thinking.cues import Category, Lexicon
from baton_reasoning.core.thinking.events import Finish, Judged, TakeoverEnded, TakeoverStarted, TextDiscarded
from baton_reasoning.core.thinking.interruptions import Control, Limits
from baton_reasoning.core.thinking.policies.alone import Always, Never
from baton_reasoning.core.thinking.policies.automatic import Automatic
from baton_reasoning.core.thinking.policies.cascade import Cascade
from baton_reasoning.core.thinking.policies.first_token_entropy import ENTROPY, FirstTokenEntropy
from baton_reasoning.core.thinking.policies.keywords import AFFIRMATION, REFLECTION, EveryStep, Keywords
from baton_reasoning.core.thinking.policies.random_takeover import Place, RandomTakeover
from baton_reasoning.core.thinking.policies.relay import RELAY, Relay
from baton_reasoning.core.thinking.policies.step_score import SCORE, StepScore
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.policy import Advice, PolicyContext
from baton_reasoning.core.thinking.reasons import ANSWER, OPENING
from baton_reasoning.core.thinking.registry import POLICIES, advice_on
from baton_reasoning.core.thinking.requests import Until
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.steps import Boundary
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import LARGE, SMALL, Run, keywords, rules, run
from tests.fakes.scripted import CERTAIN, THINK, TORN, Fault, ScriptedEngine, single_bytes
from tests.tiers import size

PAPER, REFERENCE, BATON = (Keywords.presets[name] for name in ("paper", "reference", "baton"))
every_preset = pytest.mark.parametrize("preset", Keywords.presets.values(), ids=Keywords.presets)


def kept_to(settings: Keywords.Settings, **changes: object) -> Keywords:
    """The policy with these settings, some of them changed."""
    return keywords(settings.model_copy(update=changes))


# Keywords: the three rules


@pytest.mark.parametrize(("word", "rule"), [("Wait", REFLECTION), ("Yes", AFFIRMATION)])
def test_a_cue_after_a_boundary_gives_the_sentence_to_the_large_model(word, rule):
    done = run(kept_to(BATON, n1=2), [f"One.\n\n{word}, hm", " End.</think>"], ["It is two. And"])
    assert done.told[:3] == [("small", "One.\n\n"), ("large", "It is two."), ("small", " End.</think>")]
    assert rules(done) == [rule]
    assert done.all(TakeoverStarted)[0].tokens == 2
    assert [gone.tokens for gone in done.all(TextDiscarded)] == [2], "decided at the cue, not after n1 tokens"


@pytest.mark.parametrize(
    "text",
    [
        "One.\n\nTwo is awaiting it. Wait, three.</think>",
        "Wait, yes, check.\n\nOne.</think>",
        "One.\n\nHmm.\n\nSo it is.\n\nEnd.</think>",
        "One.\n\n    wait()\n\nSo.</think>",
        "One.\n\n```\none\n\nwait, check\n```\n\nSo.</think>",
        "The tag `</think>` ends it.\n\nSo.</think>Four.",
    ],
)
def test_what_brings_no_takeover_stays_with_the_small_model(text):
    done = run(keywords(BATON), [text])
    assert (rules(done), done.trace.text, done.trace.large_share) == ([], text, 0)
    assert done.trace.answer == ("Four." if "Four" in text else "")


@pytest.mark.parametrize("step", ["See e.g. wait, no", "By eq. (3), we verified", "Hmm. Wait, no"])
def test_an_abbreviation_or_an_interjection_does_not_end_the_lookahead(step):
    done = run(keywords(BATON), [f"One.\n\n{step} it", " End.</think>"], ["So it is. And"])
    assert rules(done)[:1] == [REFLECTION]


@every_preset
def test_a_word_that_only_verifies_brings_a_takeover_as_well(preset):
    prove = Lexicon({Category.REFLECTION: {"wait": ()}, Category.VERIFICATION: {"prove": ()}})
    policy = Keywords(preset.model_copy(update={"n1": 4, "n2": 2}), PolicyContext(lexicon=prove))
    small, large = ["One.\n\nLet us prove it. No", " End.</think>"], ["So we prove it. No", " It holds. No"]
    assert rules(run(policy, small, large)) == [REFLECTION, VERIFICATION]


# Keywords: settings and presets


@pytest.mark.parametrize(("name", "values"), [("c", {"c": 31}), ("n3", {"n3_most": 124})])
def test_ceilings_below_the_start_are_refused_by_ours(name, values):
    with pytest.raises(SettingsError, match=rf"{name} begins at \d+, above its ceiling {name}_most") as refused:
        Keywords.Settings(**values).check_values()
    assert f"Raise {name}_most" in refused.value.advice


def test_what_does_not_grow_has_no_ceiling_and_one_cue_a_class_is_kept_of_an_own_list_too():
    fixed = PAPER.model_copy(update={"c": 50})
    fixed.check_values()
    assert Keywords(fixed, PolicyContext(counters={"longer takeovers": 3})).counters["reflections allowed"] == 50
    shrinking = Keywords(REFERENCE.model_copy(update={"c": 50}), PolicyContext(counters={"longer takeovers": 1}))
    assert shrinking.counters["reflections allowed"] == 30, "the authors' comes down to its ceiling"
    own = Lexicon({Category.REFLECTION: {"hmm": (), "doubt": ()}})
    policy = Keywords(Keywords.Settings(one_cue=True), PolicyContext(lexicon=own))
    assert [cue.word for cue in policy.lexicon.find("Hmm, a doubt")] == ["Hmm"]


def test_where_ours_differs_from_the_paper_and_the_authors():
    """Takeovers that end with a sentence, the thinking alone, and a decision where a takeover ends."""
    late = run(kept_to(BATON, n1=2), ["One.\n\nWait, no", " End</think>"], ["word " * 200])
    assert [ended.tokens for ended in late.all(events.TakeoverEnded)] == [2 + 32]
    assert rules(run(keywords(BATON), ["One.</think>\n\nFour is it.\n\nYes, it is four"])) == []
    large = [["So", ".\n\n"], ["And", ".\n\n"]]
    at_boundary = run(kept_to(BATON, n1=2), ["One.\n\nWait, no", "Wait, so", "Then.</think>"], large)
    assert [piece.author for piece in at_boundary.trace.pieces] == [SMALL, LARGE, LARGE, SMALL]
    stands = run(kept_to(BATON, n1=3), ["One.\n\nTwo is even. So.</think>", "Again.</think>"])
    assert (len(stands.small.calls), "Again" in stands.trace.text) == (1, False)
    assert [keywords(preset).stops_repetition for preset in (PAPER, REFERENCE, BATON)] == [False, False, True]


@every_preset
def test_boundaries_and_tags_within_a_lookahead_or_a_takeover(preset):
    """A closing tag inside a lookahead does not hide the cue before it; a boundary in a takeover brings no decision."""
    small = ["One.\n\nYes, I am confident\n</think>\n\nIt is four now.", " End.</think>"]
    hidden = run(kept_to(preset, n1=12, stop_at_first_cue=False), small, ["So it is. And"])
    assert rules(hidden)
    assert "confident" not in hidden.trace.text
    large = ["So.\n\nYes, it is.\n\nYes, so. It"]
    done = run(kept_to(preset, n1=12), ["One.\n\nWait, no", " End.</think>"], large)
    assert (rules(done), len(done.trace.steps)) == ([REFLECTION], 4)


def test_a_large_model_hands_back_with_nothing_to_write_and_answers_where_it_closed_the_thinking():
    back = run(keywords(BATON), ["One.\n\nWait, no", "Two.</think>Four."], [""])
    assert back.trace.text == "One.\n\nTwo.</think>Four.", "the small one writes the sentence after all"
    assert back.trace.large_share == 0
    done = run(keywords(BATON), ["One.\n\nWait, no"], ["So.</think>", "\n\nIt is four. Truly.\n\nYes."])
    assert rules(done) == [REFLECTION, ANSWER]
    assert done.trace.answer.strip() == "It is four. Truly.\n\nYes."


def test_advice_is_given_where_no_cue_was_found_in_a_long_enough_text():
    plain = "Two dogs.\n\nThree cats.\n\nFive in all.</think>\n\n5."
    doubting, rest = plain.replace("Five", "Wait, five"), ["</think>\n\n5.", "Five.</think>\n\n5."]
    advice = advice_on(run(keywords(), [plain]).trace)
    assert POLICIES[advice.policies[0]].title in advice.text
    untagged = run(keywords(), ScriptedEngine(plain, thinking=None), ScriptedEngine(name="large", thinking=None)).trace
    assert untagged.started
    assert advice_on(untagged).policies == (automatic_choice(untagged.started.cards).policy.policy,)
    gone = Fault(0, EngineLost("The server is gone.", "Start it."), for_good=True)
    took = run(keywords(), [doubting, *rest], ["Five it is. Yes"])
    lost = run(keywords(), [doubting, *rest], ScriptedEngine("Five it is.", faults=[gone], name="large"))
    assert (took.trace.handoffs > 0, bool(lost.trace.notices)) == (True, True)
    for silent in (took, lost, run(keywords(), ["Five.</think>\n\n5."]), run(Never(), [plain])):
        assert advice_on(silent.trace) == Advice()


# Never, always, every step, random


def test_one_model_alone_writes_everything_and_closes_its_own_thinking():
    text = "One.\n\nTwo.\n\nThree.</think>\n\nFour."
    small, large = run(Never(), [text]), run(Always(), large=[text])
    assert (small.trace.text, small.trace.large_share, small.large.calls) == (text, 0, [])
    assert (large.trace.text, large.trace.large_share, large.small.calls) == (text, 1, [])
    forgot = run(Always(), large=["One.", "Four."])
    assert (forgot.trace.answer.strip(), forgot.small.calls) == ("Four.", [])


@pytest.mark.parametrize(
    ("thinks", "opening", "small", "large", "text"),
    [
        (False, 100, "No", "It is four.", "It is four."),
        (False, 0, "Four.\n\n", "", "Four.\n\n"),
        (True, 0, "So.</think>Four.\n\n", "", "So.</think>Four.\n\n"),
        (True, 100, "Four.", "It is four.", "It is four.\n</think>\n\nFour."),
    ],
)
def test_where_no_thinking_is_open_the_large_models_end_ends_the_text(thinks, opening, small, large, text):
    tags = THINK if thinks else None
    policy = EveryStep(EveryStep.Settings(opening=opening, n1=2, until=Until.TOKENS, scope=Scope.ALL))
    models = ScriptedEngine(small, "No", thinking=tags), ScriptedEngine(large, name="large", thinking=tags)
    done = run(policy, *models)
    assert (done.trace.text, done.trace.finish) == (text, Finish.END_OF_TEXT)


def test_an_opening_that_was_interrupted_is_written_to_its_end_unless_a_person_ends_it():
    opening, small, large = EveryStep.Settings(opening=4), [" End.</think>"], [" four five. Six"]
    before = run(Always(), [], ["One two three"], RunSettings(max_tokens=3)).trace
    written = run(EveryStep(opening), small, large, before=before.until(len("One two")))
    assert written.told[1] == ("large", " four five.")
    assert run(EveryStep(opening), small, large, before=before.edited(3, " so")).told[2] == ("small", " End.</think>")
    control = Control()
    engine = ScriptedEngine("One two", " three", name="large", before_token=lambda _: control.give_back())
    back = run(EveryStep(opening), small, engine, interruptions=[control])
    assert back.told == [("large", "One"), ("small", " End.</think>")]


def test_random_takeovers_come_with_their_chance_and_repeat_with_the_seed_and_the_place():
    def by_chance(seed: int, chance: float = 0.5, most: int = 200, before: Trace | None = None) -> Run:
        settings = RandomTakeover.Settings(p=chance, n1=1, until=Until.SENTENCE)
        small = ScriptedEngine(continue_with=lambda *_: "One.\n\n" * 1000)
        large = ScriptedEngine(continue_with=lambda *_: " Two. Three", name="large")
        policy = RandomTakeover(settings, PolicyContext(seed))
        return run(policy, small, large, RunSettings(max_tokens=most), before=before)

    def places(done: Run) -> list[int]:
        return [takeover.position for takeover in done.all(TakeoverStarted)]

    done = by_chance(3, 0.25, 2000)
    boundaries = sum(piece.text.endswith("\n\n") for piece in done.trace.pieces if piece.author is SMALL)
    assert abs(len(rules(done)) / boundaries - 0.25) < 4 * math.sqrt(0.25 * 0.75 / boundaries)
    whole = by_chance(1)
    assert places(by_chance(1)) == places(whole) != places(by_chance(2))
    for place in places(whole)[:6]:
        assert places(by_chance(1, before=whole.trace.until(place))) == places(whole), "in a text gone on with, too"


def test_random_takeovers_at_tokens_replace_single_tokens_or_begin_spans_in_the_answer_too():
    def by_chance(chance: float, length: int = 1, seed: int = 1) -> Run:
        settings = RandomTakeover.Settings(at=Place.TOKEN, p=chance, n1=length, until=Until.TOKENS)
        small = ScriptedEngine(continue_with=lambda _, body: " a" * 1000 if body else "</think>" + " a" * 1000)
        large = ScriptedEngine(continue_with=lambda *_: " so" * 30, name="large")
        return run(RandomTakeover(settings, PolicyContext(seed)), small, large, RunSettings(max_tokens=1500))

    done = by_chance(0.25)
    assert abs(done.trace.large_share - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 1500)
    assert {piece.text for piece in done.trace.pieces if piece.author is LARGE} == {" so"}
    spans = by_chance(0.05, 20)
    assert {event.tokens for event in spans.all(TakeoverEnded)[:-1]} == {20}
    assert by_chance(0.25).told == done.told != by_chance(0.25, seed=2).told


def test_the_end_of_a_text_is_no_token_that_is_drawn():
    settings = RandomTakeover.Settings(at=Place.TOKEN, p=1, n1=1, until=Until.TOKENS)
    assert run(RandomTakeover(settings), ["</think>"], [" so"]).trace.ended


# First-token entropy


def entropy(small: Sequence[str | Sequence[str]], unsure: str, *large: str, **settings: Any) -> Run:
    """The small model is torn after a text that ends so."""
    engine = ScriptedEngine(*small, chances=lambda body: TORN if body.endswith(unsure) else CERTAIN)
    return run(FirstTokenEntropy(FirstTokenEntropy.Settings(**settings)), engine, [*large])


def test_an_unsure_first_token_gives_its_step_to_the_large_model():
    done = entropy(["One.\n\nTwo", "Three is sure.</think>"], "One.\n\n", "Better two.\n\nNo", " Four.", tau=0.95)
    assert done.trace.text == "One.\n\nBetter two.\n\nThree is sure.</think> Four."
    assert rules(done) == [ENTROPY, ANSWER], "the answer is the large model's"
    assert done.measures == [("entropy", pytest.approx(math.log(len(TORN))), 0.95), None], "whatever the value"
    assert [gone.text for gone in done.all(TextDiscarded)] == ["Two"]
    assert [{call.alternatives for call in each.calls} for each in (done.small, done.large)] == [{20}, {0}]
    assert rules(entropy(["One.\n\nTwo is so.</think>"], "Two", "Four.")) == [ANSWER], "only the first token counts"


def test_the_first_token_is_not_white_space_nor_half_a_character_and_there_is_one_after_each_cap():
    blank = entropy([["One.", "\n\n", "\n", "Two", ".", "</think>"]], ".\n\n\n", "Better.\n\nNo")
    assert rules(blank)[0] == ENTROPY
    halves = ScriptedEngine("ét.</think>", split=single_bytes, chances=lambda body: CERTAIN if body else TORN)
    assert rules(run(FirstTokenEntropy(), halves, ["Better.</think>", "Four."]))[0] == ENTROPY
    capped = entropy(["a b c d e f", "g.</think>"], "c", "x.\n\nNo", "Four.", step_cap=3)
    assert rules(capped)[0] == ENTROPY
    assert capped.all(TakeoverStarted)[0].position == len("a b c")
    blanks = entropy([[*[" "] * 5, "x", "</think>"]], "never", "Four.", step_cap=3)
    assert blanks.all(events.StepEnded)[0].position == 3, "blanks alone are a step at the cap"


# Step score


def scored(marks: str, small: Sequence[str], *large: str, thinks: bool = True, **settings: Any) -> Run:
    """The large model gives these marks, and writes these steps."""
    tags = THINK if thinks else None
    judge = ScriptedEngine(*large, name="large", marks=marks, thinking=tags)
    return run(StepScore(StepScore.Settings(**settings)), ScriptedEngine(*small, thinking=tags), judge)


def test_a_step_with_a_low_score_is_written_again_by_the_large_model():
    done = scored("937", ["One.\n\n", "Two.\n\n", "Three.</think>"], "Better.\n\nNo")
    assert done.trace.text == "One.\n\nBetter.\n\nThree.</think>"
    judged = done.all(Judged)
    assert [each.probabilities.index(1.0) for each in judged] == [9, 3, 7], "the closing step, too"
    assert rules(done) == [SCORE], "a score at the threshold is accepted"
    assert done.measures == [("score", 3, 7)]
    piece = next(piece for piece in done.trace.pieces if piece.author is LARGE)
    assert (piece.replaced, piece.judged) == ("Two.\n\n", judged[1])
    assert all("score" not in call.body.lower() for call in done.large.calls), "the question never enters its text"
    assert judged[0].handoff.prefilled == done.large.calls[0].prefilled > 0


@pytest.mark.parametrize(("chances", "stands"), [({5: 0.5, 9: 0.5}, True), ({5: 0.6, 9: 0.4}, False)])
def test_a_weighted_score_is_the_mean_over_the_digits(chances, stands):
    large = ScriptedEngine("Better.</think>", name="large")
    large.judged = lambda body, choices: [chances.get(n, 0.0) for n in range(len(choices))]  # type: ignore[method-assign]  # noqa: ARG005
    done = run(StepScore(StepScore.Settings(threshold=7, weighted=True)), ["One.</think>"], large)
    assert (rules(done) == []) is stands


def test_the_first_steps_may_be_the_large_models():
    done = scored("9", ["End.</think>No", "Four."], "Plan.\n\nNo", "More.\n\nNo", first_steps_large=2)
    assert rules(done) == [OPENING, OPENING]
    assert done.trace.text == "Plan.\n\nMore.\n\nEnd.</think>Four."


def test_a_cap_that_refuses_the_first_steps_leaves_them_to_the_small_model():
    """However many there are: the program asked for each of them in vain, and the run failed."""
    settings = RunSettings(policy=StepScore.Settings(first_steps_large=5000), limits=Limits(max_large_share=0))
    pair = Pair(ScriptedEngine("One.</think>", "Two."), ScriptedEngine(name="large", marks="9"))
    assert Trace.of(run_pair(pair, ask("2 + 2?", settings), settings)).text == "One.</think>Two."


def test_two_identical_steps_close_the_thinking_but_one_that_was_written_again_is_none():
    twice = scored("99", ["One.\n\n", "One.\n\n", "Four."])
    assert (twice.trace.answer.strip(), twice.trace.finish) == ("Four.", Finish.END_OF_TEXT)
    anew = scored("39", ["One.\n\n", "One.\n\n", "End.</think>"], "Better.\n\nNo")
    assert anew.trace.text.startswith("Better.\n\nOne.")


def test_a_step_that_does_not_end_is_judged_at_the_cap_and_blanks_are_rewritten_alone():
    capped = scored("19", ["word " * 50, "End.</think>No", "Four."], "Better.\n\nNo", step_cap=5)
    assert rules(capped) == [SCORE]
    assert capped.trace.text == "Better.\n\nEnd.</think>Four."
    small = ScriptedEngine([" a", " b"], ["\t", "\t"], ["End", "</think>"])
    large = ScriptedEngine([" c", " d", "No"], name="large", marks="919")
    assert run(StepScore(StepScore.Settings(step_cap=2)), small, large).trace.text == " a b c dEnd</think>"
    small = ScriptedEngine(["Good", " step", ".", "\n"], *[[" "] * 4] * 3, ["End", "</think>"])
    large = ScriptedEngine(*[["Two", "\n"]] * 3, ["Four"], name="large", marks="90909099")
    settings = RunSettings(boundary=Boundary.LINE, max_tokens=40)
    done = run(StepScore(StepScore.Settings(step_cap=4)), small, large, settings)
    assert done.trace.text.startswith("Good step.\n")
    assert {gone.text for gone in done.all(TextDiscarded)} == {"    "}


@pytest.mark.parametrize(
    ("marks", "judged", "text"),
    [("99", 2, "One.\n\nIt is 5."), ("91", 2, "One.\n\nIt is 4."), ("9", 1, "One.\n\n")],
    ids=["it stands", "it is rewritten", "there is none"],
)
def test_the_last_step_of_a_text_without_thinking_is_judged_too(marks, judged, text):
    small = ["One.\n\n", "It is 5." if judged == 2 else "", "No"]
    done = scored(marks, small, "It is 4.", thinks=False)
    assert len(done.all(Judged)) == judged
    assert (done.trace.text, done.trace.finish) == (text, Finish.END_OF_TEXT)


# The cascade: the small model answers alone, and the large one solves the problem afresh if that came to nothing sure


def test_the_cascade_solves_afresh_what_came_to_nothing_sure():
    afresh = "Two and two.</think>Four."

    def solved(*texts: str, budget: int = 0, sure_of: str = "", context: int = 100_000) -> Trace:
        """The small model writes the texts, and is sure of each token after one that ends with `sure_of`."""
        given = RunSettings(policy=Cascade.Settings(), limits=Limits(max_thinking_tokens=budget))
        small = ScriptedEngine(*texts, chances=lambda body: CERTAIN if sure_of in body else (0.5, 0.5), context=context)
        return Trace.of(run_pair(Pair(small, ScriptedEngine(afresh, name="large")), ask("2 + 2?", given), given))

    assert solved("Two.\n\nTwo.\n\nTwo.</think>4").text == "Two.\n\nTwo.\n\nTwo.</think>4", "though it repeats itself"
    no_room = solved("One, two, three, four.</think>4", context=25)
    assert (no_room.text, no_room.totals[SMALL].discarded > 0) == (afresh, True)
    assert no_room.counters == {"asked": 1}, "it is not asked twice in a text that is taken up"
    begun = "One, two, three, four"
    assert solved(begun, "Four.", budget=6, sure_of="</think>").text == afresh, "the thinking before a limit counts"
    assert solved(begun, "Four.", budget=6).text.endswith("</think>\n\nFour.")


# What decided, as a number with its limit


def test_a_takeover_records_the_value_that_decided_and_its_limit():
    unsure = ScriptedEngine("One two", "End.</think>4", chances=lambda body: CERTAIN if body else TORN)
    word = run(TokenEntropy(TokenEntropy.Settings(tau=0.25)), unsure, ["Two"])
    assert word.measures == [("entropy", pytest.approx(math.log(len(TORN))), 0.25)]
    drawn = run(RandomTakeover(RandomTakeover.Settings(p=1, n1=1)), ["One.\n\n", "End.</think>"], ["So. No"])
    ((name, draw, limit),) = [measure for measure in drawn.measures if measure]
    assert (name, 0 <= draw < limit, limit) == ("draw", True, 1)
    halved = ScriptedEngine("One.</think>Four.", chances=lambda _: (0.75, 0.25))
    assert run(Cascade(), halved, ["Two.</think>Four."]).measures == [("confidence", pytest.approx(0.5), 0.97)]
    cut = run(Cascade(Cascade.Settings(tau=0)), ScriptedEngine("One, two, three", context=12), ["Two.</think>Four."])
    assert cut.measures == [None], "it came to no end, however sure"


def test_a_cue_decides_without_a_number_and_too_many_reflections_are_counted():
    small = ["One.\n\nWait, no", "\n\nTwo.\n\n", "End.</think>"]
    done = run(kept_to(BATON, n1=2, c=1), small, ["Wait, hm.", "So it is. No"])
    assert [(POLICIES.reason(took.reason), took.measure) for took in done.all(TakeoverStarted)] == [
        (REFLECTION, None),
        (EXCESSIVE_REFLECTION, ("reflections", 1, 1)),
    ]


# Relay: the large model writes, and the small one takes easy sentences


def test_relay_reads_the_cues_of_the_run_and_caps_a_sentence_by_the_small_model():
    lexicon = Lexicon({Category.REFLECTION: {"therefore": ()}})
    large = ScriptedEngine("Wait, one.\n\nTherefore, it", " So.</think>", name="large")
    done = run(Relay(context=PolicyContext(lexicon=lexicon)), [" is. No", "Four."], large)
    assert [takeover.cue.word for takeover in done.all(TakeoverStarted) if takeover.cue] == ["Therefore"]
    large = ScriptedEngine("One is it.\n\nWait, let us", " So it is.</think>", name="large")
    capped = run(Relay(Relay.Settings(sentence_cap=3)), [" a b c d e f", "Four."], large)
    assert capped.trace.text == "One is it.\n\nWait, a b c So it is.</think>Four."


def test_relay_hands_a_sentence_and_the_answer_to_the_small_model_and_only_the_difference():
    relaying = ["One.\n\nWait, no", " Then three.\n\nFour.</think>No"]
    done = run(Relay(), [" two. No", "\n\nFour."], relaying)
    assert done.told[1:4] == [("large", "Wait,"), ("small", " two."), ("large", " Then three.\n\n")]
    assert done.trace.text.endswith("Four.</think>\n\nFour.")
    takeovers = done.all(TakeoverStarted)
    assert [(event.author, event.reason) for event in takeovers] == [(SMALL, RELAY.id), (SMALL, ANSWER.id)]
    assert done.trace.pieces[2].takeover == takeovers[0]
    silent = ScriptedEngine("One.\n\nWait, it", " is 4.", name="large", thinking=None)
    back = run(Relay(), ScriptedEngine("", thinking=None), silent)
    assert back.trace.text == "One.\n\nWait, is 4.", "it hands back"


# Automatic: it follows the pair of models, is decided once, and is stored as what it was


AUTOMATIC = RunSettings(policy=Automatic.Settings(), instruction="", max_tokens=4)
REASONER, PLAIN = (ModelCard("Model", "", 1000, thinking=tags) for tags in (THINK, None))
SILENT = replace(PLAIN, name="Server", abilities=PLAIN.abilities - {Ability.ALTERNATIVES})


@pytest.mark.parametrize(
    ("small", "large", "thinks", "policy", "told"),
    [
        (REASONER, PLAIN, True, Keywords, ()),
        (REASONER, PLAIN, False, TokenEntropy, ("answers without thinking",)),
        (PLAIN, REASONER, True, TokenEntropy, ("Model was not trained to reason", "hands over where it is unsure")),
        (PLAIN, SILENT, True, FirstTokenEntropy, ("how to begin", "Server gives no log-prob", "Token entropy")),
        (SILENT, PLAIN, True, EveryStep, ("begins each step", "Server gives no log-probabilities")),
    ],
)
def test_the_policy_is_the_best_that_the_pair_can_run_and_a_sentence_says_why(small, large, thinks, policy, told):
    choice = automatic_choice({SMALL: small, LARGE: large}, thinks=thinks)
    assert choice.policy == policy.Settings()
    assert all(words in choice.reason for words in told)
    assert bool(choice.reason) is bool(told)


def test_the_demo_pair_has_its_own_lengths_and_a_person_s_choice_wins():
    assert demo_settings(AUTOMATIC).policy == DEMO_SETTINGS.policy
    chosen = AUTOMATIC.model_copy(update={"policy": EveryStep.Settings(n1=5)})
    assert started(Pair(ScriptedEngine("So."), ScriptedEngine("No.", name="large")), chosen)["policy"] == "every-step"


def started(pair: Pair, settings: RunSettings = AUTOMATIC) -> dict[str, object]:
    """The policy that a run has recorded."""
    trace = Trace.of(run_pair(pair, ask("2 + 2?", settings), settings))
    assert trace.started
    assert trace.started.settings["policy"]["policy"] == trace.started.policy
    return trace.started.settings["policy"]


# On two real models of different families and vocabularies


TOKENS = size(16, long=64)
SHORT = {"n1": 6, "n2": 8, "n3": 8, "step_cap": 24, "sentence_cap": 8, "p": 0.5, "opening": 8}
"""Lengths with which a short answer has several takeovers."""


@pytest.fixture(scope="module")
def pair(smollm2, gemma):
    small, large = (LocalEngine(path, LoadOptions(context=512, threads=1)) for path in (smollm2, gemma))
    yield Pair(small, large)
    for engine in (small, large):
        engine.close()


@pytest.mark.real_models
def test_real_files_decide_by_their_chat_templates(demo_pair, pair):
    assert started(demo_pair) == Keywords.Settings().model_dump(mode="json")
    assert started(pair) == TokenEntropy.Settings().model_dump(mode="json")


@pytest.mark.real_models
@pytest.mark.scaled
@pytest.mark.parametrize("name", ["keywords", "first-token-entropy", "step-score", "relay", "always"])
def test_a_policy_answers_on_two_real_models(pair, name):
    """Those that together need all that an engine can do, and whose first writer is either model."""
    policy, needs = POLICIES[name], POLICIES[name].needs
    fitting = {field: value for field, value in SHORT.items() if field in policy.Settings.model_fields}
    chosen = policy.Settings().model_copy(update=fitting)
    settings = RunSettings(policy=chosen, max_tokens=TOKENS, boundary=Boundary.LINE, instruction="", seed=1)
    trace = Trace.of(run_pair(pair, ask("List ten animals, each on a line of its own.", settings), settings))
    assert trace.finish in (Finish.END_OF_TEXT, Finish.MAX_TOKENS, Finish.REPETITION), trace.ended
    assert len(trace.steps) > 1
    assert bool(needs.of_large) is any(isinstance(event, Judged) for event in trace.events)
    written = [event for event in trace.events if isinstance(event, events.TokenWritten)]
    own = [token for token in written if token.author is policy.default_writer]
    assert all(len(token.alternatives) == needs.alternatives for token in own)
    assert own or not needs.small
