"""Thinking is turned off by the switch of the chat template, on this machine and on servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.engine import card_of
from baton_reasoning.core.engines.local.placement import worker_options
from baton_reasoning.core.engines.remote.answers import Fields
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerProtocol
from baton_reasoning.core.engines.remote.openai import CompletionsProtocol
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.options import NO_OVERRIDES, DemoModel, LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.trace import Trace
from tests.core.engines.test_shared import QWEN3, R1
from tests.core.models.gguf_builder import values_of_a_llama, write_gguf
from tests.fakes.faulty_server import about
from tests.fakes.scripted import THINK, ScriptedEngine

OFF = RunSettings(policy="never", thinking=False)
QUESTION = (Message("user", "1 + 1?"),)
END_OFF = "<think>\n\n</think>\n\n"


def served(template: str) -> Callable[[str, Mapping[str, Any] | None], Fields]:
    """A server whose tokens are bytes."""
    routes: dict[str, Any] = about()
    routes["/props"]["chat_template"] = template

    def answer(path: str, payload: Mapping[str, Any] | None) -> Fields:
        if path != "/tokenize":
            return Fields(routes.get(path, {}))
        return Fields({"tokens": list(str((payload or {}).get("content", "")).encode())})

    return answer


def scripted(*texts: str, switch: bool = True) -> ScriptedEngine:
    return ScriptedEngine(*texts, thinking=THINK).with_card(switches_thinking=switch)


def test_without_thinking_the_whole_text_is_the_answer():
    small = scripted("It is 2.")
    trace = Trace.of(run(Pair(small), ask("1 + 1?", OFF), OFF))
    assert [session.thinks for session in small.sessions] == [False]
    assert not trace.thinks
    assert trace.answer == "It is 2."
    assert trace.started
    assert not trace.started.thinks
    assert small.sessions[0].card.thinking is None
    assert small.card.thinking == THINK


def test_neither_a_budget_for_thinking_nor_the_lack_of_a_switch_ends_an_answer_without_any():
    budget = OFF.model_copy(update={"limits": Limits(max_thinking_tokens=2)})
    for model in (scripted("It is 2, of course."), ScriptedEngine("It is 2, of course.", thinking=None)):
        trace = Trace.of(run(Pair(model), ask("1 + 1?", budget), budget))
        assert trace.answer == "It is 2, of course."


def test_a_text_without_thinking_goes_on_without_it():
    small = scripted("It is 2, of course.")
    whole = Trace.of(run(Pair(small), ask("1 + 1?", OFF), OFF))
    begun = Trace.of(whole.events[: len(whole.events) // 2])
    for event in run(Pair(small), ask("1 + 1?", OFF), OFF, before=begun):
        begun.apply(event)
    assert not begun.thinks
    assert small.sessions[-1].thinks is False


def test_a_model_that_always_thinks_is_refused_in_a_sentence():
    with pytest.raises(SettingsError, match="always thinks") as refused:
        next(run(Pair(scripted("It is 2.", switch=False)), ask("1 + 1?", OFF), OFF))
    assert "Limit its thinking" in str(refused.value)


@pytest.mark.parametrize(("template", "switch"), [(QWEN3 + "{# </think> #}", True), (R1 + "{# </think> #}", False)])
def test_the_card_of_a_file_knows_whether_its_template_has_a_switch(tmp_path, template, switch):
    header = read_header(write_gguf(tmp_path / "m.gguf", values_of_a_llama(tokenizer__chat_template=template)))
    options = worker_options(header, LoadOptions(), NO_OVERRIDES)
    card = card_of(header, options, NO_OVERRIDES, DemoModel.SMALL)
    assert (card.thinking, card.switches_thinking) == (THINK, switch)


@pytest.mark.parametrize("kind", ["llama-server", "completions with a template"])
def test_a_servers_prompt_is_rendered_here_and_can_be_without_thinking(kind):
    template = QWEN3.replace("<|im_start|>", "start ")  # whose token this server, which counts bytes, does not have
    address, asked = ServerAddress("http://server:1"), served(template)
    protocol = (
        LlamaServerProtocol(address, asked, None)
        if kind == "llama-server"
        else CompletionsProtocol(address, asked, RemoteOptions(template=template))
    )
    assert protocol.card.switches_thinking
    prompt = protocol.prompt_builder(QUESTION, asked, thinks=False).with_body((Part("It", Author.SMALL),), asked)
    text = prompt if isinstance(prompt, str) else bytes(prompt).decode()
    assert text.endswith(f"assistant\n{END_OFF}It")
    on = protocol.prompt_builder(QUESTION, asked).with_body((), asked)
    assert (on if isinstance(on, str) else bytes(on).decode()).endswith("assistant\n<think>\n")
