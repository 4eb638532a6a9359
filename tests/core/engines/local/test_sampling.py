"""Sampling from the tokens that can be sampled, against llama.cpp's chain of samplers over the whole vocabulary."""

import ctypes
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_cpp import llama_cpp as ll

from baton_reasoning.core.engines.local.sampling import SORTED, Logits, Sampler, largest
from baton_reasoning.core.models.sampling import Sampling

LARGE = 4 * SORTED
"""More tokens than are sorted."""


def chain(logits: Logits, sampling: Sampling, number: int) -> int:
    """Sample by llama.cpp's own samplers over the whole vocabulary."""
    candidates = np.zeros(len(logits), dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
    candidates["id"], candidates["logit"] = np.arange(len(logits)), logits
    data = candidates.ctypes.data_as(ctypes.POINTER(ll.llama_token_data))
    array = ll.llama_token_data_array(data=data, size=len(logits), selected=-1, sorted=False)
    samplers = ll.llama_sampler_chain_init(ll.llama_sampler_chain_default_params())
    if sampling.top_k > 0:
        ll.llama_sampler_chain_add(samplers, ll.llama_sampler_init_top_k(sampling.top_k))
    ll.llama_sampler_chain_add(samplers, ll.llama_sampler_init_temp(sampling.temperature))
    ll.llama_sampler_chain_add(samplers, ll.llama_sampler_init_top_p(sampling.top_p, 1))
    ll.llama_sampler_chain_add(samplers, ll.llama_sampler_init_dist(number))
    ll.llama_sampler_apply(samplers, ctypes.byref(array))
    ll.llama_sampler_free(samplers)
    token: int = array.data[array.selected].id
    return token


def drawn(size: int, spread: float, seed: int, excluded: float = 0.0) -> Logits:
    """Logits of a normal distribution, a part of which are −∞."""
    dice = np.random.default_rng(seed)
    logits = (dice.standard_normal(size) * spread).astype(np.float32)
    logits[1:][dice.random(size - 1) < excluded] = -np.inf
    return logits


def check(sampler: Sampler, logits: Logits, sampling: Sampling, number: int) -> None:
    found, expected = sampler.sample(logits, sampling, number)[0], chain(logits, sampling, number)
    if logits[found] == logits[expected]:
        return
    # llama.cpp adds up many probabilities in 32 bits, and may take the next token in their order.
    assert sampling.top_k == 0
    between = np.sort(logits[[found, expected]])
    assert ((logits > between[0]) & (logits < between[1])).sum() == 0


@pytest.mark.scaled
@given(
    st.sampled_from([1, 2, 40, 1_500, LARGE]),
    st.sampled_from([0.01, 0.5, 3.0, 12.0]),
    st.sampled_from([0.0, 0.4]),
    st.builds(
        Sampling,
        temperature=st.sampled_from([0.0, 0.1, 0.6, 1.0, 1.7, 5.0]),
        top_p=st.sampled_from([0.05, 0.5, 0.95, 0.999, 1.0]),
        top_k=st.sampled_from([0, 1, 5, 50, 3_000]),
    ),
    st.integers(0, 2**31 - 1),
)
def test_a_number_samples_the_token_that_the_whole_chain_of_llama_cpp_samples(size, spread, excluded, sampling, number):
    check(Sampler(size), drawn(size, spread, number, excluded), sampling, number)


@pytest.mark.parametrize("spread", [0.0, 0.02, 1.0, 4.0])
@pytest.mark.parametrize("top_p", [0.5, 0.95, 0.9999])
def test_with_top_k_off_a_flat_distribution_is_cut_where_the_whole_chain_cuts_it(spread, top_p):
    """One sampler for all: nothing of the last token is left in its buffers."""
    sampler = Sampler(LARGE)
    for number in range(40):
        check(sampler, drawn(LARGE, spread, number), Sampling(1.0, top_p, 0), number)
        check(sampler, drawn(LARGE, 12.0, number), Sampling(0.6, top_p, 0), number)


def test_the_entropy_is_that_of_the_whole_vocabulary():
    logits = np.array([2.0, 2.0, -np.inf], dtype=np.float32)
    log_total, entropy = Sampler(3).chances(logits)
    assert entropy == pytest.approx(math.log(2)), "a token that is excluded adds nothing"
    assert 2.0 - log_total == pytest.approx(math.log(0.5))
    assert Sampler(LARGE).chances(drawn(LARGE, 0.0, 1))[1] == pytest.approx(math.log(LARGE), rel=1e-5)


@given(st.integers(1, 60), st.integers(0, 5_000), st.integers(1, 40), st.integers(0, 99))
def test_the_largest_are_found_without_sorting_all(count, more, kinds, seed):
    """Also where many are equal or infinitely small."""
    values = np.random.default_rng(seed).integers(0, kinds, count + more)
    values = np.where(values, values, -np.inf).astype(np.float32)
    found = largest(values, count)
    assert len(set(found.tolist())) == count
    assert values[found].tolist() == np.sort(values)[::-1][:count].tolist()
