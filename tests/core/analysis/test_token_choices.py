"""What each model might have written in the place of a token: recorded with it, or found by reading."""

import math

import pytest

from baton_reasoning.core.analysis.token_choices import (
    ReadProgress,
    ReadTokens,
    TokenReading,
    choices_at,
    placed_tokens,
    readers_of,
)
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Alternative, ScoredToken
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.events import TokenWritten
from tests.core.thinking.running import keywords, run
from tests.fakes.scripted import ScriptedEngine

CHANCES = [0.6, 0.3, 0.1]


@pytest.fixture
def written():
    """A trace of both models, of which three alternatives a token were recorded."""
    small = ScriptedEngine("Add the ones.\n\nWait", "So it is 13.</think>\n\n13", chances=lambda _: CHANCES)
    large = ScriptedEngine("Wait, it is 14.\n\n", name="large", chances=lambda _: CHANCES)
    return run(keywords(), small, large, RunSettings(alternatives=3)).trace


def first_token(trace):
    return next(placed_tokens(trace.pieces[0]))


def test_each_token_stands_where_its_text_does(written):
    placed = [each for piece in written.pieces for each in placed_tokens(piece)]
    assert all(written.text[each.start : each.end] == each.token.text for each in placed)
    by_models = "".join(piece.text for piece in written.pieces if piece.author.is_model)
    assert "".join(each.token.text for each in placed) == by_models
    assert {each.piece.author for each in placed} == {Author.SMALL, Author.LARGE}


def test_both_models_read_the_finished_text_once_and_say_what_they_expected(written):
    small = ScriptedEngine(expects=lambda _, token: " ones" if token == " the" else token)
    large = ScriptedEngine(expects=lambda _, token: " units" if token == " the" else token)
    items = list(TokenReading(readers_of(small, large), written).read())
    read = dict(item for item in items if not isinstance(item, ReadProgress))
    assert [(len(engine.sessions), engine.written) for engine in (small, large)] == [(1, 0), (1, 0)]
    *_, last = (item for item in items if isinstance(item, ReadProgress))
    assert last == ReadProgress(Author.LARGE, last.total, last.total)
    place = written.text.index(" the")
    placed = next(each for each in placed_tokens(written.pieces[0]) if each.start == place)
    choices = {choice.text: choice for choice in choices_at(placed, read)}
    likely = {author: round(math.exp(each), 2) for author, each in choices[" the"].logprobs.items()}
    assert likely == {Author.SMALL: 0.01, Author.LARGE: 0.01}
    assert [text for text, choice in choices.items() if choice.stands] == [" the"]
    assert (list(choices[" ones"].logprobs), list(choices[" units"].logprobs)) == ([Author.SMALL], [Author.LARGE])


def test_without_a_reading_the_writers_own_record_is_told(written):
    choices = choices_at(first_token(written), {})
    assert [list(choice.logprobs) for choice in choices] == [[Author.SMALL]] * len(choices)
    assert [choice.text for choice in choices if choice.stands] == [first_token(written).token.text]
    assert len(choices) > 1


def test_what_no_model_finds_likely_or_what_ends_inside_a_character_is_not_told(written):
    placed = first_token(written)
    others = Alternative(1, "rare", math.log(0.009)), Alternative(2, "\ufffd", -1.0), Alternative(3, "likely", -1.1)
    token = TokenWritten(0.0, Author.SMALL, 0, placed.token.text, -9.0, others)
    told = choices_at(placed._replace(token=token), {})
    assert [choice.text for choice in told] == ["likely", placed.token.text], "what stands is told however unlikely"


def test_a_token_of_another_vocabulary_that_begins_elsewhere_is_not_told(written):
    placed = first_token(written)
    elsewhere = ReadTokens("other", written.text, (ScoredToken(None, "dd", -0.1),), (1,))
    longer = ReadTokens("other", written.text, (ScoredToken(None, "Add the", -0.1),), (0,))
    told = choices_at(placed, {Author.LARGE: elsewhere})
    assert {author for each in told for author in each.logprobs} == {Author.SMALL}
    stands = {choice.text: choice.stands for choice in choices_at(placed, {Author.LARGE: longer})}
    assert stands["Add the"], "it stands there, in that vocabulary's own pieces"


def test_a_model_that_gives_no_scores_does_not_read_and_one_that_is_both_reads_once(written):
    silent = ScriptedEngine().with_ability(Ability.SCORES, False)
    assert readers_of(silent, None) == {}
    assert list(readers_of(silent, ScriptedEngine())) == [Author.LARGE]
    both = ScriptedEngine()
    assert list(readers_of(both, both)) == [Author.LARGE]


def test_a_reading_that_is_stopped_tells_nothing(written):
    engine = ScriptedEngine()
    reading = TokenReading(readers_of(None, engine), written)
    items = reading.read()
    assert next(items) == ReadProgress(Author.LARGE, 0, written.tokens)
    reading.stop()
    assert list(items) == []
