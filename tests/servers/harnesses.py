"""Real evaluation harnesses against `baton serve` on the demo pair: `python -m tests.servers.harnesses FOLDER`.

Installs lm-evaluation-harness and Inspect into FOLDER/venv unless they are there (too heavy for CI), and lets both ask
the endpoint the same problems that `baton batch` solves. Prints the versions and the counts that docs/serve.md gives;
the exit code is 1 if the three differ in what they count.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from baton_reasoning.core.demo_pair import BATCH_PROBLEMS
from baton_reasoning.core.version import version

ARMS = ("small", "large", "baton")
PROBLEMS = 20
PACKAGES = ("lm_eval[api]", "inspect-ai", "openai")
GREEDY = ("--set", "temperature=0")
BATON = (sys.executable, "-m", "baton_reasoning")
ROOT = Path(__file__).parents[2]

LM_EVAL_TASK = r"""
task: baton_demo
dataset_path: json
dataset_kwargs:
  data_files:
    test: {problems}
test_split: test
output_type: generate_until
doc_to_text: "{{{{problem}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: [], temperature: 0}}
filter_list:
  - name: boxed
    filter:
      - function: regex
        regex_pattern: '\\boxed\{{(\d+)\}}'
        group_select: -1
      - function: take_first
metric_list:
  - metric: exact_match
"""
INSPECT_TASK = r"""
from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.scorer import pattern

@task
def baton_demo():
    problems = json_dataset({problems!r}, FieldSpec(input="problem", target="answer", id="id"))
    return Task(dataset=problems, scorer=pattern(r"\\boxed\{{(\d+)\}}"))
"""


def installed(folder: Path) -> Path:
    """The folder with the commands of a virtual environment of the harnesses, which sees Baton's packages, too."""
    commands = folder / "venv" / "bin"
    if not (commands / "inspect").exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        subprocess.run([commands / "pip", "install", "-q", *PACKAGES], check=True)
    (theirs,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (ours,) = {path for path in sys.path if path.endswith("site-packages")}
    (theirs / "baton.pth").write_text(f"{ours}\n")
    return commands


@contextmanager
def endpoint() -> Iterator[str]:
    """`baton serve` on a free port: its base URL."""
    words = [*BATON, "serve", "--port", "0", "--parallel", "2", *GREEDY]
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stderr
        addresses = (re.search(r"http://\S+/v1", line) for line in process.stderr)
        try:
            yield next(filter(None, addresses)).group()
        finally:
            process.terminate()


def lm_eval(commands: Path, folder: Path, url: str, arm: str) -> int:
    """Right answers by lm-evaluation-harness."""
    tasks, out = folder / "tasks", folder / "lm-eval" / arm
    tasks.mkdir(exist_ok=True)
    (tasks / "baton_demo.yaml").write_text(LM_EVAL_TASK.format(problems=BATCH_PROBLEMS))
    asked = f"model={arm},base_url={url}/chat/completions,num_concurrent=2,max_gen_toks=500"
    words = ["--model", "local-chat-completions", "--model_args", asked, "--apply_chat_template", "--output_path", out]
    words += ["--tasks", "baton_demo", "--include_path", tasks, "--limit", str(PROBLEMS), "--log_samples"]
    run(commands / "lm-eval", "run", *words, OPENAI_API_KEY="none", HF_DATASETS_OFFLINE="1")
    results = json.loads(newest(out, "results_*.json").read_text())["results"]["baton_demo"]
    return round(float(results["exact_match,boxed"]) * PROBLEMS)


def inspect(commands: Path, folder: Path, url: str, arm: str) -> int:
    """Right answers by Inspect."""
    task, logs = folder / "baton_demo.py", folder / "inspect" / arm
    task.write_text(INSPECT_TASK.format(problems=str(BATCH_PROBLEMS)))
    words = [
        task.name,
        "--model",
        f"openai-api/baton/{arm}",
        "--limit",
        PROBLEMS,
        "--log-dir",
        logs,
        "--display",
        "plain",
    ]
    run(commands / "inspect", "eval", *words, where=folder, BATON_BASE_URL=url, BATON_API_KEY="none")
    return right_in(dumped(commands, newest(logs, "*.eval")))


def batch(folder: Path) -> dict[str, int]:
    """Right answers of each arm by `baton batch` itself."""
    out = folder / "batch"
    if not (out / "report.json").exists():
        arms = [word for arm in ARMS for word in ("--arm", arm)]
        words = [BATCH_PROBLEMS, *arms, "--limit", PROBLEMS, *GREEDY, "--parallel", "2", "--no-history", "--out", out]
        run(*BATON, "batch", "run", *words)
    return {arm["name"]: arm["correct"] for arm in json.loads((out / "report.json").read_text())["arms"]}


def dumped(commands: Path, log: Path) -> dict[str, Any]:
    """What `inspect log dump` says."""
    log_as_json: dict[str, Any] = json.loads(run(commands / "inspect", "log", "dump", log))
    return log_as_json


def right_in(log: dict[str, Any]) -> int:
    values = [score["value"] for sample in log["samples"] for score in sample["scores"].values()]
    return values.count("C")


def newest(folder: Path, pattern: str) -> Path:
    return max(folder.rglob(pattern), key=lambda path: path.stat().st_mtime)


def run(*words: object, where: Path = ROOT, **environment: str) -> str:
    """What the command prints. Raises CalledProcessError after showing what it said."""
    command = [str(word) for word in words]
    done = subprocess.run(command, cwd=where, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        print(" ".join(command), done.stdout[-3000:], done.stderr[-3000:], sep="\n", file=sys.stderr)
    done.check_returncode()
    return done.stdout


def main() -> int:
    folder = Path(sys.argv[1]).absolute()
    commands = installed(folder)
    names = "import importlib.metadata as m; print(*(m.version(n) for n in ('lm_eval', 'inspect_ai', 'openai')))"
    theirs = run(commands / "python", "-c", names).split()
    print(f"Baton {version()}, lm-evaluation-harness {theirs[0]}, Inspect {theirs[1]}, openai {theirs[2]}\n")
    with endpoint() as url:
        asked = {arm: (lm_eval(commands, folder, url, arm), inspect(commands, folder, url, arm)) for arm in ARMS}
    own = batch(folder)
    print(f"| right of {PROBLEMS} | lm-eval | inspect eval | baton batch |")
    print("|---|---:|---:|---:|")
    same = True
    for arm in ARMS:
        counts = (*asked[arm], own[arm])
        same &= len(set(counts)) == 1
        print(f"| `{arm}` | {' | '.join(map(str, counts))} |")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
