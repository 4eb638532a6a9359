"""The settings that a run uses, the thinking that it may do without, and what it reuses of the KV cache."""

from contextlib import closing
from typing import Any

import pytest

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, SMALL_MODEL, demo_settings, held_out_problems
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.engine import LocalEngine, card_of
from baton_reasoning.core.engines.local.placement import worker_options
from baton_reasoning.core.engines.remote.answers import Fields
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerProtocol
from baton_reasoning.core.engines.remote.openai import CompletionsProtocol
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.overrides import NO_OVERRIDES, ModelOverrides
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.models.source import DemoModel
from baton_reasoning.core.models.thinking_tags import KNOWN_TAGS
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.events import TakeoverStarted
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policies.keywords import REFLECTION, Keywords
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.trace import Trace
from tests.core.engines.test_shared import QWEN3, R1
from tests.core.models.gguf_builder import values_of_a_llama, write_gguf
from tests.fakes.faulty_server import about
from tests.fakes.scripted import QUESTION, THINK, ScriptedEngine

CUES = '{"reflection": {"moment": []}}'
STEPS = "First step.\n\nOne moment, that is", "\n\nDone.</think>\n\n4"


def test_the_pairs_lengths_fill_in_what_a_person_left_at_a_preset_or_a_default():
    paper = RunSettings(policy=Keywords.presets["paper"], seed=3)
    advised = demo_settings(paper)
    assert advised.policy == paper.policy.model_copy(update={"n1": 16, "n2": 22, "n3": 14, "n3_step": 0})
    assert (advised.max_tokens, advised.seed) == (500, 3)
    at_random = RunSettings(policy=RandomTakeover.Settings())
    assert demo_settings(at_random).policy == RandomTakeover.Settings(n1=16)
    own = RunSettings(policy=Keywords.Settings(c=3, n1=9, n2=9), max_tokens=2000)
    used = demo_settings(own)
    assert used.policy == Keywords.Settings(c=3, n1=9, n2=9, n3=14, n3_step=0)
    assert used.max_tokens == 2000


def test_the_system_prompt_comes_first_unless_the_conversation_has_one():
    settings = RunSettings(system=" Be brief. ", instruction="")
    assert ask("2 + 2?", settings) == (Message("system", "Be brief."), Message("user", "2 + 2?"))
    own = (Message("system", "Be rude."), Message("user", "1 + 1?"), Message("assistant", "2"))
    assert ask("2 + 2?", settings, own) == (*own, Message("user", "2 + 2?"))


def test_each_model_draws_as_it_should_and_values_that_are_not_set_are_the_runs():
    small = ScriptedEngine(*STEPS, overrides=ModelOverrides(temperature=0.8, top_k=20))
    large = ScriptedEngine("It is 4.", name="large")
    settings = RunSettings(policy="every-step", temperature=0.3, top_p=0.9, top_k=7)
    list(run(Pair(small, large), QUESTION, settings))
    assert [session.sampling for session in small.sessions] == [Sampling(0.8, 0.9, 20)]
    assert [session.sampling for session in large.sessions] == [Sampling(0.3, 0.9, 7)]


def test_a_run_uses_its_own_cues_else_the_small_models_records_them_and_refuses_what_cannot_be_read():
    other = '{"reflection": {"perhaps": []}}'
    for of_the_model, of_the_run, takeovers in (("", "", []), (CUES, "", [REFLECTION.id]), (CUES, other, [])):
        small = ScriptedEngine(*STEPS, overrides=ModelOverrides(cue_list=of_the_model))
        pair = Pair(small, ScriptedEngine("Let me see. It is 4.", name="large"))
        trace = Trace.of(run(pair, QUESTION, RunSettings(cue_list=of_the_run)))
        assert [event.reason for event in trace.events if isinstance(event, TakeoverStarted)] == takeovers
        assert trace.started
        assert trace.started.settings["cue_list"] == (of_the_run or of_the_model)
    with pytest.raises(SettingsError, match="cue list cannot be read"):
        list(run(pair, QUESTION, RunSettings(cue_list="wait, hmm")))


# Without thinking: by the switch of the chat template, on this machine and on servers

OFF = RunSettings(policy="never", thinking=False)


def test_without_thinking_the_whole_text_is_the_answer_also_where_it_goes_on():
    text = "It is 2, of course."
    small = ScriptedEngine(text).with_ability(Ability.THINKING_SWITCH)
    whole = Trace.of(run(Pair(small), QUESTION, OFF))
    assert whole.answer == text
    assert whole.started
    assert not whole.started.thinks
    assert (small.sessions[0].card.thinking, small.card.thinking) == (None, THINK)
    begun = Trace.of(whole.events[: len(whole.events) // 2])
    for event in run(Pair(small), QUESTION, OFF, before=begun):
        begun.apply(event)
    assert not begun.thinks
    assert [session.thinks for session in small.sessions] == [False, False]


def test_neither_a_budget_nor_the_lack_of_tags_ends_an_answer_without_thinking_and_one_that_must_think_is_refused():
    budget = OFF.model_copy(update={"limits": Limits(max_thinking_tokens=2)})
    for thinking, asked in ((THINK, budget), (None, budget), (None, budget.model_copy(update={"thinking": True}))):
        model = ScriptedEngine("It is 2, of course.", thinking=thinking).with_ability(
            Ability.THINKING_SWITCH, bool(thinking)
        )
        assert Trace.of(run(Pair(model), QUESTION, asked)).answer == "It is 2, of course."
    with pytest.raises(SettingsError, match=r"always thinks.* Limit its thinking"):
        next(run(Pair(ScriptedEngine("It is 2.")), QUESTION, OFF))


@pytest.mark.parametrize(("template", "switch"), [(QWEN3 + "{# </think> #}", True), (R1 + "{# </think> #}", False)])
def test_the_card_of_a_file_knows_whether_its_template_has_a_switch(tmp_path, template, switch):
    header = read_header(write_gguf(tmp_path / "m.gguf", values_of_a_llama(tokenizer__chat_template=template)))
    options = worker_options(header, LoadOptions())
    card = card_of(header, options, NO_OVERRIDES, DemoModel.SMALL)
    assert (card.thinking, Ability.THINKING_SWITCH in card.abilities) == (KNOWN_TAGS[0], switch)


@pytest.mark.parametrize("is_llama_server", [True, False])
def test_a_servers_prompt_is_rendered_here_and_can_be_without_thinking(is_llama_server):
    template = QWEN3.replace("<|im_start|>", "start ")  # whose token this server, which counts bytes, does not have
    routes: dict[str, Any] = about()
    routes["/props"]["chat_template"] = template

    def asked(path, payload):
        if path == "/tokenize":
            return Fields({"tokens": list(payload["content"].encode())})
        return Fields(routes.get(path, {}))

    address = ServerAddress("http://server:1")
    protocol = (
        LlamaServerProtocol(address, asked, RemoteOptions())
        if is_llama_server
        else CompletionsProtocol(address, asked, RemoteOptions(template=template))
    )
    assert Ability.THINKING_SWITCH in protocol.card.abilities
    for thinks, opening in ((False, "<think>\n\n</think>\n\n"), (True, "<think>\n")):
        builder = protocol.prompt_builder(QUESTION, asked, thinks=thinks)
        prompt = builder.with_body((Part("It", Author.SMALL),), asked)
        text = prompt if isinstance(prompt, str) else bytes(prompt).decode()
        assert text.endswith(f"assistant\n{opening}It")


def test_a_first_answer_reuses_only_what_repeats_a_follow_up_all_and_one_that_goes_on_its_text():
    settings = DEMO_SETTINGS.model_copy(update={"policy": OFF.policy, "max_tokens": 60})
    exact = settings.model_copy(update={"exact": True})
    first = ask(next(held_out_problems(seed=3)).question, settings)
    follow_up = (*first, Message("assistant", "7"), Message("user", "And again?"))
    with closing(LocalEngine(SMALL_MODEL, LoadOptions(context=512, threads=1))) as small:

        def reused(conversation, chosen, before=None):
            trace = Trace.of(run(Pair(small), conversation, chosen, before=before))
            return next(piece.handoff.reused for piece in trace.pieces[::-1] if piece.handoff)

        assert reused(first, settings) == 0
        assert reused(first, settings) == 0, "less than a chunk is read again, so that a seed repeats"
        assert reused(follow_up, settings) > 0
        assert reused(follow_up, exact) == 0
        stopped = Trace.of(run(Pair(small), first, settings.model_copy(update={"max_tokens": 30})))
        assert stopped.started
        assert reused(first, settings, stopped) >= stopped.started.prompt_tokens + 28
