"""The same seed gives the same bytes for every number of threads, at widths where LAPACK and torch share work out."""

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import twofold as tw
from twofold.testing.logs import digests

M = tw.models
WORDS = 2500
WIDE = {
    "iALS": lambda: M.IALS(factors=256, epochs=1),
    "BPMF": lambda: M.BPMF(factors=128, burn_in=1, samples=1),
    "CTR": lambda: M.CTR(factors=300, epochs=1, topic_passes=2),
    "CDL": lambda: M.CDL(factors=100, hidden=(300,), epochs=1, start="components"),
    "linear": lambda: M.DeepContent(network={"kind": "linear"}, factorization=M.IALS(factors=8)),
}
NETWORKS = {
    "DSSM": lambda: M.DSSM(epochs=1, encoder={"kind": "dense", "start": "components"}, towers="shared", inputs="words"),
    "SASRec": lambda: M.SASRec(epochs=1, factors=64, dropout=0.2),
    "layer norm": lambda: M.YouTubeCandidates(epochs=1, depth=2, layer_norm=True),
}  # fmt: skip


@pytest.fixture(scope="module")
def wide_log():
    rng = np.random.default_rng(0)
    n_users, n_items, n = 400, 600, 6000
    words = np.minimum(rng.zipf(1.3, (n_items, 30)) - 1, WORDS - 1)
    return tw.Dataset.from_frames(
        {
            "u": rng.integers(0, n_users, n),
            "i": rng.integers(0, n_items, n),
            "v": rng.integers(1, 6, n),
            "t": 1_600_000_000 + rng.integers(0, 10**7, n),
        },
        user="u", item="i", value="v", time="t",
        items={"i": range(n_items), "title": [" ".join(f"w{one}" for one in row) for row in words]},
        item_features={"title": "text"},
    )  # fmt: skip


def fits(estimator, data, counts=(1, 2, 3)):
    """What is learned with each number of threads."""
    before, found = numba.get_num_threads(), []
    try:
        for count in counts:
            numba.set_num_threads(min(count, before))
            with threadpool_limits(count):
                found.append(digests(estimator.fit(data, rng=0)))
    finally:
        numba.set_num_threads(before)
    return found


@pytest.mark.parametrize("name", WIDE)
def test_factorizations_are_the_same(name, wide_log):
    found = fits(WIDE[name](), wide_log)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_the_same(name, wide_log):
    torch = pytest.importorskip("torch")
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found += fits(NETWORKS[name](), wide_log, (threads,))
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]
