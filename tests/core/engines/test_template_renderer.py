"""Chat templates of strangers run in a process with limits: every one gives a text or a sentence."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator

import psutil
import pytest

from baton_reasoning.core.engines import template_renderer
from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.engines.chat_template import render_prompt
from baton_reasoning.core.engines.template_renderer import LONGEST_TEMPLATE, TemplateRenderer
from baton_reasoning.core.errors import EngineRefused

LOOP = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3


@pytest.fixture
def renderer() -> Iterator[TemplateRenderer]:
    renderer = TemplateRenderer()
    yield renderer
    renderer.close()


def render(template: str, *contents: str) -> str:
    conversation = tuple(Message("user", content) for content in contents)
    return "".join(piece.text for piece in render_prompt(conversation, template, "", "", None))


def test_one_process_renders_template_after_template(renderer: TemplateRenderer) -> None:
    assert renderer.render("{{ a }}!", {"a": "hello"}) == "hello!"
    first = renderer.pid
    assert renderer.render("{{ a }}?", {"a": "hello"}) == "hello?"
    assert renderer.pid == first


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 10.0 ** 400 }}", "Result too large|out of range"),
        ("{{ [][3].x }}", "has no element 3|no element"),
        ("{{ 'x'.encode('utf-7').decode('ascii', 'nothing')[9:].index('y') }}", ""),
        ("{{ strftime_now(7) }}", "strftime"),
        ("{{ raise_exception('only users') }}", "only users"),
        ("{% for message in messages %}", "end of template"),
        ("{{ messages.append(1) }}", "unsafe|safely"),
        ("{{ ''.__class__.__mro__ }}", "unsafe|safely|undefined"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ 'x' * 2000000000 }}", "memory"),
        ("{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "longer than"),
        ("{% include 'secrets' %}", "loader|include"),
        ("x" * (LONGEST_TEMPLATE + 1), "characters"),
    ],
)
def test_every_error_in_a_template_is_a_sentence(template: str, reason: str) -> None:
    with pytest.raises(EngineRefused, match=f"(?s)chat template cannot be used: .*({reason})") as raised:
        render(template, "Q")
    assert raised.value.advice
    assert len(str(raised.value)) < 500


def test_a_template_that_never_ends_is_stopped_and_the_next_one_is_rendered(
    renderer: TemplateRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer.render("", {})
    monkeypatch.setattr(template_renderer, "SECONDS", 0.3)
    with pytest.raises(EngineRefused, match="did not finish within"):
        renderer.render(LOOP, {})
    monkeypatch.undo()
    assert renderer.render("{{ a }}", {"a": 1}) == "1"
    process = renderer.pid
    with pytest.raises(EngineRefused, match="did not finish within"):
        renderer.render(LOOP, {})
    assert renderer.pid == process, "it was not tried again"


def test_a_renderer_that_was_killed_is_started_again(renderer: TemplateRenderer) -> None:
    renderer.render("", {})
    first = renderer.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert renderer.render("b", {}) == "b"
    assert renderer.pid != first


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limits of another process are not readable")
def test_a_template_that_loops_ends_also_if_the_program_is_killed(renderer: TemplateRenderer) -> None:
    """Nobody is left to kill its process then, so it has limits of its own."""
    renderer.render("", {})
    process = psutil.Process(renderer.pid)
    seconds, _ = process.rlimit(psutil.RLIMIT_CPU)
    assert 0 < seconds <= sum(process.cpu_times()[:2]) + 2 * template_renderer.SECONDS + 2
    assert process.rlimit(psutil.RLIMIT_AS) == (template_renderer.MEMORY, template_renderer.MEMORY)


def test_threads_take_turns(renderer: TemplateRenderer) -> None:
    found: dict[int, str] = {}

    def work(number: int) -> None:
        found[number] = renderer.render("{{ n }}", {"n": number})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: str(number) for number in range(8)}


def test_a_template_that_cuts_a_message_is_refused() -> None:
    with pytest.raises(EngineRefused, match="changes what a message says"):
        render("{{ messages[0].content[:1] }}", "Q")


def test_a_template_cannot_multiply_a_long_question() -> None:
    with pytest.raises(EngineRefused, match="repeats"):
        render("{{ messages[0].content * 1000 }}", "Q" * 1000)


def test_half_a_character_in_a_template_is_replaced() -> None:
    assert render("{{ '\\ud83d' }}", "Q") == "?"


def test_the_process_ends_without_a_word_when_the_program_is_killed(capfd: pytest.CaptureFixture[str]) -> None:
    """As when a pipe is reset with an answer unread in it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=template_renderer._serve, args=(theirs,))
    process.start()
    theirs.close()
    ours.close()  # before it has said that it is ready
    process.join()
    assert process.exitcode == 0
    assert capfd.readouterr().err == ""
