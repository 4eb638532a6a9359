"""Batches of scripted engines: one that counts, and one whose takeovers have a known worth.

Counting, problem n has the answer n, and the small model errs on odd n.
"""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing

from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.batch.reporting.exports import html_report
from baton_reasoning.core.batch.reporting.failures import FailureAnalysis
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.tables import report_parts
from baton_reasoning.core.batch.running.arms import Arm, OtherModels, arms_of
from baton_reasoning.core.batch.running.batch import create_batch
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import GradingMethod
from baton_reasoning.core.models.source import DemoModel
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.policies.alone import Never
from baton_reasoning.core.thinking.policies.keywords import Keywords
from tests.fakes.scripted import Fault, ScriptedEngine
from tests.patience import PATIENCE


def problems(count: int) -> list[Problem]:
    return [Problem(f"p{n}", f"Count to {n}.", str(n), {}, n + 1) for n in range(count)]


def batch_of(store: Store, count: int, *recipes: str, seeds: tuple[int, ...] = (0,)) -> str:
    """A batch of so many problems; without recipes the small model solves them alone."""
    return create_batch(store, "counting", problems(count), arms_of(recipes or ("small",), RunSettings()), seeds)


def run_batch(store, batch, pair=None, parallel=2, models=OtherModels()):  # noqa: B008 - immutable
    with Grader(PATIENCE) as grader:
        return list(Runner(store, batch, pair or counting_pair(), grader, parallel, models).run())


def solved(store, *recipes, pair=None, found=None, name="counting", seeds=(0,), how=GradingMethod.AUTO) -> str:
    """A batch that was run to its end, by default of six problems."""
    found = problems(6) if found is None else found
    batch = create_batch(store, name, found, arms_of(recipes, RunSettings()), seeds, parallel=2, how=how)
    run_batch(store, batch, pair)
    return batch


def rows_of(store, batch, arm=None):
    return list(store.batches.results(batch, arm))


def outcomes(store, batch, arm=None):
    return [row.verdict.outcome if row.verdict else None for row in rows_of(store, batch, arm)]


def number_in(conversation):
    return int(re.findall(r"Count to (\d+)", conversation[-1].content)[0])


def solution(answer: int) -> str:
    return f"First we count.\n\nThen we look.\n\nIt is so.\n\n</think>\n\nThe answer is \\boxed{{{answer}}}."


def rest(whole: str, body: str) -> str:
    """What is left of a text to be written after the body."""
    return whole[len(body) :] if whole.startswith(body) else ""


def small_engine(**more) -> ScriptedEngine:
    def text(conversation, body):
        n = number_in(conversation)
        return rest(solution(n + n % 2), body)

    return ScriptedEngine(continue_with=text, **more)


def large_engine(**more) -> ScriptedEngine:
    return ScriptedEngine(
        name="large", continue_with=lambda conversation, body: rest(solution(number_in(conversation)), body), **more
    )


def counting_pair() -> Pair:
    return Pair(small_engine(), large_engine())


def doubting_pair(**more) -> Pair:
    """The small model doubts itself at every second step; then the large one writes."""
    steps = "".join(f"Step {n} {'wait, no' if n % 2 else 'is fine'}, it is and will be so.\n\n" for n in range(20))
    text = f"{steps}</think>\n\n\\boxed{{1}}"

    def rest_of(text, body):
        return "\n\n".join(text.split("\n\n")[body.count("\n\n") :])

    small = ScriptedEngine(continue_with=lambda _, body: rest_of(text, body), **more)
    return Pair(small, ScriptedEngine(continue_with=lambda _, body: rest_of(text.replace("wait, no", "so"), body)))


# Files of problems, and a store that is damaged


def written(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(folder, name, content):
    return read_problems(written(folder, name, content))


def texts(found):
    return [problem.text for problem in found.problems]


def damage(store):
    """Make the text of every run in this file unreadable."""
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE event_chunks SET events = x'00'")


# A report as text, and one in which everything happened that a reader must know beside the table


NOTES = (
    "p: McNemar's exact test. Adjusted p: Holm's method over the 3 comparisons",
    "small: 1 answer failed: “gpu.example refused the key <none>. Give it another one.”",
    "small: 1 answer with the notice “gpu.example was slow, and was asked again.”",
    "Seconds cannot be compared: 90% of the answers of large and 0% of those of small were written 8 at once.",
    "1 error: resume the batch for these answers.",
    "Not graded, and in no accuracy: large 1, small 1, chosen 1.",
)
"""What terminal, HTML and window must say."""


def text_of(report):
    """What a terminal shows of a report, as wide as it gets."""

    def shown(part):
        return part if isinstance(part, str) else "\n".join((part.title, part.as_text(), *part.notes))

    return "\n\n".join(map(shown, report_parts(report)))


def page_of(report):
    return html_report(report, FailureAnalysis(0, (), ()))


def noted_report(store, grader):
    """Three arms, a refusal, a notice, and a problem without an answer."""
    refusal = EngineRefused("gpu.example refused the key <none>.", "Give it another one.")
    small = small_engine(faults=[Fault(3, refusal)], notices={80: "gpu.example was slow, and was asked again."})
    arms = arms_of(["large", "small", "chosen"], RunSettings())
    batch = create_batch(store, "counting", [*problems(6), Problem("open", "Count to 9.", None, {}, 7)], arms)
    list(Runner(store, batch, Pair(small, large_engine()), grader).run())
    found = Results.read(store, batch).report
    sentence = "90% of the answers of large and 0% of those of small were written 8 at once."
    return found.model_copy(update={"not_comparable": sentence})


DEMO = (DemoModel.SMALL, DemoModel.LARGE)


# Takeovers of a known worth: after “wait” the large model helps by .5, after “yes” it harms by .3


START, AFTER_WAIT, AFTER_YES = 0.4, 0.9, 0.1
"""Chances that the small model gets it right from the beginning, and after each takeover."""


def small_draws(text: str, number: int) -> bytes | None:
    """`number`: 31 random bits."""
    if not text:
        return b"One.\n\n" if number % 2 else b"Two.\n\n"
    if text in ("One.\n\n", "Two.\n\n"):
        return b"Wait" if text[0] == "O" else b"Yes"
    if text.endswith(("Wait", "Yes")):
        return b", is it.\n\n"
    if "</think>" not in text:
        return b"</think>"
    if text.endswith("</think>"):
        return b"\n\n"
    if text.endswith("\n\n"):
        return b"\\boxed{"
    if text.endswith("{"):
        chance = AFTER_WAIT if "good" in text else AFTER_YES if "bad" in text else START
        return b"1" if number < chance * 2**31 else b"0"
    return None if text.endswith("}") else b"}"


def known_pair() -> Pair:
    def text(_, body):
        return ("Wait, good.\n\n" if body.startswith("One") else "Yes, bad.\n\n") + "More."

    return Pair(ScriptedEngine(draw=small_draws), ScriptedEngine(continue_with=text, name="large"))


def known_batch(
    store: Store, grader: Grader, answers: int = 24, expected: str | None = "1", more: Sequence[Arm] = ()
) -> str:
    """Run a batch of one problem a number, with takeovers in the arm “both” and none in the arm “small”."""
    found = [Problem(f"p{number}", f"Problem {number}", expected, {}, number) for number in range(answers)]
    both = Arm(name="both", settings=RunSettings(policy=Keywords.Settings(n1=5), max_tokens=100))
    alone = Arm(name="small", settings=RunSettings(policy=Never.Settings(), max_tokens=100))
    batch = create_batch(store, "known", found, [both, alone, *more])
    list(Runner(store, batch, known_pair(), grader, 1).run())
    return batch
