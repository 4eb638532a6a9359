"""What all engines share: the text, the choices of a judgement, usage with its caps, random numbers, chat templates."""

import errno
import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from itertools import product
from unittest.mock import Mock

import msgspec
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core import child_process
from baton_reasoning.core.engines import templates
from baton_reasoning.core.engines.base import Alternative, Message, first_tokens, number_at, stream_of
from baton_reasoning.core.engines.body import Author, Body, OwnTag, Part, bytes_before, parts_before, rendered_runs
from baton_reasoning.core.engines.remote.protocol import judgement_of
from baton_reasoning.core.engines.template_thinking import ThinkingSwitch, thinking_of
from baton_reasoning.core.engines.templates import render_prompt, render_template
from baton_reasoning.core.engines.usage import MOST_COUNTED, MOST_MEASURED, RequestUsage, Usage
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.models.thinking_tags import ThinkingTags

TAG = "</think>"
TEXTS = st.lists(st.text(max_size=4), max_size=8)


def part(text: str, id: int | None = None, vocabulary: str = "qwen", tag: str = "") -> Part:
    end = text.find(tag) + len(tag) if tag else 0
    return Part(text, Author.SMALL, id, vocabulary if id is not None else "", tag, end)


# Cutting -------------------------------------------------------------------------------------------------------------


@given(TEXTS, st.data())
def test_a_cut_loses_no_character_and_leaves_the_parts_before_it(texts, data):
    parts = [part(text, n) for n, text in enumerate(texts)]
    body = Body(parts)
    whole = body.text
    length = data.draw(st.integers(0, len(whole) + 1))
    text, gone = body.cut(length)
    assert body.text == whole[:length] == "".join(p.text for p in body.parts)
    assert text == whole[length:]
    assert body.parts == parts_before(parts, length)
    assert [p for p in (*body.parts, *gone) if p.id is not None] == [p for p in parts if p in body.parts or p in gone]
    assert len(body.parts) + len(gone) == len(parts)
    assert bytes_before(parts, length, "") == len(body.text.encode())


@pytest.mark.parametrize(
    ("parts", "length", "left", "gone"),
    [
        ([part("One.", 1), part("\n\nTwo", 2)], 6, [part("One.", 1), part("\n\n")], []),
        ([part(TAG + "\n\nTwo", 1, tag=TAG)], 10, [part(TAG + "\n\n", tag=TAG)], []),
        ([part(TAG + "\n\nTwo", 1, tag=TAG)], 7, [part(TAG[:7])], []),
        ([part("One", 1), part("", 2)], 3, [part("One", 1)], [""]),
        ([part("One", 1), part("", 2), part(" two three", 3)], 7, [part("One", 1), part(""), part(" two")], []),
    ],
)
def test_a_token_across_a_cut_stays_as_text_without_its_id_and_so_do_those_without_text_before_it(
    parts, length, left, gone
):
    body = Body(parts)
    assert [p.text for p in body.cut(length)[1]] == gone
    assert body.parts == left


# How each model reads it ---------------------------------------------------------------------------------------------


def test_a_model_of_the_same_vocabulary_reads_ids_and_another_one_text():
    assert rendered_runs([part("One", 1), part(" two", 2)], "qwen", TAG) == [(1, 2)]
    assert rendered_runs([part("One", 1), part(" two", 2)], "llama", TAG) == ["One two"]
    assert rendered_runs([Part("One", Author.SMALL, 1, "")], "", TAG) == ["One"], "an unknown one is like no other"
    assert rendered_runs([part("One", 0), part(" two", 2), part("!", -1)], "qwen", TAG, 2) == [(0,), " two!"]
    parts = [part("One", 1), Part(" inserted", Author.INSERTED), part(" text", 9, "llama"), part(" two", 2)]
    assert rendered_runs(parts, "qwen", TAG) == [(1,), " inserted text", (2,)]


def test_each_model_reads_the_close_of_thinking_as_its_own_tag():
    for vocabulary in ("qwen", "llama"):
        parts = [part("Done.", 1, vocabulary), part("</think>\n\n", 2, vocabulary, TAG), part("4", 3, vocabulary)]
        assert rendered_runs(parts, vocabulary, "[/THINK]") == [(1,), OwnTag("[/THINK]"), "\n\n", (3,)]
    split = Body([part("Done", 1), part("", 2), part("é</", 3), part("think", 4), part(">\n\n", 5)])
    assert rendered_runs(split.parts, "qwen", "[/THINK]") == [(1, 2, 3, 4, 5)]
    split.mark_closing(TAG, len("Doneé</think>"))
    for tag, read in (("[/THINK]", ["é", "[/THINK]", "\n\n"]), (TAG, ["é", TAG, "\n\n"]), ("", ["é</think>\n\n"])):
        runs = rendered_runs([*split.parts, part("4", 6)], "qwen", tag)
        assert runs == [(1,), *read, (6,)], "however many tokens it has"
        assert [run for run in runs if isinstance(run, OwnTag)] == [tag] * bool(tag)
    parts = [part("Done.", 1), part(TAG, 2, tag=TAG)]
    assert rendered_runs(parts, "llama", "") == ["Done.</think>"], "a model without tags reads what stands there"
    assert rendered_runs(parts, "qwen", "") == [(1, 2)]
    assert bytes_before(parts, len("Done.</think>"), "[/THINK]") == len("Done.[/THINK]")


# The choices of a judgement ------------------------------------------------------------------------------------------

BLANK, ONE, FOUR, FIVE, SPACED = 0, 1, 4, 5, 6


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({"yes": (ONE,), " yes": (SPACED,), "no": (FOUR,), " no": (FIVE,)}, [{ONE, SPACED}, {FOUR, FIVE}]),
        ({"4": (FOUR,), " 4": (BLANK, FOUR), "5": (FIVE,), " 5": (BLANK, FIVE)}, [{FOUR}, {FIVE}]),
        (
            {"1": (ONE,), " 1": (SPACED,), "15": (ONE, FIVE), " 15": (SPACED, FIVE), "4": (FOUR,), " 4": (BLANK, FOUR)},
            [{ONE, SPACED}, {ONE, SPACED}, {FOUR, BLANK}],
        ),
    ],
    ids=["with or without a blank", "a blank that begins every digit", "those that begin alike keep what they share"],
)
def test_a_choice_counts_by_the_tokens_that_it_alone_begins_with(ids, expected):
    assert first_tokens([text for text in ids if text[0] != " "], ids.__getitem__) == expected


def alternatives(**chances: float) -> list[Alternative]:
    return [Alternative(None, text.replace("_", " "), math.log(chance)) for text, chance in chances.items()]


def test_a_servers_alternatives_count_for_the_one_choice_that_begins_with_them():
    judged = judgement_of(alternatives(y=0.2, _yes=0.2, n=0.1, _=0.4), ("yes", "no"))
    assert judged.probabilities == pytest.approx((0.8, 0.2))
    shared = judgement_of(alternatives(b=0.5, bad=0.1, best=0.3), ("bad", "best"))
    assert shared.probabilities == pytest.approx((0.25, 0.75)), "“b” may become either"


@given(st.lists(st.tuples(st.text(), st.floats(allow_nan=False)), max_size=5))
def test_a_judgement_of_any_alternatives_sums_to_one(listed):
    judged = judgement_of([Alternative(None, text, logprob) for text, logprob in listed], ("yes", "no"))
    assert sum(judged.probabilities) == pytest.approx(1)


# Usage ---------------------------------------------------------------------------------------------------------------


def test_sums_are_of_each_count_and_end_at_the_bounds_of_what_can_be_read_again():
    one = RequestUsage(1, 2, 3, 4, 5, 6, 7, 8, 9, 0.5)
    assert one.plus(one) == RequestUsage(2, 4, 6, 8, 10, 12, 14, 16, 18, 1.0)
    assert one.plus(RequestUsage(estimated=True)).estimated
    assert RequestUsage() == RequestUsage(1, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, estimated=False)
    reported = Usage(RequestUsage(sent=2**53, read=2**53, seconds_waited=1e12), 1e12, "EUR")
    total = reduce(Usage.plus, [reported] * 600, Usage())
    assert (total.cost.sent, total.cost.read, total.currency) == (MOST_COUNTED, MOST_COUNTED, "EUR")
    assert total.plus(Usage(currency="USD")).plus(total).currency == "EUR + USD", "two servers, each with its prices"
    assert (total.cost.requests, total.cost.seconds_waited, total.money) == (600, MOST_MEASURED, MOST_MEASURED)
    for money in (0.0, MOST_MEASURED):
        cost = {"sent": 0, "read": MOST_COUNTED, "seconds_waited": 0.0}
        assert msgspec.convert({"cost": cost, "money": money}, Usage).money == money
    for beyond in ({"money": -0.5}, {"money": 2e12}, {"cost": {"sent": -1}}, {"cost": {"seconds_waited": -0.1}}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(beyond, Usage)


def test_numbers_by_position_are_those_of_splitmix64_and_each_stream_is_another():
    published = (6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431)
    assert [number_at(1234567, position) for position in range(4)] == [number >> 33 for number in published]
    streams = [stream_of(*named) for named in product((1, 2), ("small", "large"), (0, 1))]
    assert len(set(streams)) == 8
    assert max(streams) < 2**64
    assert stream_of(1, "small", 0) == streams[0] == 11454698390277393951, "a seed repeats its text in every version"


# Chat templates: those of strangers run in a process with limits ------------------------------------------------------

THINK = ThinkingTags("<think>\n", "</think>")
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
    assert thinking_of(template) == (THINK, ThinkingSwitch.VARIABLE)
    assert thinking_of(R1) == (None, ThinkingSwitch.NONE)
    assert render(template, "1 + 1?", tags=THINK).endswith("<|im_start|>assistant\n<think>\n")
    off = render(template, "1 + 1?", tags=THINK, thinks=False)
    assert off.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_a_template_that_could_not_be_rendered_once_is_tried_again(monkeypatch):
    template = QWEN3 + "{# once #}"
    with monkeypatch.context() as patched:
        no_answer = child_process.NoAnswer("the process did not start")
        patched.setattr(templates.RENDERER, "ask", Mock(side_effect=no_answer))
        assert thinking_of(template) == (None, ThinkingSwitch.NONE)
    assert thinking_of(template) == (THINK, ThinkingSwitch.VARIABLE)


# Every template gives a text or a sentence ---------------------------------------------------------------------------


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
        ("{{ 'x' * 2000000000 }}", "memory" if os.name == "posix" else "no answer"),  # Windows limits no memory
        ("{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "longer than"),
        ("{{ messages[0].content[:1] }}", "changes what a message says"),
        ("\ue000{{ '9' * 5000 }}\ue001", "changes what a message says"),
        ("{{ messages[0].content * 5 }}", "repeats"),
    ],
)
def test_every_error_in_a_template_is_a_sentence(template, reason):
    with pytest.raises(EngineRefused, match=f"(?s)chat template cannot be used: .*({reason})") as raised:
        render(template, "Q")
    assert raised.value.advice
    assert len(str(raised.value)) < 500


def test_a_template_that_never_ends_is_stopped_and_the_next_one_is_rendered(monkeypatch):
    render_template("", {})
    monkeypatch.setattr(templates, "SECONDS", 0.3)
    with pytest.raises(EngineRefused, match="no answer within"):
        render_template(LOOP, {})
    monkeypatch.undo()
    assert render("{{ messages[0].content * 4 }}", "Q") == "QQQQ", "as often as is allowed"
    assert render("{{ '\\ud83d' }}", "Q") == "?", "half a character is replaced"


def test_a_renderer_that_does_not_start_is_no_fault_of_the_template(monkeypatch):
    def no_process(_: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    templates.RENDERER.kill()
    with monkeypatch.context() as patched:
        patched.setattr(child_process, "start_shielded", no_process)
        with pytest.raises(EngineRefused, match="did not start: Resource temporarily"):
            render_template("c", {})
    assert render_template("c", {}) == "c"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limits of another process are not readable")
def test_a_template_that_loops_ends_also_if_the_program_is_killed():
    """Nobody is left to kill its process then, so it has limits of its own."""
    render_template("", {})
    process = psutil.Process(templates.RENDERER.pid)
    seconds, _ = process.rlimit(psutil.RLIMIT_CPU)
    assert 0 < seconds <= sum(process.cpu_times()[:2]) + 2 * templates.SECONDS + 2
    assert process.rlimit(psutil.RLIMIT_AS)[0] == templates.MEMORY


def test_one_process_renders_for_many_threads_at_once():
    assert render_template("{{ a }}!", {"a": "hello"}) == "hello!"
    process = templates.RENDERER.pid
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: render_template("{{ n }}", {"n": number}), range(8)))
    assert found == [str(number) for number in range(8)]
    assert templates.RENDERER.pid == process
