"""The policies but keywords: never, always, every step, random, first-token entropy, step score, cascade and relay."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from baton_reasoning.core.engines.base import Alternative
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import Pair, ask
from baton_reasoning.core.run import run as run_pair
from baton_reasoning.core.thinking.cue_rules import Scope
from baton_reasoning.core.thinking.cues import Category, Lexicon
from baton_reasoning.core.thinking.events import Finish, Judged, TakeoverStarted, TextDiscarded, TokenWritten
from baton_reasoning.core.thinking.interruptions import Control, Limits
from baton_reasoning.core.thinking.policies.always import Always
from baton_reasoning.core.thinking.policies.cascade import Cascade
from baton_reasoning.core.thinking.policies.every_step import EVERY_STEP, EveryStep
from baton_reasoning.core.thinking.policies.first_token_entropy import ENTROPY, FirstTokenEntropy
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.policies.relay import Relay
from baton_reasoning.core.thinking.policies.step_score import SCORE, StepScore
from baton_reasoning.core.thinking.policy import PolicyContext
from baton_reasoning.core.thinking.reasons import ANSWER, OPENING
from baton_reasoning.core.thinking.requests import Until
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.steps import Boundary
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import Run, rules, run
from tests.fakes.scripted import CERTAIN, TORN, Kind, ScriptedEngine

THREE = "One.\n\nTwo.\n\nThree.</think>\n\nFour."


def at_random(chance: float, seed: int) -> RandomTakeover:
    return RandomTakeover(RandomTakeover.Settings(p=chance, n1=1, until=Until.SENTENCE), PolicyContext(seed))


def entropy() -> FirstTokenEntropy:
    return FirstTokenEntropy(FirstTokenEntropy.Settings(tau=0.95, step_cap=512))


def scoring() -> StepScore:
    return StepScore(StepScore.Settings(threshold=7, step_cap=512, weighted=False))


def every_step(opening: int) -> EveryStep:
    return EveryStep(EveryStep.Settings(opening=opening, n1=2, until=Until.TOKENS))


def test_small_only_never_asks_the_large_model():
    done = run(Never(), [THREE])
    assert done.trace.text == THREE
    assert (done.trace.large_share, done.large.calls) == (0, [])


def test_large_only_never_asks_the_small_model_and_is_one_write():
    done = run(Always(), large=[THREE])
    assert done.trace.text == THREE
    assert (done.trace.large_share, done.small.calls, len(done.large.calls)) == (1, [], 1)


def test_large_only_closes_its_own_thinking_where_it_forgot_to():
    done = run(Always(), large=["One.", "Four."])
    assert done.trace.answer.strip() == "Four."
    assert done.small.calls == []


def test_every_step_is_opened_by_the_large_model_and_ended_by_the_small_one():
    done = run(every_step(opening=3), ["go.\n\nNo", "is.\n\nNo", "end.</think>"], ["I say: ", "It all ", "The "])
    assert rules(done)[:3] == [OPENING, EVERY_STEP, EVERY_STEP]
    assert [piece.author for piece in done.trace.pieces[:4]] == [Author.LARGE, Author.SMALL] * 2
    cues = run(every_step(opening=2), ["Wait, yes. Check.\n\n", "End.</think>"], ["I say so", "It is so"])
    assert (rules(cues), cues.all(TextDiscarded)) == ([OPENING, EVERY_STEP], []), "nothing is classified"
    small_first = run(every_step(opening=0), ["Go.\n\nNo", "end.</think>"], ["It all "])
    assert rules(small_first) == [EVERY_STEP]
    assert small_first.trace.pieces[0].author is Author.SMALL


def test_the_large_models_end_within_a_takeover_ends_a_text_without_thinking():
    small, large = ScriptedEngine("No", thinking=None), ScriptedEngine("It is four.", name="large", thinking=None)
    done = run(every_step(opening=100), small, large)
    assert (done.trace.text, done.trace.finish) == ("It is four.", Finish.END_OF_TEXT)
    assert done.small.calls == [], "no token is written after the end"


def test_a_large_model_with_nothing_to_write_has_found_a_text_without_thinking_complete():
    small, large = ScriptedEngine("Four.\n\n", "No", thinking=None), ScriptedEngine("", name="large", thinking=None)
    done = run(every_step(opening=0), small, large)
    assert (done.trace.text, done.trace.finish) == ("Four.\n\n", Finish.END_OF_TEXT)
    in_the_answer = EveryStep.Settings(opening=0, scope=Scope.ALL)
    assert run(EveryStep(in_the_answer), ["So.</think>Four.\n\n", "No"], [""]).trace.answer == "Four.\n\n"


def test_a_small_model_with_nothing_to_write_hands_back_to_the_large_one():
    small, large = (
        ScriptedEngine("", thinking=None),
        ScriptedEngine("One.\n\nWait, it", " is 4.", name="large", thinking=None),
    )
    assert run(Relay(), small, large).trace.text == "One.\n\nWait, is 4."


def test_the_large_models_end_within_a_takeover_closes_thinking_that_is_open():
    done = run(every_step(opening=100), ["Four."], ["It is four."])
    assert done.trace.text == "It is four.\n</think>\n\nFour."


def test_random_takeovers_come_with_the_chance_that_was_asked_for():
    small = ScriptedEngine(continue_with=lambda *_: "One.\n\n" * 1000)
    large = ScriptedEngine(continue_with=lambda *_: " Two. Three", name="large")
    done = run(at_random(0.25, seed=3), small, large, RunSettings(max_tokens=2000))
    boundaries = sum(piece.text.endswith("\n\n") for piece in done.trace.pieces if piece.author is Author.SMALL)
    share = len(rules(done)) / boundaries
    assert abs(share - 0.25) < 4 * math.sqrt(0.25 * 0.75 / boundaries)


def by_chance(seed: int, before: Trace | None = None) -> Run:
    small = ScriptedEngine(continue_with=lambda *_: "One.\n\n" * 100)
    large = ScriptedEngine(continue_with=lambda *_: " Two. Three", name="large")
    return run(at_random(0.5, seed), small, large, RunSettings(max_tokens=200), before=before)


def places(done: Run) -> list[int]:
    return [takeover.position for takeover in done.all(TakeoverStarted)]


def test_random_takeovers_repeat_with_their_seed():
    assert places(by_chance(1)) == places(by_chance(1)) != places(by_chance(2))


def test_a_text_gone_on_with_meets_the_dice_of_its_place():
    whole = by_chance(3)
    for place in places(whole)[:6]:
        assert places(by_chance(3, before=whole.trace.until(place))) == places(whole)


def test_the_entropy_of_alternatives_is_scaled_to_a_sum_of_1():
    def of(*logprobs: float) -> float:
        others = tuple(Alternative(None, "", logprob) for logprob in logprobs)
        return TokenWritten(0.0, Author.SMALL, None, "", alternatives=others).entropy_of_alternatives

    assert of(*[math.log(0.1)] * 4) == pytest.approx(math.log(4))
    assert of(0.0) == 0
    assert of() == 0


def test_an_unsure_first_token_gives_its_step_to_the_large_model():
    small = ScriptedEngine(
        "One.\n\nTwo", "Three is sure.</think>", chances=lambda body: TORN if body.endswith("One.\n\n") else CERTAIN
    )
    done = run(entropy(), small, ["Better two.\n\nNo", " Four."])
    assert done.trace.text == "One.\n\nBetter two.\n\nThree is sure.</think> Four."
    assert rules(done) == [ENTROPY, ANSWER]
    assert [gone.text for gone in done.all(TextDiscarded)] == ["Two"]


def test_a_sure_first_token_changes_nothing():
    small = ScriptedEngine(
        "One.\n\nTwo is so.</think>", chances=lambda body: TORN if body and not body.endswith("\n\n") else CERTAIN
    )
    assert rules(run(entropy(), small, ["Four."])) == [ANSWER]


def test_white_space_after_a_boundary_is_not_the_first_token():
    small = ScriptedEngine(
        ["One.", "\n\n", "\n", "Two", ".", "</think>"],
        chances=lambda body: TORN if body.endswith(".\n\n\n") else CERTAIN,
    )
    done = run(entropy(), small, ["Better.\n\nNo"])
    assert rules(done)[0] == ENTROPY


def test_entropy_asks_for_twenty_alternatives_of_the_small_model_alone():
    done = run(entropy(), ["One.</think>"], ["Four."])
    assert [call.alternatives for call in done.small.calls] == [20]
    assert [call.alternatives for call in done.large.calls] == [0]


def test_a_step_with_a_low_score_is_written_again_by_the_large_model():
    large = ScriptedEngine("Better.\n\nNo", name="large", marks="93")
    done = run(scoring(), ["One.\n\n", "Two.\n\n", "Three.</think>"], large)
    assert done.trace.text == "One.\n\nBetter.\n\nThree.</think>"
    assert [judged.probabilities.index(1.0) for judged in done.all(Judged)] == [9, 3, 9], "the closing step, too"
    assert rules(done) == [SCORE]
    piece = next(piece for piece in done.trace.pieces if piece.author is Author.LARGE)
    assert (piece.replaced, piece.judged) == ("Two.\n\n", done.all(Judged)[1])


def test_a_score_at_the_threshold_is_accepted():
    large = ScriptedEngine(name="large", marks="7")
    assert rules(run(scoring(), ["One.\n\nTwo.</think>"], large)) == []


@pytest.mark.parametrize(("chances", "stands"), [({5: 0.5, 9: 0.5}, True), ({5: 0.6, 9: 0.4}, False)])
def test_a_weighted_score_is_the_mean_over_the_digits(chances, stands):
    large = ScriptedEngine("Better.</think>", name="large")
    large.judged = lambda body, choices: [chances.get(n, 0.0) for n in range(len(choices))]  # type: ignore[method-assign]  # noqa: ARG005
    done = run(StepScore(StepScore.Settings(threshold=7, weighted=True)), ["One.</think>"], large)
    assert (rules(done) == []) is stands


def test_the_question_never_enters_the_text_of_the_large_model():
    large = ScriptedEngine("Better.\n\nNo", name="large", marks="3")
    done = run(scoring(), ["One.\n\nNo", "Three.</think>"], large)
    assert [call.kind for call in done.large.calls] == [Kind.JUDGE, Kind.WRITE, Kind.JUDGE]
    assert all("score" not in call.body.lower() for call in done.large.calls)


def test_what_the_judge_reads_counts_as_read_by_the_large_model():
    large = ScriptedEngine(name="large", marks="9")
    done = run(scoring(), ["One.\n\nTwo.</think>"], large)
    judged, call = done.all(Judged)[0], done.large.calls[0]
    assert judged.handoff.prefilled == call.prefilled > 0
    assert done.trace.totals[Author.LARGE].prefilled == judged.handoff.prefilled


def test_a_judge_who_is_stopped_gives_no_score():
    control = Control()

    def stopping() -> Iterator[str]:
        control.stop()
        yield "9"

    large = ScriptedEngine(name="large", marks=stopping())
    done = run(scoring(), ["One.\n\nTwo.</think>"], large, interruptions=[control])
    assert (done.trace.finish, done.all(Judged)) == (Finish.STOPPED, [])


def test_a_step_that_was_written_again_is_no_repetition():
    large = ScriptedEngine("Better.\n\nNo", name="large", marks="39")
    done = run(scoring(), ["One.\n\n", "One.\n\n", "End.</think>"], large)
    assert done.trace.text == "Better.\n\nOne.\n\nEnd.</think>"


def test_two_identical_steps_in_a_row_close_the_thinking():
    done = run(scoring(), ["One.\n\n", "One.\n\n", "Four."])
    assert done.trace.answer.strip() == "Four."
    assert done.trace.finish is Finish.END_OF_TEXT


# Settings that the published programs fix


def test_the_first_steps_may_be_the_large_models():
    large = ScriptedEngine("Plan.\n\nNo", "More.\n\nNo", name="large", marks="9")
    done = run(StepScore(StepScore.Settings(first_steps_large=2)), ["End.</think>No", "Four."], large)
    assert rules(done) == [OPENING, OPENING]
    assert done.trace.text == "Plan.\n\nMore.\n\nEnd.</think>Four."


def test_a_small_step_that_does_not_end_is_judged_at_the_cap():
    large = ScriptedEngine("Better.\n\nNo", name="large", marks="19")
    done = run(StepScore(StepScore.Settings(step_cap=5)), ["word " * 50, "End.</think>No", "Four."], large)
    assert rules(done) == [SCORE]
    assert done.trace.text == "Better.\n\nEnd.</think>Four."


def test_white_space_between_two_caps_is_rewritten_without_the_step_before_it():
    small = ScriptedEngine([" a", " b"], ["\t", "\t"], ["End", "</think>"])
    large = ScriptedEngine([" c", " d", "No"], name="large", marks="919")
    assert run(StepScore(StepScore.Settings(step_cap=2)), small, large).trace.text == " a b c dEnd</think>"


def test_blanks_at_the_cap_are_rewritten_without_the_line_before_them():
    small = ScriptedEngine(["Good", " step", ".", "\n"], *[[" "] * 4] * 3, ["End", "</think>"])
    large = ScriptedEngine(*[["Two", "\n"]] * 3, ["Four"], name="large", marks="90909099")
    settings = RunSettings(boundary=Boundary.LINE, max_tokens=40)
    done = run(StepScore(StepScore.Settings(step_cap=4)), small, large, settings)
    assert done.trace.text.startswith("Good step.\n")
    assert {gone.text for gone in done.all(TextDiscarded)} == {"    "}


def test_the_step_that_closes_the_thinking_is_judged_too():
    large = ScriptedEngine("Better.</think>Five.", name="large", marks="1")
    done = run(StepScore(), ["One.</think>Four."], large)
    assert len(done.all(Judged)) == 1
    assert SCORE in rules(done)


@pytest.mark.parametrize(
    ("mark", "text"), [("9", "One.\n\nIt is 5."), ("1", "One.\n\nIt is 4.")], ids=["it stands", "it is rewritten"]
)
def test_the_last_step_of_a_text_without_thinking_is_judged_too(mark, text):
    small = ScriptedEngine("One.\n\n", "It is 5.", "No", thinking=None)
    large = ScriptedEngine("It is 4.", name="large", thinking=None, marks=f"9{mark}")
    done = run(scoring(), small, large)
    assert len(done.all(Judged)) == 2
    assert (done.trace.text, done.trace.finish) == (text, Finish.END_OF_TEXT)


def test_a_step_that_was_judged_at_the_end_of_the_text_is_not_judged_again():
    small = ScriptedEngine("One.\n\n", "", "No", thinking=None)
    done = run(scoring(), small, ScriptedEngine(name="large", thinking=None, marks="99"))
    assert (len(done.all(Judged)), done.trace.text) == (1, "One.\n\n")


def test_the_first_step_is_probed_and_so_is_the_one_after_the_cap():
    done = run(
        FirstTokenEntropy(FirstTokenEntropy.Settings(step_cap=3)),
        ScriptedEngine("a b c d e f", "g.</think>", chances=lambda body: TORN if body.count("c") else CERTAIN),
        ScriptedEngine("x.\n\nNo", "Four.", name="large"),
    )
    assert rules(done)[0] == ENTROPY
    assert done.all(TakeoverStarted)[0].position == len("a b c")


def test_a_first_character_of_several_tokens_is_probed():
    small = ScriptedEngine(
        [*("é".encode()[i : i + 1] for i in range(2)), "t", ".", "</think>"],
        chances=lambda body: CERTAIN if body else TORN,
    )
    assert rules(run(FirstTokenEntropy(), small, ["Better.</think>", "Four."]))[0] == ENTROPY


def test_the_answer_after_entropy_is_the_large_models():
    done = run(FirstTokenEntropy(), ["One.</think>No"], ["Four."])
    assert rules(done) == [ANSWER]
    assert done.trace.answer == "Four."


# The small model answers alone, and the large one solves the problem afresh if that came to nothing sure


AFRESH = "Two and two.</think>Four."


def solved(*texts: str, limits: Limits = Limits(), sure_of: str = "", **card: object) -> Trace:  # noqa: B008 - immutable
    """The small model writes the texts, and is sure of each token after one that ends with `sure_of`."""
    given = RunSettings(policy=Cascade.Settings(), limits=limits)
    chances = {True: (1.0,), False: (0.5, 0.5)}
    small = ScriptedEngine(*texts, chances=lambda body: chances[sure_of in body]).with_card(**card)
    return Trace.of(run_pair(Pair(small, ScriptedEngine(AFRESH, name="large")), ask("2 + 2?", given), given))


def test_the_small_model_answers_alone_even_if_it_repeats_itself():
    assert solved("Two.\n\nTwo.\n\nTwo.</think>4").text == "Two.\n\nTwo.\n\nTwo.</think>4"


def test_a_problem_for_which_the_small_models_context_is_too_short_is_solved_afresh():
    trace = solved("One, two, three, four.</think>4", context=25)
    assert trace.totals[Author.SMALL].discarded
    assert trace.text == AFRESH


def test_the_thinking_before_a_limit_counts_for_the_confidence():
    unsure = solved("One, two, three, four", "Four.", limits=Limits(max_thinking_tokens=6), sure_of="</think>")
    assert unsure.text == AFRESH
    sure = solved("One, two, three, four", "Four.", limits=Limits(max_thinking_tokens=6))
    assert sure.text.endswith("</think>\n\nFour.")


# The large model writes, and the small one takes easy sentences


def test_relay_reads_the_cues_of_the_run():
    lexicon = Lexicon({Category.REFLECTION: {"therefore": ()}})
    large = ScriptedEngine("Wait, one.\n\nTherefore, it", " So.</think>", name="large")
    done = run(Relay(context=PolicyContext(lexicon=lexicon)), ScriptedEngine(" is. No", "Four."), large)
    assert [takeover.cue.word for takeover in done.all(TakeoverStarted) if takeover.cue] == ["Therefore"]


def test_a_sentence_by_the_small_model_is_capped():
    large = ScriptedEngine("One is it.\n\nWait, let us", " So it is.</think>", name="large")
    done = run(Relay(Relay.Settings(sentence_cap=3)), ScriptedEngine(" a b c d e f", "Four."), large)
    assert done.trace.text == "One is it.\n\nWait, a b c So it is.</think>Four."


def test_the_large_model_may_write_the_answer_too_and_a_cue_in_it_gives_nothing_away():
    large = ScriptedEngine("One.</think>Wait, it is four.", name="large")
    done = run(Relay(Relay.Settings(small_answers=False)), ScriptedEngine(" No"), large)
    assert (rules(done), done.trace.large_share) == ([], 1)
