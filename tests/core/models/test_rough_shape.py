"""Memory judged from a file's size alone, against the catalog's models, whose true shapes are known."""

import pytest

from baton_reasoning.core.models.catalog import CatalogModel, catalog
from baton_reasoning.core.models.loading import LoadOptions
from baton_reasoning.core.models.memory import estimate, rough_shape

MODELS = {model.key: model for pair in catalog() for model in (pair.small, pair.large)}


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_memory_guessed_from_the_size_is_near_the_true_one(model: CatalogModel) -> None:
    true = estimate(model.shape, LoadOptions()).total_bytes
    assert estimate(rough_shape(model.bytes), LoadOptions()).total_bytes == pytest.approx(true, rel=0.35)


def test_a_file_of_almost_nothing_has_a_shape_too() -> None:
    assert estimate(rough_shape(100), LoadOptions()).total_bytes > 0
