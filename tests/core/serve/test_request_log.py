"""The line that the endpoint writes for each request."""

import re
import threading

import httpx2
import openai
import pytest

from baton_reasoning.core.run import Pair
from tests.core.serve.serving import ENDLESS, LARGE_TEXT, SMALL_TEXT, ask, client_for, long_winded
from tests.fakes.scripted import ScriptedEngine

pytestmark = pytest.mark.slow

CHAT = "POST /v1/chat/completions"


def without_seconds(lines):
    found = [re.fullmatch(r"(.+), \d+\.\d s(.*)", line) for line in lines]
    return ["".join(each.groups()) if each else None for each in found]


def test_a_line_has_the_status_and_for_an_answer_arm_tokens_seconds_and_how_it_ended():
    lines: list[str] = []
    pair = Pair(ScriptedEngine(SMALL_TEXT), ScriptedEngine(LARGE_TEXT, name="large"))
    with client_for(pair, log=lines.append) as client:
        usage = ask(client).usage
        list(ask(client, "large", stream=True))
        ask(client, max_tokens=3)
        ask(client, stop="answer")
        with pytest.raises(openai.NotFoundError):
            ask(client, "gpt-9")
        httpx2.get(f"{client.base_url}models", headers={"Host": "evil.example"})
    by_small, by_large, cut, stopped, *refused = without_seconds(lines)
    prompt = usage.prompt_tokens
    assert by_small == f"{CHAT}: 200, small, {prompt} + {usage.completion_tokens} tokens, end of text"
    assert re.fullmatch(rf"{CHAT}: 200, large, \d+ \+ \d+ tokens, end of text", by_large)
    assert cut == f"{CHAT}: 200, small, {prompt} + 3 tokens, max tokens"
    assert re.fullmatch(rf"{CHAT}: 200, small, {prompt} \+ \d+ tokens, stop string", stopped)
    assert refused == [f"{CHAT}: 404", "GET /v1/models: 403"]


def test_a_client_that_leaves_has_a_line_too():
    lines: list[str] = []
    with client_for(Pair(long_winded(threading.Event())), ENDLESS, log=lines.append) as client:
        stream = ask(client, question="long", stream=True)
        next(iter(stream))
        stream.close()
        ask(client)
    left, answered = without_seconds(lines)
    assert re.fullmatch(rf"{CHAT}: 200, small, \d+ \+ \d+ tokens, stopped", left)
    assert answered.endswith("end of text")
