"""A served model is mapped: it takes its size, not twice that, and processes share it."""

import subprocess
import sys

import numpy as np
import pytest

import twofold as tw
from twofold.testing import planted_log

MEASURE = """
import resource, sys
from pathlib import Path
import numpy as np
from twofold.serve.live import Live
from twofold.serve.schemas import Question
from twofold.serve.settings import Settings

def resident(kind):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(kind):
            return int(line.split()[1]) * 1024

live = Live.open(Settings(state=sys.argv[2], model=sys.argv[1]))
for user in live.served.model.users.ids.ids.to_list()[:50]:
    assert live.served.answer(Question(user=user, k=10), live.histories).items
print(resident("RssAnon:"), resident("RssFile:"), resident("VmHWM:"))
live.close()
"""


def measured(model, state):
    made = subprocess.run(
        [sys.executable, "-c", MEASURE, str(model), str(state)],
        check=True, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return [int(one) for one in made.stdout.split()]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_grows_by_less_than_the_model(tmp_path):
    """The same model with 40 more megabytes of factors: private memory grows by the codes, a quarter of them."""
    small = tw.models.IALS(factors=16, epochs=1).fit(planted_log(), rng=0)
    rng = np.random.default_rng(0)
    sizes = []
    for name, n in (("small", 2_000), ("large", 162_000)):
        log = {"u": ["a", "b"] * (n // 2), "i": np.arange(n), "t": np.arange(n)}
        data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
        memory = type(small.memory).of(data)
        vectors = rng.standard_normal((n, 64), np.float32)
        model = type(small)(
            estimator=tw.models.IALS(factors=64),
            memory=memory,
            user_factors=rng.standard_normal((2, 64), np.float32),
            item_factors=vectors,
            item_spectrum=np.square(vectors).sum(axis=0),
        )
        sizes.append(vectors.nbytes)
        model.save(tmp_path / name)
    less = measured(tmp_path / "small", tmp_path / "one")
    more = measured(tmp_path / "large", tmp_path / "two")
    grown = sizes[1] - sizes[0]
    assert grown > 40_000_000
    private, _, peak = (b - a for a, b in zip(less, more, strict=True))
    # Codes a quarter, and the ids of 160,000 items as Python objects and their table: about 25 MB.
    assert private < 1.0 * grown, f"{private:,} bytes of its own for {grown:,} of vectors"
    assert peak < 2.2 * grown, f"{peak:,} bytes at the most for {grown:,} of vectors"
