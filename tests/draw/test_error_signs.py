"""Signs of misses on a map of errors stay readable where there are very many."""

import numpy as np

from geoloc.draw.error_chart import MOST_SIGNS, crowds, error_chart


def test_a_dense_map_has_signs_where_most_was_missed_alone(rng: np.random.Generator) -> None:
    everywhere, crowd = rng.uniform(0, 100, (8000, 2)), rng.normal(50, 1.5, (4000, 2))
    missed = np.concatenate([everywhere, crowd])
    centres, counts = crowds(missed, 2.0)
    assert 0 < len(centres) <= MOST_SIGNS
    assert np.linalg.norm(centres[counts.argmax()] - 50) < 3
    drawn = error_chart(everywhere, rng.uniform(0, 1, 8000), missed, np.empty((0, 2)))
    assert drawn.count('class="missed" d="M') <= MOST_SIGNS + 1  # and one in the legend
    assert "12,000 missed, signs where" in drawn


def test_few_misses_are_all_drawn(rng: np.random.Generator) -> None:
    missed = rng.uniform(0, 100, (30, 2))
    assert len(crowds(missed, 0.0)[0]) == 30
    assert crowds(missed, 2.0)[1].sum() == 30
