"""The order of a log against NumPy's lexicographic sort."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twofold.data.columns import NO_TIME
from twofold.kernels.sort_events import order_by_user_and_time


@given(
    seed=st.integers(0, 999),
    n=st.integers(0, 80),
    n_users=st.integers(1, 9),
    kind=st.sampled_from(["none", "mixed", "equal", "ascending", "missing"]),
)
def test_events_are_ordered_by_user_then_time_then_as_read(seed, n, n_users, kind):
    rng = np.random.default_rng(seed)
    user = rng.integers(0, n_users, n).astype(np.int32)
    times = {
        "none": None,
        "mixed": rng.integers(-5, 5, n),
        "equal": np.zeros(n, np.int64),
        "ascending": np.arange(n),
        "missing": np.where(rng.random(n) < 0.5, NO_TIME, rng.integers(0, 3, n)),
    }
    time = times[kind]
    expected = np.lexsort((user,) if time is None else (time, user))
    np.testing.assert_array_equal(order_by_user_and_time(user, time, n_users), expected)
