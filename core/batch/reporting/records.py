"""The documented shape of results.jsonl and report.json (docs/results.md).

`SCHEMAS` gives the JSON Schema of each; they are shipped in resources/schemas, and a test keeps them equal to these
classes. A field that changes its meaning, or is removed, means a new version of the schema; new fields do not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.batch.running.provenance import Provenance


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, ser_json_inf_nan="null")


class SpanRecord(_Record):
    """What one author wrote of one step in one go."""

    author: Literal["small", "large", "inserted"]
    start: int = Field(description="Position of its first character in `text`.")
    end: int = Field(description="Position after its last character.")
    step: int = Field(description="Index of its step, from 0.")
    tokens: int
    reason: str | None = Field(description="Why this model wrote it, for a takeover; id of a takeover reason.")
    cue: str | None = Field(description="The cue that led to the takeover.")
    in_answer: bool = Field(description="After the end of the thinking.")
    discarded_tokens: int = Field(description="Tokens that were written in its place before, and discarded.")


class ConditionsRecord(_Record):
    """What decides the speed of an answer besides models and settings."""

    parallel: int = Field(description="Texts that were written at once, at most.")
    threads: int = Field(description="Threads of the local model that has most; 0 if no model is local.")
    other_load: float = Field(description="Share of the CPU that other programs used meanwhile, 0 to 1.")
    paused: bool = Field(description="The batch was paused meanwhile.")
    resumed: bool = Field(description="The text was continued after an interruption.")


class ResultRecord(_Record):
    """One problem under one arm with one seed: a line of results.jsonl."""

    schema_version: Literal["baton-result-1"] = Field("baton-result-1", alias="schema")
    batch: str = Field(description="Id of the batch, as in report.json.")
    run: str = Field(description="Id of the run in the store that holds the batch.")
    id: str = Field(description="Id of the problem, unique in the batch.")
    problem: str = Field(description="The problem, options included, without the instruction after it.")
    arm: str
    seed: int = Field(description="Seed of the batch; the run itself uses seed · 1,000,003 + index of the problem.")
    state: Literal["waiting", "claimed", "done"]
    answer: str = Field(description="The answer that was found in the text; empty if there is none.")
    expected: str | None = Field(description="The expected answer; null if the problem cannot be graded.")
    outcome: str = Field(description="correct, wrong, unscored or error; or the state of a job that is not done.")
    graded_by: str | None = Field(description="How the answer was compared: exact, numeric, choice, math, regex …")
    reason: str = Field(description="Why the grader decided so.")
    error: str = Field(description="Why there is no answer; empty if there is one.")
    notices: tuple[str, ...] = Field(description="What the engines reported: retries, restarts, caps.")
    text: str = Field(description="All generated text that was kept, thinking and answer.")
    answer_start: int | None = Field(description="Position in `text` after the end of the thinking; null without one.")
    spans: tuple[SpanRecord, ...] = Field(description="Who wrote what of `text`; they cover it without gaps.")
    large_share: float = Field(description="Kept tokens of the large model / kept tokens of both, 0 to 1.")
    small_tokens: int = Field(description="Kept tokens of the small model.")
    large_tokens: int = Field(description="Kept tokens of the large model.")
    discarded_tokens: int = Field(description="Tokens that were written and replaced.")
    small_read: int = Field(description="Tokens that the small model prefilled.")
    large_read: int = Field(description="Tokens that the large model prefilled.")
    handoffs: int
    steps: int
    seconds: float = Field(description="By the clock, from the first prefill to the last token.")
    money: float = Field(description="What servers charge, in `currency`; 0 without prices.")
    currency: str
    remote_tokens: int = Field(description="Tokens read and written by servers.")
    finish: str = Field(description="How the text ended: end of text, max tokens …; empty if it has not.")
    started: datetime | None
    ended: datetime | None
    conditions: ConditionsRecord | None
    source: str = Field(description="File of the problem.")
    line: int = Field(description="Line of the file on which the problem begins.")
    metadata: dict[str, str] = Field(description="Other columns of the file.")
    note: str = Field("", description="What a person noted about the answer; empty without a note.")


class ModelRecord(_Record):
    name: str
    place: str = Field(description="“this machine”, or the host of a server.")
    parameters: int
    quantisation: str
    architecture: str
    vocabulary: str = Field(description="Hash of the tokenizer.")
    context: int = Field(description="Tokens of prompt and answer that one text may have.")
    threads: int
    source: str = Field(description="As --small and --large take it; an address without its password.")
    file: str = Field(description="Name of the GGUF file; empty on a server.")
    bytes: int
    sha256: str = Field(description="Of the file; empty on a server, or if it was not computed.")


class IntervalRecord(_Record):
    value: float
    low: float
    high: float


class ArmConditionsRecord(_Record):
    setups: tuple[tuple[int, int, int], ...] = Field(description="(texts at once, threads, answers), commonest first.")
    other_load: float = Field(description="Mean share of the CPU that other programs used, 0 to 1.")
    paused: int
    resumed: int
    seconds: float


class ArmRecord(_Record):
    name: str
    same_as: str = Field(description="The arm with equal settings whose results these are; empty for a run of its own.")
    sweep: str = Field(description="The parameter of which this arm tries a value.")
    settings: dict[str, Any] = Field(
        description="Everything that decides how a problem is solved, and the arm's own models."
    )
    jobs: int
    done: int
    correct: int
    wrong: int
    unscored: int
    failed: int
    accuracy: float | None
    accuracy_low: float | None = Field(description="95% interval: Wilson's, as wide as the problems warrant.")
    accuracy_high: float | None
    large_share: float
    aimed_share: float | None = Field(description="The large share that an arm of equal share aimed at.")
    small_tokens: int
    large_tokens: int
    thrown_away: int = Field(description="Tokens that were written and replaced.")
    small_read: int
    large_read: int
    seconds: float = Field(description="Sum over the answers.")
    tokens_per_second: float
    speed: IntervalRecord | None = Field(description="Tokens per second with a bootstrap interval over problems.")
    tokens_per_answer: float
    seconds_per_answer: float
    compute: float = Field(description="FLOP: 2 · parameters · tokens of both models, read, written and discarded.")
    compute_per_answer: float
    takeovers: dict[str, int] = Field(description="By the id of their reason.")
    reflections: dict[str, float] = Field(
        {}, description="Mean cues of reflection in the thinking, by small, large, and in correct and wrong answers."
    )
    places: tuple[int, ...] = Field(description="Takeovers by the tenth of the text in which they lie.")
    drafted: int
    accepted: int
    money: float
    money_per_answer: float
    currency: str
    remote_tokens: int
    notices: dict[str, int] = Field(description="What engines reported, with the number of answers it concerns.")
    errors: dict[str, int] = Field(description="Why answers are missing, with their number.")
    conditions: ArmConditionsRecord


class ComparisonRecord(_Record):
    """Accuracy of `second` minus that of `first`, on the problems and seeds that both have answered."""

    first: str
    second: str
    difference: float
    low: float
    high: float
    better_first: int
    better_second: int
    p: float = Field(description="McNemar's exact test; with several seeds the sign test over problems.")
    adjusted_p: float = Field(description="Holm's, over all comparisons of the report.")
    problems: int
    remark: str = Field(description="Why interval and test disagree; empty if they agree.")


class ThroughputRecord(_Record):
    tokens_per_second: IntervalRecord
    seconds: float = Field(description="In which at least one text was written.")
    at_once: float = Field(description="Texts written at once, on average.")


class ReportRecord(_Record):
    """report.json."""

    schema_version: Literal["baton-report-1"] = Field("baton-report-1", alias="schema")
    batch: str
    name: str
    created: datetime
    provenance: Provenance
    problems: int
    problem_ids: tuple[str, ...] = Field((), description="Ids of the problems, in the order of their files.")
    seeds: int
    seed_numbers: tuple[int, ...]
    parallel: int
    grading: str = Field(description="How answers are compared; “auto” chooses for each problem.")
    pattern: str = Field(description="The pattern of grading by regex.")
    small: ModelRecord | None
    large: ModelRecord | None
    guides: dict[str, ModelRecord] = Field(description="Other large models, by the file or address that arms name.")
    smalls: dict[str, ModelRecord] = Field({}, description="Other small models, likewise.")
    chances: dict[str, float] = Field(description="Chance of takeover of each arm of equal large share.")
    arms: tuple[ArmRecord, ...]
    comparisons: tuple[ComparisonRecord, ...]
    throughput: ThroughputRecord | None
    not_comparable: str = Field(description="Why speeds are not ranked; empty if they are.")
    pareto_front: tuple[str, ...] = Field(description="Arms that no other beats in accuracy and speed, fastest last.")


SCHEMAS: dict[str, type[_Record]] = {"result-1": ResultRecord, "report-1": ReportRecord}
"""By the name of the file in resources/schemas, without its ending."""


def json_schema(name: str) -> dict[str, Any]:
    """Raises KeyError for a name that is not in `SCHEMAS`."""
    return SCHEMAS[name].model_json_schema(mode="serialization")
