"""A conversation is a tree, whatever a file says of its parents."""

import pytest

from baton_reasoning.core.conversation import Conversation, Exchange


@pytest.mark.parametrize(
    ("parents", "leaf", "path"),
    [
        ({"1": None, "2": "1", "3": "1"}, "2", ["1", "2"]),
        ({"1": None, "2": "1", "3": "1"}, None, ["1", "3"]),
        ({"1": None, "2": "1"}, "nothing", ["1", "2"]),
        ({"1": "2", "2": "1"}, "2", ["1", "2"]),
        ({"1": "1", "2": "gone"}, "2", ["2"]),
        ({}, None, []),
    ],
)
def test_the_shown_path_goes_up_from_the_leaf_or_the_newest_and_no_circle_is_kept(parents, leaf, path):
    conversation = Conversation()
    conversation.set_tree(((Exchange("", id=id), parent) for id, parent in parents.items()), leaf)
    assert [exchange.id for exchange in conversation.path] == path
    assert {exchange.id for exchange in conversation} == parents.keys()
