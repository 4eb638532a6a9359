"""The ledger decides what a handoff keeps and decodes, and what a new session reuses."""

from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.engines.local.cache import CachePlan, Ledger, common_prefix, common_text


def holding(*ids: int) -> Ledger:
    ledger = Ledger()
    ledger.ids = list(ids)
    return ledger


def test_only_what_follows_the_common_beginning_is_decoded():
    assert Ledger().plan([1, 2, 3], has_logits=False) == CachePlan(0, [1, 2, 3])
    assert holding(1, 2, 3, 4).plan([1, 2, 9, 9], has_logits=True) == CachePlan(2, [9, 9])


def test_a_text_that_is_already_there_needs_its_last_token_where_the_logits_are_gone():
    assert holding(1, 2, 3).plan([1, 2, 3], has_logits=True) == CachePlan(3, [])
    assert holding(1, 2, 3).plan([1, 2, 3], has_logits=False) == CachePlan(2, [3])
    assert holding(1, 2, 3).plan([1, 2], has_logits=True) == CachePlan(1, [2]), "these logits are of a later place"


def test_a_memory_that_cannot_be_truncated_goes_back_to_its_last_snapshot():
    ledger = Ledger(supports_truncation=False)
    ledger.ids = [1, 2]
    ledger.remember(b"at 2")
    ledger.ids += [3, 4]
    ledger.remember(b"at 4")
    ledger.ids += [5]
    assert ledger.plan([1, 2, 3, 9], has_logits=True) == CachePlan(2, [3, 9])
    assert ledger.plan([1, 2, 3, 4, 9], has_logits=True) == CachePlan(4, [9])
    assert ledger.plan([1, 2, 3, 4, 5, 6], has_logits=True) == CachePlan(5, [6]), "going on needs no way back"
    assert ledger.plan([7], has_logits=True) == CachePlan(0, [7])


def test_snapshots_beyond_a_truncation_are_forgotten_and_only_the_newest_are_kept():
    ledger = Ledger(supports_truncation=False)
    for at in range(1, 8):
        ledger.ids.append(at)
        ledger.remember(bytes([at]))
    assert sorted(ledger.snapshots) == [4, 5, 6, 7]
    ledger.truncate(6)
    assert sorted(ledger.snapshots) == [4, 5, 6]


def test_common_prefix_of_texts_of_different_length():
    assert common_prefix([1, 2, 3], [1, 2]) == 2
    assert common_prefix([1, 2], [3]) == 0
    assert common_prefix([], [3]) == 0


def test_logits_inside_the_cached_text_are_computed_from_the_token_before_them_on():
    ledger = holding(1, 2, 3, 4)
    assert ledger.plan([1, 2, 3, 4, 5], has_logits=False, logits_from=2) == CachePlan(1, [2, 3, 4, 5])
    assert ledger.plan([1, 2, 3, 4, 5], has_logits=True, logits_from=4) == CachePlan(4, [5])
    assert ledger.plan([1, 2, 3, 4, 5], has_logits=False, logits_from=4) == CachePlan(3, [4, 5])


def test_what_both_texts_begin_with_is_reused_and_a_token_is_left_to_read():
    ledger = Ledger()
    ledger.ids = list(range(300))
    assert ledger.reusable(list(range(1000))) == 300
    assert ledger.reusable([*range(200), 7]) == 200
    assert ledger.reusable(list(range(300))) == 299, "the last token is read for its logits"
    assert ledger.reusable([7]) == 0


def test_an_exact_session_reuses_whole_chunks_and_leaves_a_token_to_read():
    ledger = Ledger()
    ledger.ids, ledger.whole = list(range(300)), 256
    assert ledger.reusable(list(range(1000)), chunk=64) == 256
    assert ledger.reusable(list(range(200)), chunk=64) == 192
    assert ledger.reusable(list(range(192)), chunk=64) == 128, "the last chunk is read for its logits"
    ledger.truncate(130)
    assert ledger.reusable(list(range(1000)), chunk=64) == 128


def test_a_memory_that_cannot_be_truncated_is_reused_as_a_whole_or_from_a_snapshot():
    ledger = Ledger(supports_truncation=False)
    ledger.ids = list(range(200))
    ledger.remember(b"at 200")
    ledger.ids, ledger.whole = list(range(300)), 256
    assert ledger.reusable(list(range(1000))) == 300
    assert ledger.reusable([*range(250), 7]) == 200
    assert ledger.reusable([*range(150), 7]) == 0
    assert ledger.reusable(list(range(1000)), chunk=64) == 0


def test_a_text_in_other_tokens_is_held_up_to_the_last_place_where_both_end_a_token():
    texts = {1: b"to", 2: b"get", 3: b"her", 4: b"together", 5: b" no", 6: b" now", 7: b"\xff7\xff", 8: b"<end>"}
    of = texts.__getitem__
    assert common_text([1, 2, 3, 5, 7], [4, 5, 7], of) == (5, 3)
    assert common_text([7, 1, 2, 3], [7, 4, 6], of) == (4, 2), "the rest is new"
    assert common_text([7, 1, 2], [7, 4], of) == (1, 1), "what is held ends within a token"
    assert common_text([1, 2, 3, 5], [4, 6], of) == (3, 1)
    assert common_text([1, 2, 3, 7], [4, 8], of) == (3, 1), "a control token is no text"
    assert common_text([4], [5], of) == (0, 0)
    assert common_text([], [4], of) == (0, 0)


IDS = st.lists(st.integers(0, 2), max_size=12)


@given(st.lists(st.tuples(IDS, st.booleans(), st.integers(0, 12)), max_size=6), st.booleans(), st.integers(1, 4))
def test_after_any_texts_the_cache_holds_the_last_and_every_wanted_logit(texts, can_truncate, chunk):
    ledger, has_logits = Ledger(can_truncate), False
    for target, wants_all, at in texts:
        first = min(at, len(target)) if wants_all else None
        before = list(ledger.ids)
        keep, new = ledger.plan(target, has_logits, first)
        assert [*before[:keep], *new] == target
        assert keep in {0, len(before), *ledger.snapshots} or can_truncate
        wanted = range(max(len(target) if first is None else first, 1), len(target) + 1)
        computed = {*range(keep + 1, len(target) + 1), *([len(before)] if has_logits else [])}
        assert set(wanted) <= computed
        ledger.truncate(keep)
        ledger.ids += new
        assert ledger.ids == target
        if new and at % 2:
            ledger.remember(b"")
        assert len(ledger.snapshots) <= 4
        assert ledger.reusable(target, chunk) % chunk == 0
        assert ledger.reusable(target, chunk) <= max(len(target) - 1, 0)
        has_logits = bool(target)
