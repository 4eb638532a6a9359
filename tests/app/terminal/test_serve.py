"""`baton serve` as a real process, asked by the `openai` package."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.core.demo_pair import held_out_problems
from baton_reasoning.core.grading.extract import extract_answer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


@contextmanager
def serving(*options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The endpoint of the demo pair on a free port: its base URL and its process."""
    words = [sys.executable, "-m", "baton_reasoning", "serve", "--port", "0", *options]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stderr
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(r"http://\S+/v1", line):
                yield found.group(), process
                break
        else:
            raise AssertionError(said)
        process.kill()


@pytest.mark.real_models
def test_the_endpoint_answers_until_it_is_interrupted():
    problem = next(held_out_problems(seed=11))
    with serving("--set", "temperature=0") as (url, process):
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            assert "chosen" in [model.id for model in client.models.list()]
            response = client.chat.completions.create(
                model="baton", messages=[{"role": "user", "content": problem.question}], seed=1
            )
            assert extract_answer(response.choices[0].message.content or "") == problem.answer
        stopped_cleanly(process)


def stopped_cleanly(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    assert process.stderr
    said = process.stderr.read()
    assert process.wait() == 130
    assert said == "baton: Stopped.\n"


def test_without_its_packages_the_endpoint_names_the_extra_of_this_distribution(monkeypatch, capsys):
    """`baton` alone is another project, which would overwrite this one."""
    monkeypatch.setitem(sys.modules, "starlette", None)
    for name in [name for name in sys.modules if name.startswith(("starlette.", "baton_reasoning.core.serve."))]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["serve"]) == 2
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "serve" in project["optional-dependencies"]
    assert f'pip install "{project["name"]}[serve]"' in capsys.readouterr().err
