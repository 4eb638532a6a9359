"""A conversation is a tree, of which models are told a path; and the pair that writes in it."""

from pathlib import Path

import pytest

from baton_reasoning.app.session.chat_session import wish_of
from baton_reasoning.app.session.conversation import Conversation, Exchange, expected_answer
from baton_reasoning.app.session.loaded_models import Remark, close_pair
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.core.demo_pair import LARGE_MODEL, costly, held_out_problems
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.options import LocalFile, ServerUrls, parse_source
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.interruptions import Wish
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.reasons import PERSON
from baton_reasoning.core.thinking.requests import Step, TakeOver, Until
from tests.core.thinking.running import run

PLAIN = RunSettings(instruction="")


def answered(problem, text, settings=PLAIN):
    return Exchange(problem, settings, None, run(Never(), [text]).trace)


def test_models_are_told_earlier_answers_without_their_thinking():
    first = answered("2 + 2?", "Hm.</think>\n\nIt is 4.")
    second = Exchange("And 3 + 3?", PLAIN, first)
    assert [(message.role, message.content) for message in second.messages()] == [
        ("user", "2 + 2?"),
        ("assistant", "It is 4."),
        ("user", "And 3 + 3?"),
    ]
    first = answered("2 + 2?", "4.</think>4", RunSettings(instruction="Step by step."))
    messages = Exchange("And 3 + 3?", PLAIN, first).messages()
    assert messages[: len(first.messages())] == first.messages(), "as it was asked, so that it is not read again"


def test_walking_to_a_sibling_shows_the_newest_branch_below_it():
    conversation = Conversation()
    one, other = Exchange("a", PLAIN), Exchange("b", PLAIN)
    late = Exchange("a, late", PLAIN, one)
    for exchange in (one, Exchange("a, early", PLAIN, one), late, other):
        conversation.add(exchange)
    assert conversation.siblings(one) == [one, other]
    assert conversation.path == [other]
    conversation.show(one)
    assert conversation.path == [one, late]


def test_the_first_problem_is_the_title_until_a_person_gives_one():
    conversation = Conversation()
    assert conversation.name == "New conversation"
    conversation.add(answered("How many fish?", "Okay, so the user asks.</think>\n\n10"))
    assert conversation.name == "How many fish?"
    conversation.title = "Fish"
    assert conversation.name == "Fish"


def test_the_large_model_is_let_write_one_step_and_the_small_one_as_the_policy_says():
    wish = wish_of(Author.LARGE, PLAIN)
    assert wish
    assert isinstance(wish.request, TakeOver)
    assert (wish.request.reason, wish.request.until) == (PERSON, Until.STEP)
    assert wish_of(Author.SMALL, PLAIN) == Wish(Step())


def test_the_right_answer_is_known_for_problems_of_the_demo_pair_alone():
    problem = next(held_out_problems(1))
    assert expected_answer(problem.question) == problem.answer
    assert expected_answer("What is 2 + 2?") == ""


@pytest.mark.parametrize("text", ["localhost:8080", "office-server:8080/v1", "10.0.0.2:80"])
def test_an_address_without_http_is_a_server(text):
    assert parse_source(text) == ServerUrls((f"http://{text}",))


@pytest.mark.parametrize("text", ["models/a.gguf", "C:/models/a.gguf", "a:b.gguf"])
def test_a_path_is_still_a_file(text):
    assert parse_source(text) == LocalFile(Path(text))


@pytest.mark.slow
def test_the_demo_pair_is_made_at_the_first_start_or_opened_tiny_with_a_remark(tmp_path, monkeypatch):
    monkeypatch.delenv(costly.SWITCH)
    monkeypatch.setattr(costly, "RATIO", 2)
    monkeypatch.setattr(costly, "BLOCK", costly.Shape(feed_forward=256))

    def loaded():
        *told, pair = PairLoader(paths)(ModelChoice(), lambda _: None)
        assert isinstance(pair, Pair)
        close_pair(pair)
        texts, remarks = ([each for each in told if isinstance(each, kind)] for kind in (str, Remark))
        return texts, remarks, pair.large and pair.large.card.path

    paths = Paths.under(tmp_path / "usual")
    for is_first in (True, False):
        texts, remarks, file = loaded()
        assert (costly.MAKING in texts) is is_first
        assert not remarks
        assert file
        assert file.parent == paths.demo_pair
    paths = Paths.under(tmp_path / "full")
    (tmp_path / "full").mkdir()
    paths.cache.write_text("a file, where a folder should be", encoding="utf-8")
    _, (remark,), file = loaded()
    assert "equally fast" in remark.text
    assert file == LARGE_MODEL
