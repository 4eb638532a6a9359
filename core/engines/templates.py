"""Renders a conversation by a model's chat template, in a child process with limits on time and, where it can, memory.

A template comes from a model file or a server, so it may loop for ever or build gigabytes of text, and can raise
any Python error. The child runs it in Jinja's immutable sandbox; the parent kills the child at the time limit, and
starts another one for the next template. Requests and answers are JSON, so nothing of the child's is executed here.

What a person wrote is kept apart from the template's own text, so that "<|im_end|>" in a question stays text.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from baton_reasoning.core.child_process import Child, NoAnswer, TimeLimit, limit_resource
from baton_reasoning.core.engines.control_tokens import PromptPiece
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.text import replace_lone_surrogates

if TYPE_CHECKING:  # the child imports this module too, and starts sooner without pydantic
    import jinja2

    from baton_reasoning.core.engines.base import Messages
    from baton_reasoning.core.models.thinking_tags import ThinkingTags

SWITCHES = ("enable_thinking", "thinking")
"""The variables by which templates turn the thinking on or off: Qwen3, GLM and most others; DeepSeek, Granite, Kimi."""
NO_THINK = "/no_think"
"""What turns it off in the system prompt of Nemotron Nano v2, whose template has no variable for it."""
MOST_REPEATS = 4
"""Repeats of each message in a prompt; otherwise a short template could multiply a long question."""
LONGEST_PROMPT = 4 * 2**20
"""Characters of a rendered prompt, without what the user wrote."""
MEMORY = 512 * 2**20
"""Bytes of address space for the child."""
SECONDS = 5.0
"""For one rendering."""
_MARK = "\ue000{}\ue001"  # private-use characters, which have no meaning in a template
_REMEDY = "Look for another conversion of the model, or choose a file with its chat template."


def render_prompt(
    conversation: Messages,
    template: str,
    bos: str,
    eos: str,
    thinking: ThinkingTags | None,
    thinks: bool = True,
    effort: str = "",
) -> list[PromptPiece]:
    """Render the prompt up to where the model writes, with the generation prompt and the opening of thinking.

    `thinks`: False sets the template's switch to off and opens no thinking. `effort`: see `ModelOverrides`.
    Without a template the contents are joined by blank lines, which a base model can continue. A system prompt that
    the template has no place for is put at the start of the first question, as the makers of such models advise.
    Raises EngineRefused if the template cannot be rendered within the limits.
    """
    if not template:
        text = "".join(f"{message.content}\n\n" for message in conversation)
        return [PromptPiece(bos, True), PromptPiece(text, False)]
    variables = {"bos_token": bos, "eos_token": eos, **turned(thinks, effort)}
    word = NO_THINK if not thinks and NO_THINK in template else ""
    text = _rendered(conversation, template, variables, word)
    if not text and conversation[0].role == "system":
        conversation = _merged(conversation)
        text = _rendered(conversation, template, variables, word)
    return _fill_in(opened(text, thinking) if thinking and thinks else text, conversation)


def opened(prompt: str, thinking: ThinkingTags) -> str:
    """Open the thinking at the end of a prompt, unless its template has done that."""
    return prompt if prompt.rstrip().endswith(thinking.opening.strip()) else prompt + thinking.opening


def turned(thinks: bool, effort: str = "") -> dict[str, Any]:
    """Return the variables that turn the thinking of a template on or off."""
    return dict.fromkeys(SWITCHES, thinks) | ({"reasoning_effort": effort} if effort else {})


def _rendered(conversation: Messages, template: str, variables: dict[str, Any], word: str) -> str:
    """Render the template with a mark for each message; "" if it has no place for the system prompt.

    `word`: what the template is to find in the system prompt besides; it takes it out again.
    """
    marked = [{"role": message.role, "content": _MARK.format(index)} for index, message in enumerate(conversation)]
    if word and conversation[0].role == "system":
        marked[0]["content"] += f" {word}"
    elif word:
        marked.insert(0, {"role": "system", "content": word})
    variables = {"messages": marked, "add_generation_prompt": True, **variables}
    if conversation[0].role != "system":
        return without_tools(template, variables)
    try:
        text = without_tools(template, variables)
    except EngineRefused:
        return ""  # such as “System role not supported”; any other error comes again without a system prompt
    head, mark, _ = text.partition(_MARK.format(0))
    # A template that never speaks of a system would show the prompt as what another role has said.
    return text if mark and ("system" in template or "system" in head.lower()) else ""


def without_tools(template: str, variables: dict[str, Any]) -> str:
    """Render with no tools, as transformers says it; or, where a template cannot read that, as llama.cpp does.

    `functions` and `datetime` are what FireFunction's template reads.
    """
    try:
        return render_template(template, {**variables, "tools": None})
    except EngineRefused:
        now = datetime.now().astimezone().strftime("%b %d %Y")
        return render_template(template, {**variables, "functions": "", "datetime": now})


def _merged(conversation: Messages) -> Messages:
    """Move the system prompt to the start of the first question."""
    system, first, *others = conversation
    return (replace(first, content=f"{system.content}\n\n{first.content}"), *others)


def _fill_in(text: str, conversation: Messages) -> list[PromptPiece]:
    """Replace the marks by the messages, each a piece of its own."""
    pieces: list[PromptPiece] = []
    head, *parts = text.split("\ue000")
    if head:
        pieces.append(PromptPiece(head, True))
    if len(parts) > MOST_REPEATS * len(conversation):
        raise unusable("it repeats what messages say too often")
    positions = {str(number): number for number in range(len(conversation))}
    for part in parts:
        index, _, rest = part.partition("\ue001")
        if index not in positions:
            raise unusable("it changes what a message says")
        pieces.append(PromptPiece(conversation[positions[index]].content, False))
        if rest:
            pieces.append(PromptPiece(rest, True))
    return pieces


def render_template(template: str, variables: Mapping[str, Any]) -> str:
    """Render a template in the child. Raises EngineRefused for every error in it, and at the limits."""
    request = json.dumps({"template": template, "variables": variables}).encode()
    try:
        answer = json.loads(RENDERER.ask(request, TimeLimit(SECONDS)))
    except NoAnswer as error:
        raise unusable(str(error)) from error
    if "error" in answer:
        raise unusable(str(answer["error"]))
    return replace_lone_surrogates(str(answer["text"]))  # a template can write half a character


def unusable(reason: str) -> EngineRefused:
    """Make the error for a template that cannot be rendered."""
    return EngineRefused(f"The model's chat template cannot be used: {reason}.", _REMEDY)


# In the child process ------------------------------------------------------------------------------------------------


def _import_jinja() -> None:
    _compiled("")


def _answer(data: bytes) -> bytes:
    request = json.loads(data)
    # In case the parent is killed while a template loops.
    limit_resource("RLIMIT_CPU", math.ceil(time.process_time() + 2 * SECONDS))
    try:
        outcome = {"text": _limited_text(request["template"], request["variables"])}
    except MemoryError:
        outcome = {"error": "it needs too much memory"}
    except Exception as error:  # noqa: BLE001  a template can raise any error
        outcome = {"error": f"{error}"[:300].strip().rstrip(".") or type(error).__name__}
    return json.dumps(outcome).encode()


def _limited_text(template: str, variables: Mapping[str, Any]) -> str:
    pieces: list[str] = []
    length = 0
    for piece in _compiled(template).generate(**variables):
        pieces.append(piece)
        length += len(piece)
        if length > LONGEST_PROMPT:
            raise ValueError(f"its text is longer than {LONGEST_PROMPT:,} characters")
    return "".join(pieces)


@lru_cache(maxsize=8)
def _compiled(template: str) -> jinja2.Template:
    """Compile a template: milliseconds, and every session of a model has the same one."""
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.nodes import Node
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}`, by which transformers marks for training what the model wrote: its content as it is."""

        tags = {"generation"}  # noqa: RUF012  as the base class has it

        def parse(self, parser: Parser) -> Node | list[Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def raise_exception(reason: str) -> str:
        raise jinja2.TemplateError(reason)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation]
    )
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().astimezone().strftime(form)
    return environment.from_string(template)


RENDERER = Child(_answer, _import_jinja, MEMORY)
"""The child of this program in which templates are rendered, one at a time."""
