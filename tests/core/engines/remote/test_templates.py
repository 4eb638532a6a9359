"""The chat templates of 70 models, which llama.cpp's source carries, rendered by Baton and by a real llama-server."""

import json
import re
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.engines.remote.connection import HttpConnection, RetryPolicy, ServerAddress
from baton_reasoning.core.engines.template_thinking import ThinkingSwitch, thinking_of
from baton_reasoning.core.engines.templates import render_prompt
from tests.packaged_models import JOINED_MODELS
from tests.scripted_gguf import tokenizer_of, write_scripted
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

pytestmark = [pytest.mark.long, pytest.mark.real_models]

ROOT = Path(__file__).resolve().parents[4]
FEWEST = 60
ASKED = Message("user", "One?")
CONVERSATIONS = {
    "one question": (ASKED,),
    "a system prompt": (Message("system", "Be brief."), ASKED),
    "a second turn": (ASKED, Message("assistant", "Uno."), Message("user", "Two?")),
}
WITHOUT_SYSTEM_ROLE = ("google-gemma-2-2b-it",)
"""Its system prompt is put before the question with a blank line, by llama.cpp with a newline."""


@pytest.fixture(scope="module")
def templates() -> dict[str, str]:
    """Those of the locked llama-cpp-python's source package, which is fetched once."""
    folder = JOINED_MODELS / "llama.cpp"
    if not list(folder.glob("*.tar.gz")):
        fetch = "download --quiet --no-deps --no-binary :all: --require-hashes -r".split()
        lock = ROOT / "packaging" / "lock" / "llama.txt"
        subprocess.run([sys.executable, "-m", "pip", *fetch, str(lock), "-d", str(folder)], check=True)
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        found = [each for each in archive.getmembers() if each.name.endswith(".jinja") and "/templates/" in each.name]
        contents = {Path(each.name).stem: archive.extractfile(each) for each in found}
        return {name: file.read().decode() for name, file in contents.items() if file}


def test_each_template_is_rendered_as_llama_cpp_renders_it_but_for_the_opening_of_thinking(
    templates, smollm2, tmp_path
):
    tokenizer = tokenizer_of(smollm2)
    assert len(templates) >= FEWEST
    differing = [
        f"{name}: {each}"
        for name, template in templates.items()
        for each in differences(name, template, write_scripted(tmp_path / "m.gguf", tokenizer, template))
    ]
    assert not differing, "\n".join(differing)


def undated(prompt):
    """Two templates tell the date, which llama.cpp also gives to those that have one of their own."""
    return re.sub(r"\d\d [A-Z][a-z]{2} 20\d\d|[A-Z][a-z]{2} \d\d 20\d\d", "DATE", prompt)


def differences(name, template, path):
    """Yield which conversations are rendered otherwise, with the thinking on and off."""
    found = thinking_of(template)
    with LlamaServer(ServerOptions(str(path), context=512)) as server:
        address = ServerAddress(server.url, key=KEY)
        with closing(HttpConnection(address, RetryPolicy(), address.tls())) as connection:
            props = connection.ask("/props")
            ends = props.text("bos_token"), props.text("eos_token")
            for title, conversation in CONVERSATIONS.items():
                for thinks in (True, False):
                    if title == "a system prompt" and name in WITHOUT_SYSTEM_ROLE:
                        continue
                    if not thinks and found.switch is ThinkingSwitch.SYSTEM_PROMPT:
                        continue  # llama-server has no switch for it
                    asked = {
                        "messages": [{"role": each.role, "content": each.content} for each in conversation],
                        "chat_template_kwargs": {"enable_thinking": thinks, "thinking": thinks},
                    }
                    wanted = undated(connection.ask("/apply-template", asked).text("prompt"))
                    pieces = render_prompt(conversation, template, *ends, found.tags, thinks)
                    rendered = undated("".join(piece.text for piece in pieces))
                    opening = found.tags.opening if found.tags and thinks else ""
                    if rendered not in (wanted, wanted + opening):
                        yield f"{title}, {thinks}: {json.dumps(rendered)} for {json.dumps(wanted)}"


NONE, VARIABLE, SYSTEM_PROMPT = ThinkingSwitch.NONE, ThinkingSwitch.VARIABLE, ThinkingSwitch.SYSTEM_PROMPT


@pytest.mark.parametrize(
    ("name", "opening", "closing_tag", "switch"),
    [
        ("openai-gpt-oss-120b", "<|channel|>analysis<|message|>", "<|channel|>final<|message|>", NONE),
        ("google-gemma-4-31B-it", "<|channel>thought\n", "<channel|>", VARIABLE),
        ("Qwen-Qwen3-0.6B", "<think>\n", "</think>", VARIABLE),
        ("GLM-4.6", "\n<think>", "</think>", VARIABLE),
        ("deepseek-ai-DeepSeek-V3.1", "<think>", "</think>", VARIABLE),
        ("NVIDIA-Nemotron-Nano-v2", "<think>\n", "</think>", SYSTEM_PROMPT),
        ("LFM2.5-8B-A1B", "<think>", "</think>", NONE),
        ("Kimi-K3", "<|open|>think<|sep|>", "<|open|>response<|sep|>", VARIABLE),
        ("MiniMax-M3", "<mm:think>", "</mm:think>", NONE),
        ("upstage-Solar-Open-100B", "<|think|>", "<|content|>", NONE),
        ("Apriel-1.6-15b-Thinker-fixed", "Here are my reasoning steps:\n", "[BEGIN FINAL RESPONSE]", NONE),
        ("LFM2.5-Instruct", "", "", NONE),
        ("Qwen3-Coder", "", "", NONE),
        ("meta-llama-Llama-3.1-8B-Instruct", "", "", NONE),
    ],
)
def test_the_tags_and_the_switch_of_a_family_are_those_of_its_template(templates, name, opening, closing_tag, switch):
    found = thinking_of(templates[name])
    assert found.switch is switch
    assert (found.tags.opening if found.tags else "") == opening
    assert (found.tags.closing if found.tags else "").endswith(closing_tag)
