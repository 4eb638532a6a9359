"""A batch is executed with the models that it names, one pair after another, wherever they are opened."""

from contextlib import contextmanager

from baton_reasoning.core.batch.running.arms import OtherModels, arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings, Provenance, create_batch
from baton_reasoning.core.batch.running.control import BatchControl
from baton_reasoning.core.batch.running.execution import execute, pairs_to_open
from baton_reasoning.core.batch.running.progress import Opened, Opening
from baton_reasoning.core.errors import Cancelled
from baton_reasoning.core.models.source import LocalFile
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.batches import JobState
from tests.core.batch.counting import large_engine, problems, rows_of, small_engine


def two_pairs(store):
    """A batch of `small` and `large`, and of `large` with another large model."""
    arms = arms_of(["small", "large"], RunSettings(), larges=["big"])
    begun_with = Provenance(small="small.gguf", large="http://…@office:8080")
    return create_batch(store, "two", problems(2), arms, parallel=3, provenance=begun_with)


class Opener:
    """Opens counting pairs of any name."""

    def __init__(self):
        self.opened: list[tuple[str, str]] = []
        self.are_open = 0

    @contextmanager
    def __call__(self, wanted):
        self.opened.append((wanted.small, wanted.large))
        self.are_open += 1
        yield Pair(small_engine(), large_engine().with_card(name=wanted.large, source=LocalFile(wanted.large)))
        self.are_open -= 1


def test_each_pair_is_opened_by_its_names_once_its_turn_has_come_and_closed_before_the_next(store, grader):
    batch, opener, opened = two_pairs(store), Opener(), list[int]()
    events = list[object]()
    for event in execute(store, batch, opener, grader=grader):
        events.append(event)
        opened.append(opener.are_open)
    assert opener.opened == [("small.gguf", "http://…@office:8080"), ("small.gguf", "big")]
    assert [type(event) for event in events if isinstance(event, Opening | Opened)] == [Opening, Opened] * 2
    assert max(opened) == 1
    assert {row.state for row in rows_of(store, batch)} == {JobState.DONE}
    assert list(execute(store, batch, opener, grader=grader)) == [], "nothing is opened for a batch that is done"


def test_what_has_moved_since_is_named_and_the_others_are_opened_by_what_opened_them_last(store, grader):
    batch, opener = two_pairs(store), Opener()
    list(execute(store, batch, opener, grader=grader, moved=OtherModels(large="http://key@office:8080")))
    assert opener.opened == [("small.gguf", "http://key@office:8080"), ("small.gguf", "big")]
    settings = BatchSettings.of(store.batches.open(batch))
    assert settings.named(OtherModels()) == ("small.gguf", "http://…@office:8080")
    assert settings.named(OtherModels(large="big")) == ("small.gguf", "big")


def test_a_pair_is_wanted_for_what_its_arms_need(store):
    own, other = pairs_to_open(store, two_pairs(store), moved=OtherModels("moved.gguf")).values()
    assert (own.small, other.small) == ("moved.gguf",) * 2
    assert (own.needs.small, own.needs.large) == (True, True)
    assert (other.needs.small, other.needs.large) == (False, True)
    assert {own.parallel, other.parallel} == {3}


def test_stopped_while_a_pair_is_opened_it_ends_without_an_answer(store, grader):
    batch, control = two_pairs(store), BatchControl()

    @contextmanager
    def never(_):
        asked = list[bool]()
        with control.stopping(lambda: asked.append(True)):
            control.finish()
        assert asked == [True], "nothing is under way that could be finished"
        raise Cancelled
        yield

    assert list(execute(store, batch, never, control, grader)) == [Opening()]
    assert {row.state for row in rows_of(store, batch)} == {JobState.WAITING}
