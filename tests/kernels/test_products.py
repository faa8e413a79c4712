"""Products by BLAS: the same bits for every number of threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from twofold.kernels.products import blas, one_thread, product


@pytest.mark.parametrize("turned", [False, True])
def test_the_number_of_threads_changes_no_bit(turned):
    rng = np.random.default_rng(0)
    plain = 0
    for _ in range(60):
        n, a, b = (int(10 ** rng.uniform(*ends)) for ends in ((0, 2.7), (1, 4), (0, 2.5)))
        x = rng.standard_normal((n, a), np.float32)
        y = rng.standard_normal((b, a), np.float32).T if turned else rng.standard_normal((a, b), np.float32)  # fmt: skip
        found, others = set(), set()
        for threads in (1, 2):
            with threadpool_limits(threads):
                found.add(product(x, y).tobytes())
                others.add((x @ y).tobytes())
        assert len(found) == 1, (n, a, b)
        plain += len(others) > 1
        np.testing.assert_allclose(product(x, y), x.astype(float) @ y, atol=1e-4 * a**0.5)
    if not plain:
        pytest.skip("BLAS is the same for every number of threads here, whatever it is given")


def test_products_without_terms_or_rows_are_empty():
    assert product(np.zeros((2, 0), np.float32), np.zeros((0, 3), np.float32)).tolist() == [[0] * 3] * 2  # fmt: skip
    assert product(np.zeros((0, 5), np.float32), np.zeros((5, 3), np.float32)).shape == (0, 3)


def test_factorizations_have_the_bits_of_one_thread_and_the_threads_come_back():
    x = np.random.default_rng(0).standard_normal((300, 900))
    square = x @ x.T
    ways = (np.linalg.inv, np.linalg.cholesky, lambda a: np.linalg.eigh(a)[1])
    found, others = set(), set()
    for threads in (1, 2):
        with threadpool_limits(threads):
            with one_thread():
                found.add(b"".join(way(square).tobytes() for way in ways))
                assert {one["num_threads"] for one in blas().info()} == {1}
            assert {one["num_threads"] for one in blas().info()} == {threads}
            others.add(b"".join(way(square).tobytes() for way in ways))
    assert len(found) == 1
    if len(others) == 1:
        pytest.skip("LAPACK is the same for every number of threads here")


def test_callers_at_once_leave_as_many_threads_as_there_were():
    before = [one["num_threads"] for one in blas().info()]

    def call(_):
        for _ in range(50):
            with one_thread():
                np.linalg.eigh(np.eye(8))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(8)))
    assert [one["num_threads"] for one in blas().info()] == before
