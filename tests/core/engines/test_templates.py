"""What a template makes of a conversation; those of strangers run in a process with limits."""

import errno
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from baton_reasoning.core import child_process
from baton_reasoning.core.engines import templates
from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.engines.templates import (
    LONGEST_TEMPLATE,
    RENDERER,
    has_switch,
    render_prompt,
    render_template,
)
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.models.catalog import families, family_of
from baton_reasoning.core.models.options import ThinkingTags

THINK = ThinkingTags("<think>", "</think>")
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
R1 = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}{{ '<｜User｜>' + message.content }}"
    "{% else %}{{ '<｜Assistant｜>' + message.content + '<｜end▁of▁sentence｜>' }}{% endif %}{% endfor %}"
    "{{ '<｜Assistant｜>' }}"
)
"""As the R1 distills were first published: without the opening of thinking."""
QWEN3 = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    "{%- endif %}"
)
"""The switch of Qwen3: thinking is on unless a caller turns it off."""
QWEN35 = QWEN3.replace(
    "is false %}{{- '<think>\\n\\n</think>\\n\\n' }}",
    "is true %}{{- '<think>\\n' }}{%- else %}{{- '<think>\\n\\n</think>\\n\\n' }}",
)
"""The switch of the small models of Qwen3.5: thinking is off unless a caller turns it on."""


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("DeepSeek R1 Distill Qwen 1.5B", "DeepSeek-R1-Distill"),
        ("DeepSeek-R1-Distill-Llama-8B", "DeepSeek-R1-Distill"),
        ("Qwen3 1.7B", "Qwen3"),
        ("Qwen3-30B-A3B", "Qwen3"),
        ("Qwen3 4B Thinking 2507", "Qwen3-Thinking-2507"),
        ("Qwen3 4B Instruct 2507", None),
        ("Qwen2.5 7B Instruct", "Qwen2.5-Instruct"),
        ("Phi 4 Reasoning Plus", "Phi-4-reasoning"),
        ("Phi 4 Mini Reasoning", None),
        ("SmolLM2 135M", None),
    ],
)
def test_a_family_is_known_by_the_models_name(name, family):
    found = family_of(name)
    assert (found.name if found else None) == family
    assert all(each.sampling.temperature is not None for each in families())


ASKED = (Message("system", "Be brief."), Message("user", "2 + 2?"))
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + R1
IGNORES_SYSTEM = (
    "{% for message in messages if message.role != 'system' %}[{{ message.role }}]{{ message.content }}{% endfor %}"
)


def render(template: str, *contents: str, tags: ThinkingTags | None = None, thinks: bool = True) -> str:
    asked = tuple(Message("user", content) for content in contents) or ASKED
    return "".join(piece.text for piece in render_prompt(asked, template, "", "", tags, thinks))


@pytest.mark.parametrize(
    ("template", "prompt"),
    [
        (R1, "<s><｜User｜>1 + 1?<｜Assistant｜>2<｜end▁of▁sentence｜><｜User｜>2 + 2?<｜Assistant｜><think>\n"),
        (
            CHATML,
            "<|im_start|>user\n1 + 1?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n"
            "<|im_start|>user\n2 + 2?<|im_end|>\n<|im_start|>assistant\n<think>\n",
        ),
        ("", "<s>1 + 1?\n\n2\n\n2 + 2?\n\n"),
    ],
)
def test_thinking_is_opened_where_an_old_template_does_not_open_it(template, prompt):
    asked = (Message("user", "1 + 1?"), Message("assistant", "2"), Message("user", "2 + 2?"))
    assert "".join(piece.text for piece in render_prompt(asked, template, "<s>", "</s>", THINK)) == prompt


def test_a_system_prompt_stands_where_the_template_puts_it_or_at_the_head_of_the_first_question():
    assert render(CHATML).startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n2 + 2?<|im_end|>")
    for template in (NO_SYSTEM, R1, IGNORES_SYSTEM):  # it raises an error, takes it for another's words, ignores it
        assert "Be brief.\n\n2 + 2?" in render(template)
        assert render(template).count("Be brief.") == 1
    with pytest.raises(EngineRefused, match="never"):
        render("{{ raise_exception('never') }}")
    asked = (Message("system", "<|im_end|>"), Message("user", "2 + 2?"))
    assert ("<|im_end|>", False) in render_prompt(asked, CHATML, "", "", None), "a control token stays text"
    assert ("<|im_end|>\n\n2 + 2?", False) in render_prompt(asked, NO_SYSTEM, "", "", None)


@pytest.mark.parametrize("template", [QWEN3, QWEN35])
def test_the_switch_of_a_template_turns_thinking_on_and_off(template):
    assert has_switch(template)
    assert not has_switch(R1)
    assert render(template, "1 + 1?", tags=THINK).endswith("<|im_start|>assistant\n<think>\n")
    off = render(template, "1 + 1?", tags=THINK, thinks=False)
    assert off.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


# The process in which templates are rendered: every one gives a text or a sentence


LOOP = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ strftime_now(7) }}", "strftime"),
        ("{{ raise_exception('only users') }}", "only users"),
        ("{% for message in messages %}", "end of template"),
        ("{{ messages.append(1) }}", "unsafe|safely"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ 'x' * 2000000000 }}", "memory"),
        ("{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "longer than"),
        ("x" * (LONGEST_TEMPLATE + 1), "characters"),
        ("{{ messages[0].content[:1] }}", "changes what a message says"),
        ("\ue000{{ '9' * 5000 }}\ue001", "changes what a message says"),
        ("{{ messages[0].content * 5 }}", "repeats"),
    ],
)
def test_every_error_in_a_template_is_a_sentence(template, reason):
    assert render("{{ messages[0].content * 4 }}", "Q") == "QQQQ", "as often as is allowed"
    with pytest.raises(EngineRefused, match=f"(?s)chat template cannot be used: .*({reason})") as raised:
        render(template, "Q")
    assert raised.value.advice
    assert len(str(raised.value)) < 500


def test_a_template_that_never_ends_is_stopped_and_the_next_one_is_rendered(monkeypatch):
    render_template("", {})
    monkeypatch.setattr(templates, "SECONDS", 0.3)
    with pytest.raises(EngineRefused, match="did not finish within"):
        render_template(LOOP, {})
    monkeypatch.undo()
    assert render_template("{{ a }}", {"a": 1}) == "1"
    process = RENDERER.pid
    with pytest.raises(EngineRefused, match="did not finish within"):
        render_template(LOOP, {})
    assert RENDERER.pid == process, "it was not tried again"


def test_a_renderer_that_does_not_start_is_no_fault_of_the_template(monkeypatch):
    def no_process(_: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    RENDERER.kill()
    with monkeypatch.context() as patched:
        patched.setattr(child_process, "start_shielded", no_process)
        with pytest.raises(EngineRefused, match="did not start: Resource temporarily"):
            render_template("c", {})
    assert render_template("c", {}) == "c"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limits of another process are not readable")
def test_a_template_that_loops_ends_also_if_the_program_is_killed():
    """Nobody is left to kill its process then, so it has limits of its own."""
    render_template("", {})
    process = psutil.Process(RENDERER.pid)
    seconds, _ = process.rlimit(psutil.RLIMIT_CPU)
    assert 0 < seconds <= sum(process.cpu_times()[:2]) + 2 * templates.SECONDS + 2
    assert process.rlimit(psutil.RLIMIT_AS)[0] == templates.MEMORY


def test_one_process_renders_for_many_threads_at_once():
    assert render_template("{{ a }}!", {"a": "hello"}) == "hello!"
    process = RENDERER.pid
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: render_template("{{ n }}", {"n": number}), range(8)))
    assert found == [str(number) for number in range(8)]
    assert RENDERER.pid == process


def test_half_a_character_in_a_template_is_replaced():
    assert render("{{ '\\ud83d' }}", "Q") == "?"
