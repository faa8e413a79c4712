"""Samplers: what is drawn has the stated distribution, and log_q is its logarithm."""

import numpy as np
import pytest
from scipy.stats import chisquare

torch = pytest.importorskip("torch")

from twofold.errors import ConfigError, DataError  # noqa: E402
from twofold.nn.samplers import PopularitySampler, UniformSampler, in_batch  # noqa: E402

COUNTS = np.array([5, 0, 40, 1, 12, 12, 3])
RANK = np.array([3, 6, 0, 5, 1, 2, 4])
Q = {
    "uniform": np.full(7, 1 / 7),
    "popular": COUNTS / COUNTS.sum(),
    "power": COUNTS**0.75 / (COUNTS**0.75).sum(),
    "flat": np.full(7, 1 / 7),
    "zipf": np.log((RANK + 2) / (RANK + 1)) / np.log(8),
}
SAMPLERS = {
    "uniform": UniformSampler(7),
    "popular": PopularitySampler.of(COUNTS),
    "power": PopularitySampler.of(COUNTS, exponent=0.75),
    "flat": PopularitySampler.of(COUNTS, exponent=0.0),
    "zipf": PopularitySampler.log_uniform(COUNTS),
}


@pytest.mark.parametrize("name", Q)
def test_draws_follow_q(name):
    ids, log_q = SAMPLERS[name].draw((100, 400), torch.Generator().manual_seed(1))
    assert ids.shape == log_q.shape == (100, 400)
    seen, q = np.bincount(ids.numpy().ravel(), minlength=7), Q[name]
    assert seen[q == 0].sum() == 0
    assert chisquare(seen[q > 0], 40_000 * q[q > 0]).pvalue > 0.01
    np.testing.assert_allclose(log_q.exp(), q[ids], rtol=1e-5)
    np.testing.assert_array_equal(SAMPLERS[name].log_q(ids), log_q)


@pytest.mark.parametrize("name", Q)
def test_the_same_seed_draws_the_same_and_the_global_state_is_not_touched(name):
    before = torch.get_rng_state()
    one, two = (SAMPLERS[name].draw((50,), torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one.ids, two.ids)
    assert torch.equal(before, torch.get_rng_state())


def test_an_id_never_counted_has_no_probability():
    assert PopularitySampler.of(COUNTS).log_q(torch.tensor([1])).item() == -np.inf


def test_in_batch_negatives_are_the_positives():
    ids, log_q = in_batch(torch.tensor([2, 0, 2]), SAMPLERS["popular"])
    assert ids.tolist() == [2, 0, 2]
    np.testing.assert_allclose(log_q.exp(), Q["popular"][[2, 0, 2]], rtol=1e-5)


@pytest.mark.parametrize("counts", [[], [0, 0], [1, -1], [np.nan, 1], [np.inf, 1]])
def test_senseless_counts_are_refused(counts):
    with pytest.raises(DataError, match="counts must be finite"):
        PopularitySampler.of(np.array(counts, float))


def test_senseless_settings_are_refused():
    with pytest.raises(ConfigError, match="exponent got 3"):
        PopularitySampler.of(COUNTS, exponent=3)
    with pytest.raises(ConfigError, match="at least one id"):
        UniformSampler(0)
    with pytest.raises(DataError, match="empty"):
        PopularitySampler.log_uniform(np.array([]))


def test_distinct_draws_weigh_what_all_draws_do():
    """The sum of 1 / Q over the draws, item by item."""
    sampler = SAMPLERS["popular"]
    ids, log_q = sampler.draw_distinct(200, torch.Generator().manual_seed(5))
    drawn = sampler.draw((200,), torch.Generator().manual_seed(5))
    assert ids.tolist() == sorted(set(drawn.ids.tolist()))
    expected = [(-drawn.log_q).exp()[drawn.ids == one].sum() for one in ids]
    np.testing.assert_allclose((-log_q).exp(), expected, rtol=1e-4)
