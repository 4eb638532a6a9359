"""A batch to be run again from its report.json and the results.jsonl beside it: `baton batch --again report.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from core.batch.reading.origin import ProblemOrigin
from core.batch.running.arms import Arm
from core.errors import ProblemFileError
from core.files import read_text
from core.grading.verdict import How, Regex
from core.models.checksums import sha256_of
from core.problem import Problem
from core.store.batch_rows import StoredArm

RESULTS = "results.jsonl"


class Repetition(NamedTuple):
    """Everything that decides what a batch does, but for the speed of the machine."""

    name: str
    problems: tuple[Problem, ...]
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    parallel: int
    how: How | Regex
    small: str
    """As --small takes it; empty where no arm needed it."""
    large: str
    context: int
    """Tokens; 0 if it is not known."""
    hashes: dict[str, str]
    """SHA-256 of each model file, by the model as it was named."""
    origin: ProblemOrigin

    def changed_models(self) -> list[str]:
        """A sentence for each model file that is not the one of the report. Reads the files."""
        return [
            f"{model} is not the file of the report: its SHA-256 differs."
            for model, known in self.hashes.items()
            if (now := sha256_of(Path(model))) and now != known
        ]


class _Lenient(BaseModel):
    """Of a newer Baton, too: fields that this version does not know are ignored."""

    model_config = ConfigDict(extra="ignore")


class _Model(_Lenient):
    source: str = ""
    context: int = 0
    sha256: str = ""


class _Arm(_Lenient):
    name: str
    sweep: str = ""
    settings: dict[str, Any]


class _Provenance(_Lenient):
    problems: ProblemOrigin = ProblemOrigin()


class _Report(_Lenient):
    name: str
    provenance: _Provenance = _Provenance()
    parallel: int = 1
    seed_numbers: tuple[int, ...]
    grading: str = How.AUTO.value
    pattern: str = ""
    small: _Model | None = None
    large: _Model | None = None
    arms: tuple[_Arm, ...]


class _Result(_Lenient):
    id: str
    problem: str
    expected: str | None
    source: str = ""
    line: int = 0
    metadata: dict[str, str] = {}


def repetition_of(report: Path) -> Repetition:
    """Raises ProblemFileError if one of the files is missing or is none of Baton's, SettingsError for settings that
    this version cannot read."""
    advice = f"Name the report.json of a batch, with its {RESULTS} beside it."
    try:
        read = _Report.model_validate_json(read_text(report, advice, ProblemFileError))
        lines = read_text(report.with_name(RESULTS), advice, ProblemFileError).split("\n")
        results = [_Result.model_validate_json(line) for line in lines if line.strip()]
    except ValidationError as error:
        raise ProblemFileError(f"{report} and the {RESULTS} beside it cannot be read as a report.", advice) from error
    problems = {
        found.id: Problem(found.id, found.problem, found.expected, found.metadata, found.line, found.source)
        for found in results
    }
    models = [model for model in (read.small, read.large) if model]
    return Repetition(
        read.name,
        tuple(problems.values()),
        tuple(Arm.of(StoredArm(arm.name, arm.settings | {"sweep": arm.sweep})) for arm in read.arms),
        read.seed_numbers,
        read.parallel,
        Regex(read.pattern) if read.grading == How.REGEX.value else How(read.grading),
        read.small.source if read.small else "",
        read.large.source if read.large else "",
        max((model.context for model in models), default=0),
        {model.source: model.sha256 for model in models if model.sha256},
        read.provenance.problems,
    )
