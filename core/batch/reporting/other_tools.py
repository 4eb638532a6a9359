"""Writes results in the formats of other evaluation tools, a file for every arm in a folder.

| tool | what is written | opened by |
|---|---|---|
| `lm-eval` | `samples_ARM.jsonl`, as `lm_eval --log_samples` writes it | lm-evaluation-harness and its viewers |
| `inspect` | `ARM.eval`, through Inspect's own Python API | `inspect view` (needs the extra `inspect`) |

A new tool is a function and a line in `TOOLS`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from baton_reasoning.core.batch.reporting.exported_result import ExportedResult
from baton_reasoning.core.batch.reporting.inspect_log import write_inspect_log
from baton_reasoning.core.batch.reporting.report import ArmReport
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.files import make_private, private_folder


def write_for(tool: str, results: Results, folder: Path) -> list[Path]:
    """Write the file of each arm for a tool of `TOOLS` into the folder; returns the paths. Raises StoreError."""
    try:
        private_folder(folder)
        return [TOOLS[tool].write(results, arm, folder / file_name(arm.name)) for arm in results.report.arms]
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror or error}.", "Choose another place.") from error


def results_of(results: Results, arm: ArmReport) -> Iterator[ExportedResult]:
    """Yield the results of an arm that are done, in the order of problems."""
    name = arm.same_as or arm.name
    return (result for result in results.exported() if result.arm == name and result.state == "done")


def _lm_eval(results: Results, arm: ArmReport, stem: Path) -> Path:
    """Write a line for each problem, its seeds as repeats of one request."""
    path = stem.with_name(f"samples_{stem.name}.jsonl")
    settings = arm.settings.get("settings", {})
    by_problem: defaultdict[str, list[ExportedResult]] = defaultdict(list)
    for result in results_of(results, arm):
        by_problem[result.id].append(result)
    lines = []
    for number, repeats in enumerate(by_problem.values()):
        first = repeats[0]
        prompt = _prompt(first, settings)
        doc = {"id": first.id, "question": first.problem, "answer": first.expected} | first.metadata
        target = first.expected or ""
        lines.append(
            {
                "doc_id": number,
                "doc": doc,
                "target": target,
                "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": {"until": []}}},
                "resps": [[each.text for each in repeats]],
                "filtered_resps": [each.answer for each in repeats],
                "filter": "baton",
                "metrics": ["correct"],
                "doc_hash": _sha256(json.dumps(doc, ensure_ascii=False)),
                "prompt_hash": _sha256(prompt),
                "target_hash": _sha256(target),
                "correct": sum(each.outcome == "correct" for each in repeats) / len(repeats),
            }
        )
    make_private(path)
    with path.open("w", encoding="utf-8", errors="replace") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return path


def _prompt(result: ExportedResult, settings: dict[str, Any]) -> str:
    instruction = settings.get("instruction", "")
    problem = f"{result.problem}\n{instruction}" if instruction else result.problem
    system = settings.get("system", "")
    return f"{system}\n\n{problem}" if system else problem


def file_name(name: str) -> str:
    """Turn the name of an arm or of a batch into a part of a file name."""
    return re.sub(r"[^\w.=-]+", "-", name).strip("-.") or "arm"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _inspect(results: Results, arm: ArmReport, stem: Path) -> Path:
    path = stem.with_name(f"{stem.name}.eval")
    write_inspect_log(results.report, arm, list(results_of(results, arm)), path)
    make_private(path)
    return path


class Tool(NamedTuple):
    title: str
    write: Callable[[Results, ArmReport, Path], Path]
    """Writes the results of an arm to a file; the path is the folder and the arm's name, without an ending."""


TOOLS = {"lm-eval": Tool("lm-evaluation-harness", _lm_eval), "inspect": Tool("Inspect", _inspect)}
