"""Results in the formats of other evaluation tools, each a file or two for every arm in a folder.

| tool | what is written | opened by |
|---|---|---|
| `lm-eval` | `samples_ARM.jsonl`, as `lm_eval --log_samples` writes it | lm-evaluation-harness and its viewers |
| `inspect` | `ARM.eval`, through Inspect's own Python API | `inspect view` (needs `pip install inspect-ai`) |
| `every-eval-ever` | `ARM.json` and `ARM_samples.jsonl`, schema 0.2 | Every Eval Ever (evaleval.github.io) |

A new tool is a function and a line in `TOOLS`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from core.batch.reporting.inspect_log import write_inspect_log
from core.batch.reporting.records import ResultRecord
from core.batch.reporting.report import ArmReport
from core.batch.reporting.results import Results
from core.errors import StoreError
from core.files import make_private, private_folder

_EEE_VERSION = "0.2.1"


def write_for(tool: str, results: Results, folder: Path) -> list[Path]:
    """Write the files of a tool into the folder; returns them. Raises StoreError, also for an unknown tool."""
    if tool not in TOOLS:
        raise StoreError(f"{tool} is no tool that results can be written for.", f"Choose one of {', '.join(TOOLS)}.")
    try:
        private_folder(folder)
        return [path for arm in results.report.arms for path in TOOLS[tool](results, arm, folder / file_name(arm.name))]
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror or error}.", "Choose another place.") from error


def records_of(results: Results, arm: ArmReport) -> Iterator[ResultRecord]:
    """The results of an arm that are done, in the order of problems."""
    name = arm.same_as or arm.name
    return (record for record in results.records() if record.arm == name and record.state == "done")


def _lm_eval(results: Results, arm: ArmReport, stem: Path) -> list[Path]:
    """A line for each problem, its seeds as repeats of one request."""
    path = stem.with_name(f"samples_{stem.name}.jsonl")
    settings = results.report_record.arms[results.report.arms.index(arm)].settings.get("settings", {})
    lines = []
    for number, (_, group) in enumerate(groupby(records_of(results, arm), key=lambda record: record.id)):
        records = list(group)
        first = records[0]
        prompt = _prompt(first, settings)
        doc = {"id": first.id, "question": first.problem, "answer": first.expected} | first.metadata
        target = first.expected or ""
        lines.append(
            {
                "doc_id": number,
                "doc": doc,
                "target": target,
                "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": {"until": []}}},
                "resps": [[record.text for record in records]],
                "filtered_resps": [record.answer for record in records],
                "filter": "baton",
                "metrics": ["correct"],
                "doc_hash": _sha256(json.dumps(doc, ensure_ascii=False)),
                "prompt_hash": _sha256(prompt),
                "target_hash": _sha256(target),
                "correct": sum(record.outcome == "correct" for record in records) / len(records),
            }
        )
    return [_write_lines(path, lines)]


def _every_eval_ever(results: Results, arm: ArmReport, stem: Path) -> list[Path]:
    report = results.report_record
    model = " + ".join(found.name for found in (report.small, report.large) if found) or arm.name
    model_id = f"baton/{file_name(model)}-{file_name(arm.name)}"
    created = str(int(report.created.timestamp()))
    evaluation = f"{report.name}/{model_id}/{created}"
    samples = _write_lines(
        stem.with_name(f"{stem.name}_samples.jsonl"),
        (_sample(record, report.name, evaluation, model_id) for record in records_of(results, arm)),
    )
    data = samples.read_bytes()
    aggregate: dict[str, Any] = {
        "schema_version": _EEE_VERSION,
        "evaluation_id": evaluation,
        "evaluation_timestamp": created,
        "retrieved_timestamp": created,
        "source_metadata": {
            "source_name": "Baton",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "baton", "version": report.provenance.baton or "unknown"},
        "model_info": {"name": f"{model}, {arm.name}", "id": model_id, "additional_details": _details(results, arm)},
        "evaluation_results": [_result(results, arm)] if arm.accuracy else [],
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": samples.name,
            "hash_algorithm": "sha256",
            "checksum": hashlib.sha256(data).hexdigest(),
            "total_rows": data.count(b"\n"),
        },
    }
    path = stem.with_name(f"{stem.name}.json")
    make_private(path)
    path.write_text(json.dumps(aggregate, indent=1, ensure_ascii=False), encoding="utf-8", errors="replace")
    return [path, samples]


def _result(results: Results, arm: ArmReport) -> dict[str, Any]:
    assert arm.accuracy
    low, high = arm.accuracy.interval
    return {
        "evaluation_name": results.report.name,
        "source_data": {"dataset_name": results.report.name, "source_type": "other"},
        "metric_config": {
            "evaluation_description": "Share of correct answers, of those that could be graded.",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": 1,
        },
        "score_details": {
            "score": arm.accuracy.value,
            "uncertainty": {
                "confidence_interval": {"lower": low, "upper": high, "confidence_level": 0.95},
                "num_samples": arm.correct + arm.wrong,
            },
        },
    }


def _sample(record: ResultRecord, name: str, evaluation: str, model: str) -> dict[str, Any]:
    reference = [record.expected] if record.expected is not None else []
    hashed = json.dumps({"raw": record.problem, "reference": reference}, sort_keys=True, separators=(",", ":"))
    return {
        "schema_version": _EEE_VERSION,
        "evaluation_id": evaluation,
        "model_id": model,
        "evaluation_name": name,
        "sample_id": record.id,
        "sample_hash": _sha256(hashed),
        "interaction_type": "single_turn",
        "input": {"raw": record.problem, "reference": reference},
        "output": {"raw": [record.text]},
        "messages": None,
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": record.answer,
                "extraction_method": f"baton {record.graded_by or ''}".strip(),
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": float(record.outcome == "correct"), "is_correct": record.outcome == "correct"},
        "performance": {"latency_ms": 1000 * record.seconds},
        "error": record.error or None,
        "metadata": {"arm": record.arm, "seed": str(record.seed), "outcome": record.outcome},
    }


def _details(results: Results, arm: ArmReport) -> dict[str, str]:
    settings = results.report_record.arms[results.report.arms.index(arm)].settings
    return {"arm": arm.name, "large_share": f"{arm.large_share:.4f}", "settings": json.dumps(settings, sort_keys=True)}


def _prompt(record: ResultRecord, settings: dict[str, Any]) -> str:
    instruction = settings.get("instruction", "")
    problem = f"{record.problem}\n{instruction}" if instruction else record.problem
    system = settings.get("system", "")
    return f"{system}\n\n{problem}" if system else problem


def _write_lines(path: Path, lines: Any) -> Path:
    make_private(path)
    with path.open("w", encoding="utf-8", errors="replace") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return path


def file_name(name: str) -> str:
    """The name of an arm or of a batch as part of a file's name."""
    return re.sub(r"[^\w.=-]+", "-", name).strip("-.") or "arm"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _inspect(results: Results, arm: ArmReport, stem: Path) -> list[Path]:
    path = stem.with_name(f"{stem.name}.eval")
    write_inspect_log(results.report_record, arm, list(records_of(results, arm)), path)
    make_private(path)
    return [path]


TOOLS: dict[str, Callable[[Results, ArmReport, Path], list[Path]]] = {
    "lm-eval": _lm_eval,
    "inspect": _inspect,
    "every-eval-ever": _every_eval_ever,
}
