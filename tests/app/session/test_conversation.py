"""A conversation is a tree; models are told the turns of its path, without the thinking."""

from baton_reasoning.app.session.conversation import Conversation, Exchange
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.policies.never import Never
from tests.core.thinking.running import run

PLAIN = RunSettings(instruction="")


def answered(problem: str, text: str, parent: Exchange | None = None) -> Exchange:
    return Exchange(problem, PLAIN, parent, run(Never(), [text]).trace)


def test_models_are_told_earlier_answers_without_their_thinking():
    conversation = Conversation()
    first = answered("2 + 2?", "Hm.</think>\n\nIt is 4.")
    conversation.add(first)
    conversation.add(Exchange("And 3 + 3?", PLAIN, first))
    assert conversation.leaf
    assert [(message.role, message.content) for message in conversation.leaf.messages()] == [
        ("user", "2 + 2?"),
        ("assistant", "It is 4."),
        ("user", "And 3 + 3?"),
    ]


def test_an_earlier_question_stands_as_it_was_asked_so_that_it_is_not_read_again():
    first = Exchange("2 + 2?", RunSettings(instruction="Step by step."), None, run(Never(), ["4.</think>4"]).trace)
    second = Exchange("And 3 + 3?", PLAIN, first)
    assert second.messages()[: len(first.messages())] == first.messages()


def test_a_second_try_stands_beside_the_first_and_nothing_is_lost():
    conversation = Conversation()
    one, other = Exchange("2 + 2?", PLAIN), Exchange("2 + 2?", PLAIN)
    conversation.add(one)
    conversation.add(other)
    assert conversation.siblings(one) == [one, other]
    assert conversation.path == [other]


def test_walking_to_a_sibling_shows_the_newest_branch_below_it():
    conversation = Conversation()
    one, other = Exchange("a", PLAIN), Exchange("b", PLAIN)
    conversation.add(one)
    conversation.add(Exchange("a, early", PLAIN, one))
    late = Exchange("a, late", PLAIN, one)
    conversation.add(late)
    conversation.add(other)
    conversation.show(one)
    assert conversation.path == [one, late]


def test_the_first_problem_is_the_title_until_a_person_gives_one():
    conversation = Conversation()
    assert conversation.name == "New conversation"
    conversation.add(answered("How many fish?", "Okay, so the user asks.</think>\n\n10"))
    assert conversation.name == "How many fish?"
    conversation.title = "Fish"
    assert conversation.name == "Fish"


def test_every_exchange_comes_after_its_parent():
    conversation = Conversation()
    first = Exchange("1", PLAIN)
    second = Exchange("2", PLAIN, first)
    for exchange in (first, second, Exchange("3", PLAIN, second), Exchange("2b", PLAIN, first)):
        conversation.add(exchange)
    seen: list[Exchange] = []
    for exchange in conversation:
        assert exchange.parent is None or exchange.parent in seen
        seen.append(exchange)
    assert len(seen) == 4
