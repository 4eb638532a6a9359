"""The paper's three rules, and every row of the table in which the three presets differ."""

from __future__ import annotations

import pytest

from core.engines.body import Author
from core.thinking.cues import Category, Lexicon, Match
from core.thinking.events import Counted, Rule, TakeoverEnded, TakeoverStarted, TextDiscarded, TextInserted
from core.thinking.loop import LoopSettings
from core.thinking.policies.keywords import Keywords
from core.thinking.policy import Keep
from core.thinking.presets import BATON, PAPER, PRESETS, REFERENCE, KeywordSettings
from tests.core.thinking.running import Run, keywords, run
from tests.fakes.scripted import ScriptedEngine

LONG = "word " * 200


def rules(done: Run) -> list[Rule]:
    return [takeover.rule for takeover in done.all(TakeoverStarted)]


def with_(settings: KeywordSettings, **changes: object) -> KeywordSettings:
    return settings.model_copy(update=changes)


# The three rules


@pytest.mark.parametrize(("word", "rule"), [("Wait", Rule.REFLECTION), ("Yes", Rule.AFFIRMATION)])
def test_a_cue_after_a_boundary_gives_the_sentence_to_the_large_model(word: str, rule: Rule) -> None:
    done = run(keywords(with_(BATON, n1=2)), [f"One.\n\n{word}, hm", " End.</think>"], ["It is two. And"])
    assert done.told[:3] == [("small", "One.\n\n"), ("large", "It is two."), ("small", " End.</think>")]
    assert rules(done) == [rule]
    assert done.all(TakeoverStarted)[0].tokens == 2


def test_a_statement_stays_with_the_small_model() -> None:
    done = run(keywords(BATON), ["One.\n\nTwo is next.\n\nThree.</think>4"])
    assert rules(done) == []
    assert done.trace.large_share == 0


def test_cues_before_the_first_boundary_are_not_looked_at() -> None:
    assert rules(run(keywords(BATON), ["Wait, yes, check.\n\nOne.</think>"])) == []


def test_a_verification_cue_in_what_the_large_model_wrote_gives_it_n2_tokens_more() -> None:
    settings = with_(BATON, n1=3, n2=4)
    done = run(
        keywords(settings), ["One.\n\nWait, hm", " End.</think>"], ["Let us verify it. No", " It is so: four. No"]
    )
    assert rules(done) == [Rule.REFLECTION, Rule.VERIFICATION]
    assert done.trace.text == "One.\n\nLet us verify it. It is so: four. End.</think>"


def test_verification_reads_the_small_models_sentence_too() -> None:
    """A list of cues may hold words that only verify: the sentence stays, and the large model goes on."""
    lexicon = Lexicon({Category.REFLECTION: {"wait": ()}, Category.VERIFICATION: {"prove": ()}})
    done = run(
        Keywords(with_(BATON, n2=2), lexicon), ["One.\n\nLet us prove it. No", " End.</think>"], [" It holds. No"]
    )
    assert rules(done) == [Rule.VERIFICATION]
    assert done.trace.text == "One.\n\nLet us prove it. It holds. End.</think>"


def test_the_reference_verifies_only_what_the_large_model_wrote() -> None:
    lexicon = Lexicon({Category.REFLECTION: {"wait": ()}, Category.VERIFICATION: {"prove": ()}}, Match.SUBSTRING)
    done = run(Keywords(with_(REFERENCE, n1=4), lexicon), ["One.\n\nLet us prove it. No", "Two.</think>"])
    assert rules(done) == []


def endless_reflection(settings: KeywordSettings, max_tokens: int = 4000) -> Run:
    """The small model reflects in every sentence, and the large one never does."""
    return run(
        keywords(settings),
        ScriptedEngine(continue_with=lambda *_: "Wait, hm.\n\n" * 50),
        ScriptedEngine(continue_with=lambda *_: "So it is.\n\n" * 200, name="large"),
        LoopSettings(max_tokens=max_tokens),
    )


def between_firings(done: Run) -> list[int]:
    """Reflections before each insertion of the auxiliary prompt."""
    counts = [0]
    for event in done.trace.events:
        if isinstance(event, TextInserted):
            counts.append(0)
        elif isinstance(event, TakeoverStarted) and event.rule is Rule.REFLECTION:
            counts[-1] += 1
    return counts[:-1]


def test_too_many_reflections_insert_the_auxiliary_prompt_and_n3_tokens_of_the_large_model() -> None:
    done = endless_reflection(with_(PAPER, n1=2, n3=7, c=3), max_tokens=150)
    first = done.all(TextInserted)[0]
    after = next(piece for piece in done.trace.pieces if piece.rule is Rule.EXCESSIVE_REFLECTION and piece.tokens)
    assert first.rule is Rule.EXCESSIVE_REFLECTION
    assert after.author is Author.LARGE
    assert (after.takeover and after.takeover.tokens) == 7


def test_the_counter_is_told_and_goes_back_to_zero() -> None:
    done = endless_reflection(with_(REFERENCE, n1=2, n3=5, c=3), max_tokens=100)
    told = [(count.reflections, count.limit) for count in done.all(Counted)]
    assert told[:5] == [(1, 3), (2, 3), (3, 3), (0, 8), (1, 8)]


def test_the_opening_comes_first() -> None:
    done = run(keywords(with_(BATON, opening=3)), [" More.</think>"], ["Let me begin. No"])
    assert done.told == [("large", "Let me begin."), ("small", " More.</think>")]
    assert rules(done) == [Rule.OPENING]


# The table of presets


def test_defaults_are_the_papers() -> None:
    for preset in PRESETS.values():
        assert (preset.n1, preset.n2, preset.n3, preset.c, preset.opening) == (20, 125, 125, 15, 0)


@pytest.mark.parametrize(
    ("preset", "allowed"), [(PAPER, [15] * 5), (REFERENCE, [15, 20, 25, 30, 30]), (BATON, [15, 20, 25, 30, 30])]
)
def test_row_c(preset: KeywordSettings, allowed: list[int]) -> None:
    done = endless_reflection(with_(preset, n1=2, stop_at_first_cue=True))
    assert between_firings(done)[:5] == allowed


def test_a_text_gone_on_with_keeps_its_counter_and_its_firings() -> None:
    settings = with_(REFERENCE, n1=2, n3=5, n3_step=5, c=2, c_step=0, c_most=2)
    whole = endless_reflection(settings, max_tokens=120)
    first = endless_reflection(settings, max_tokens=50)
    assert between_firings(first)[-1:] == [2], "it fired before"
    small = ScriptedEngine(continue_with=lambda *_: "Wait, hm.\n\n" * 50)
    large = ScriptedEngine(continue_with=lambda *_: "So it is.\n\n" * 200, name="large")
    rest = run(keywords(settings), small, large, LoopSettings(max_tokens=120), so_far=first.trace, first=Keep())
    lengths = [t.tokens for t in first.all(TakeoverStarted) + rest.all(TakeoverStarted)]
    assert lengths == [t.tokens for t in whole.all(TakeoverStarted)]


@pytest.mark.parametrize(
    ("preset", "lengths"),
    [(PAPER, [125] * 5), (REFERENCE, [125, 150, 175, 200, 200]), (BATON, [125, 150, 175, 200, 200])],
)
def test_row_n3(preset: KeywordSettings, lengths: list[int]) -> None:
    done = endless_reflection(with_(preset, n1=2, c=2, c_step=0, c_most=2))
    planned = [t.tokens for t in done.all(TakeoverStarted) if t.rule is Rule.EXCESSIVE_REFLECTION]
    assert planned[:5] == lengths


@pytest.mark.parametrize(
    ("preset", "prompt"),
    [
        (PAPER, "Let us check whether there are some wrong steps."),
        (REFERENCE, "Let me check whether there are some wrong steps:"),
        (BATON, "Let us check whether there are some wrong steps. "),
    ],
)
def test_row_auxiliary_prompt(preset: KeywordSettings, prompt: str) -> None:
    assert endless_reflection(with_(preset, n1=2, c=1), 200).all(TextInserted)[0].text == prompt


@pytest.mark.parametrize(
    ("preset", "word", "taken"),
    [
        (PAPER, "wait", True),
        (PAPER, "verified", False),
        (PAPER, "awaiting", False),
        (REFERENCE, "wait", True),
        (REFERENCE, "verified", False),
        (REFERENCE, "awaiting", True),
        (BATON, "wait", True),
        (BATON, "verified", True),
        (BATON, "awaiting", False),
    ],
)
def test_row_cue_match(preset: KeywordSettings, word: str, taken: bool) -> None:
    done = run(keywords(with_(preset, n1=4)), [f"One.\n\nWe are {word} it now", "Two.</think>"], [LONG])
    assert bool(rules(done)) is taken


@pytest.mark.parametrize(("preset", "writes"), [(PAPER, 1), (REFERENCE, 2), (BATON, 1)])
def test_row_lookahead_kept_on_a_statement(preset: KeywordSettings, writes: int) -> None:
    done = run(keywords(with_(preset, n1=3)), ["One.\n\nTwo is even. So.</think>", "Sampled again.</think>"])
    assert len(done.small.calls) == writes
    assert ("Sampled again" in done.trace.text) is (writes == 2)
    assert [gone.text for gone in done.all(TextDiscarded)] == ["Two is even"] * (writes - 1)


@pytest.mark.parametrize(("preset", "looked_at"), [(PAPER, 6), (REFERENCE, 6), (BATON, 2)])
def test_row_lookahead_length(preset: KeywordSettings, looked_at: int) -> None:
    done = run(keywords(with_(preset, n1=6)), ["One.\n\nWait, it is not. Or is it", " End"], [LONG])
    assert [gone.tokens for gone in done.all(TextDiscarded)] == [looked_at]


def test_row_lookahead_length_ends_with_the_sentence_in_baton() -> None:
    done = run(keywords(BATON), ["One.\n\nTwo. Wait, three.</think>"])
    assert rules(done) == []


@pytest.mark.parametrize(("preset", "text"), [(PAPER, "So we"), (REFERENCE, "So we"), (BATON, "So we see.")])
def test_row_end_of_a_takeover(preset: KeywordSettings, text: str) -> None:
    done = run(keywords(with_(preset, n1=2)), ["One.\n\nWait, no", " End</think>"], ["So we see. Then"])
    assert [piece.text for piece in done.trace.pieces if piece.author is Author.LARGE] == [text]


def test_row_end_of_a_takeover_is_at_most_32_tokens_late() -> None:
    done = run(keywords(with_(BATON, n1=2)), ["One.\n\nWait, no", " End</think>"], [LONG])
    assert [ended.tokens for ended in done.all(TakeoverEnded)] == [2 + 32]


def test_row_end_of_a_takeover_may_be_inside_a_word_for_the_reference() -> None:
    done = run(keywords(with_(REFERENCE, n1=2)), ["One.\n\nWait, no", " End</think>"], [["So", " ver", "ify"]])  # type: ignore[list-item]
    assert done.trace.text == "One.\n\nSo ver End</think>"


@pytest.mark.parametrize("preset", [REFERENCE, BATON])
def test_row_precedence_is_opening_then_counter_then_lookahead(preset: KeywordSettings) -> None:
    done = endless_reflection(with_(preset, n1=2, c=1, opening=5), 400)
    assert rules(done)[:3] == [Rule.OPENING, Rule.REFLECTION, Rule.EXCESSIVE_REFLECTION]
    inserted = next(i for i, piece in enumerate(done.trace.pieces) if piece.author is Author.INSERTED)
    assert done.trace.pieces[inserted].replaced == ""
    assert done.trace.pieces[inserted - 1].text.endswith("\n\n")


@pytest.mark.parametrize(("preset", "answer_too"), [(PAPER, True), (REFERENCE, True), (BATON, False)])
def test_row_scope(preset: KeywordSettings, answer_too: bool) -> None:
    small = ["One.</think>\n\nFour is it.\n\nYes, it is four", " End", " End"]
    done = run(keywords(with_(preset, n1=3, keep_lookahead=True)), small, [LONG])
    assert bool(rules(done)) is answer_too


def test_row_scope_the_large_model_goes_on_to_the_end_where_it_closed_the_thinking() -> None:
    done = run(keywords(with_(BATON, n1=20)), ["One.\n\nWait, no"], ["So.</think>", "\n\nIt is four. Truly.\n\nYes."])
    assert rules(done) == [Rule.REFLECTION, Rule.ANSWER]
    assert done.trace.answer.strip() == "It is four. Truly.\n\nYes."


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_row_boundaries_inside_a_takeover_bring_no_decision_and_count_as_steps(preset: KeywordSettings) -> None:
    done = run(
        keywords(with_(preset, n1=12)), ["One.\n\nWait, no", " End.</think>"], ["So.\n\nYes, it is.\n\nYes, so. It"]
    )
    assert rules(done) == [Rule.REFLECTION]
    assert len(done.trace.steps) == 4


def test_a_boundary_inside_a_lookahead_of_fixed_length_is_decided_after_it() -> None:
    """The paper's lookahead is n1 tokens; the sentence after a boundary inside it is looked at all the same."""
    done = run(keywords(with_(PAPER, n1=5)), ["One.\n\nTwo.\n\nThree. Wait, no, no, no", " End.</think>"], [LONG])
    assert rules(done) == [Rule.REFLECTION]
    assert done.trace.pieces[1].text == "Two.\n\n"
