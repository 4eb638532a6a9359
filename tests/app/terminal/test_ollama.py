"""Ollama, named in the terminal: its server is added and tested, and writes for `solve` and `batch`."""

import json
import os
import subprocess
import sys
import threading

import pytest

from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from tests.patience import PATIENCE
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions
from tests.servers.scripted_ollama import OllamaModel, ScriptedOllama

pytestmark = pytest.mark.slow

PROBLEM = next(iter(held_out_problems(seed=3)))
OPTIONS = ("--small", str(SMALL_MODEL), "--set", "temperature=0", "-c", "2048")


@pytest.fixture(scope="module")
def llama_server():
    with LlamaServer(ServerOptions(str(LARGE_MODEL), context=2048)) as server:
        yield server


@pytest.fixture
def ollama(llama_server):
    with ScriptedOllama({"demo:latest": OllamaModel(llama_server, {"stop": ["Step"]})}) as server:
        yield server


def test_a_batch_that_was_killed_is_resumed_to_the_answers_that_a_llama_server_gives(
    user, tmp_path, say, ollama, llama_server
):
    say("servers", "add", "home", ollama.url)
    assert "serves demo:latest" in "\n".join(say("servers", "check", "home"))
    overs = [(*OPTIONS, "--large", large) for large in ("home", llama_server.url)]
    solved = [say("solve", PROBLEM.question, *over, BATON_SERVER_KEY=KEY) for over in overs]
    assert solved[0] == solved[1]

    outs = tmp_path / "ollama", tmp_path / "llama-server"
    runs = [
        ("batch", "run", str(BATCH_PROBLEMS), "--arm", "chosen", "--limit", "2", *over, "--out", str(out))
        for over, out in zip(overs, outs, strict=True)
    ]
    reached, killed = threading.Event(), threading.Event()

    def hold(_):
        reached.set()
        killed.wait(PATIENCE)

    ollama.before_it_breaks, ollama.breaks_after = hold, 3
    program = subprocess.Popen([sys.executable, "-m", "baton_reasoning", *runs[0]], env=dict(os.environ))
    assert reached.wait(PATIENCE)
    program.kill()
    program.wait()
    killed.set()
    say("batch", "resume", str(outs[0]))
    say(*runs[1], BATON_SERVER_KEY=KEY)
    texts = [
        [json.loads(line)["text"] for line in (out / "results.jsonl").read_text("utf-8").splitlines()] for out in outs
    ]
    assert len(texts[0]) == 2
    assert texts[0] == texts[1]
