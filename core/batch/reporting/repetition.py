"""Reads a batch to be run again from its report.json and the results.jsonl beside it (`baton batch again`)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from baton_reasoning.core.batch.reporting.exported_result import ExportedResult
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.batch.running.batch import local_context
from baton_reasoning.core.errors import ProblemFileError
from baton_reasoning.core.files import read_text, sha256_of
from baton_reasoning.core.grading.verdict import How, Regex
from baton_reasoning.core.models.options import DemoModel, local_path, parse_source
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import StoredArm
from baton_reasoning.core.text import counted

RESULTS = "results.jsonl"


class Repetition(NamedTuple):
    """Everything that decides what a batch does, except for the speed of the machine."""

    report: Report
    problems: tuple[Problem, ...]
    arms: tuple[Arm, ...]

    @property
    def how(self) -> How | Regex:
        return Regex(self.report.pattern) if self.report.grading is How.REGEX else self.report.grading

    @property
    def context(self) -> int:
        """Tokens of context of the models on this machine; 0 if there was none."""
        return local_context(self.report.small, self.report.large)

    def changed_models(self, small: str, large: str) -> list[str]:
        """Name each model file that is not the one of the report, in a sentence. Reads the files.

        `small`, `large`: the models that will run in the place of the report's own.
        """
        told = self.report
        models = [(small, DemoModel.SMALL, told.small), (large, DemoModel.LARGE, told.large)]
        models += [(name, DemoModel.SMALL, model) for name, model in told.other_smalls.items()]
        models += [(name, DemoModel.LARGE, model) for name, model in told.other_larges.items()]
        return [
            f"{name} is not the file of the report: its SHA-256 differs."
            for name, demo, model in models
            if model and model.sha256 and (path := local_path(parse_source(name, demo)))
            if (now := sha256_of(path)) and now != model.sha256
        ]


def read_repetition(path: Path) -> Repetition:
    """Read the report at this path, and the results beside it.

    Raises ProblemFileError if one of the files is missing or was not written by Baton, SettingsError for settings that
    this version cannot read.
    """
    advice = f"Name the report.json of a batch, with its {RESULTS} beside it."
    try:
        report = Report.model_validate_json(read_text(path, advice, ProblemFileError))
        with path.with_name(RESULTS).open(encoding="utf-8") as lines:  # which may be of gigabytes
            results = (ExportedResult.model_validate_json(line) for line in lines if line.strip())
            problems = {
                found.id: Problem(found.id, found.problem, found.expected, found.metadata, found.line, found.source)
                for found in results
            }
    except (ValidationError, UnicodeDecodeError) as error:
        raise ProblemFileError(f"{path} and the {RESULTS} beside it cannot be read as a report.", advice) from error
    except OSError as error:
        raise ProblemFileError(f"{error.filename} cannot be read: {error.strerror or error}.", advice) from error
    if missing := len(set(report.problem_ids) - problems.keys()):
        raise ProblemFileError(
            f"{counted(missing, 'problem')} of {path} cannot be found in the {RESULTS} beside it.",
            "Write both again: baton batch report DIR.",
        )
    arms = tuple(Arm.of(StoredArm(arm.name, arm.settings | {"sweep": arm.sweep})) for arm in report.arms)
    return Repetition(report, tuple(problems[identity] for identity in report.problem_ids), arms)
