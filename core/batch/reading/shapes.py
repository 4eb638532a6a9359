"""Flattens the nested records of well-known data sets, so that their columns can be recognised by name.

| shape | becomes |
|---|---|
| verl, DAPO: `{"prompt": [messages], "reward_model": {"ground_truth": …}}` | `prompt`, `reward_model.ground_truth` |
| lm-evaluation-harness sample: `{"doc": {"question": …}, "target": …}` | `doc.question`, `target` |
| Inspect sample: `{"input": text or [messages], "target": …, "choices": […]}` | the same columns |
| OpenAI batch request: `{"custom_id": …, "body": {"messages": […]}}` | `custom_id`, `body.messages` |
| ARC, CommonsenseQA: `{"question": {"stem": …, "choices": […]}}` | `question.stem`, `question.choices` |
| chat: `{"messages": […]}`, ShareGPT: `{"conversations": […]}` | what the user says, and `messages.assistant` |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from baton_reasoning.core.batch.reading.record import Value

ASSISTANT = ".assistant"
"""Ending of the column that holds the last assistant turn of a conversation."""
_DEEPEST = 2
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_OPTION_NAMES = ("choices", "options", "endings", "mc1_targets")


class HasImage(ValueError):
    """Raised for a problem with a picture, which the models cannot see."""


def flattened(fields: Mapping[str, Value]) -> dict[str, Value]:
    """Flatten nested objects to `outer.inner`, turn conversations into text, and join content parts.

    Raises HasImage.
    """
    flat: dict[str, Value] = {}
    for name, value in fields.items():
        flat.update(_flat(name, value, depth=0))
    return flat


def _flat(name: str, value: Value, depth: int) -> Iterable[tuple[str, Value]]:
    if turns := _turns(value):
        yield name, "\n\n".join(text for role, text in turns if role == "user")
        if turns[-1][0] == "assistant":
            yield f"{name}{ASSISTANT}", turns[-1][1]
    elif isinstance(value, dict) and depth < _DEEPEST and not _holds_options(name, value):
        for inner, each in value.items():
            yield from _flat(f"{name}.{inner}", each, depth + 1)
    elif _is_content_parts(value):
        yield name, content_text(value)
    elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        yield name, value[0]  # Inspect's target is a list of texts that count as right
    else:
        yield name, value


def content_text(content: Value) -> str:
    """Return the text of a message, which is a string or a list of content parts. Raises HasImage."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            if "image" in str(part.get("type", "")):
                raise HasImage
            texts.append(str(part.get("text", "")))
    return "\n\n".join(text for text in texts if text)


def _turns(value: Value) -> list[tuple[str, str]]:
    """Return (role, text) of each message if the value is a conversation, else an empty list."""
    if not isinstance(value, list) or not value:
        return []
    turns = []
    for message in value:
        if not isinstance(message, dict):
            return []
        role, content = message.get("role", message.get("from")), message.get("content", message.get("value"))
        if not isinstance(role, str) or content is None or role not in _ROLES:
            return []
        turns.append((_ROLES[role], content_text(content)))
    return turns


def _is_content_parts(value: Value) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in value)
        and any(isinstance(part, dict) and ("text" in part or "image" in str(part["type"])) for part in value)
    )


def _holds_options(name: str, value: Mapping[str, Value]) -> bool:
    return name.rpartition(".")[2].lower() in _OPTION_NAMES or isinstance(value.get("text"), list)
