"""Dense layers: products in the order of the inputs, to the last bit, compiled here or read from the cache."""

import os
import subprocess
import sys

import numpy as np
import pytest

from twofold.kernels.dense import add_products

SCRIPT = """
import numpy as np
from twofold.kernels.dense import add_products
rng = np.random.default_rng(0)
x, weight, out = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 16), (16, 8), (5, 8)))
add_products(x, weight, out)
print(sum(add_products.stats.cache_hits.values()), out.tobytes().hex())
"""


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 37, 19), (3, 64, 192), (0, 4, 3), (2, 0, 3)])
def test_products_are_added_in_order(shape):
    n, a, b = shape
    rng = np.random.default_rng(0)
    x, weight, out = (rng.normal(size=one).astype(np.float32) for one in ((n, a), (a, b), (n, b)))
    expected = out.copy()
    for k in range(a):
        expected += x[:, k : k + 1] * weight[k]
    add_products(x, weight, out)
    np.testing.assert_array_equal(out, expected)


def test_what_is_compiled_and_what_is_cached_give_the_same_bits(tmp_path):
    where = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    ran = [
        subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=where).stdout.split()
        for _ in range(2)
    ]  # fmt: skip
    assert [hits for hits, _ in ran] == ["0", "1"]
    assert ran[0][1] == ran[1][1]
