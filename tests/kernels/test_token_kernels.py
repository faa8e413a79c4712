"""The kernels of Token2Vec and Doc2Vec beside plain NumPy in float64 that is given the same draws."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.kernels import noise, token_windows
from twofold.kernels._rows import add_sum, set_sum, widened
from twofold.kernels.cbow import POOL, cbow_chunk, order_rounds
from twofold.kernels.hierarchical import hierarchical_chunk
from twofold.kernels.infer_documents import infer_documents
from twofold.kernels.skip_gram import skip_gram_chunk
from twofold.models.sequence._codes import huffman
from twofold.models.sequence._passes import Deal

GOLDEN, WORD = 0x9E3779B97F4A7C15, (1 << 64) - 1
M, D, K = 12, 5, 5


def mix(state):
    word = state & WORD
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & WORD
    return word ^ (word >> 31)


def drawn(state, deal, group):
    """The token that a random word stands for."""
    first, size = int(deal.start[group]), int(deal.start[group + 1] - deal.start[group])
    word = mix(state)
    place = first + (((word >> 32) * size) >> 32)
    kept = np.float32(word & 0xFFFFFF) * np.float32(2.0**-24) < deal.accept[place]
    return int(deal.members[place] if kept else deal.other[place])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def objective(h, y, target, negatives):
    """Mikolov et al. (2013), Eq. 4, with the negatives that were drawn; the target among them counts for nothing."""
    others = [one for one in negatives if one != target]
    return np.log(sigmoid(y[target] @ h)) + sum(np.log(sigmoid(-y[one] @ h)) for one in others)


def gradients(h, y, target, negatives):
    """The gradient of `objective` with respect to h and y."""
    slope_h, slope_y = np.zeros_like(h), np.zeros_like(y)
    for one, label in [(target, 1.0), *((one, 0.0) for one in negatives if one != target)]:
        pull = label - sigmoid(y[one] @ h)
        slope_h += pull * y[one]
        slope_y[one] += pull * h
    return slope_h, slope_y


def test_the_gradient_is_that_of_finite_differences():
    rng = np.random.default_rng(0)
    h, y = rng.normal(size=D), rng.normal(size=(M, D))
    slope_h, slope_y = gradients(h, y, 3, [1, 3, 7, 7, 0])
    for found, place in ((slope_h, h), (slope_y, y)):
        for at in np.ndindex(place.shape):
            old, sides = place[at], []
            for step in (1e-6, -1e-6):
                place[at] = old + step
                sides.append(objective(h, y, 3, [1, 3, 7, 7, 0]))
            place[at] = old
            assert found[at] == pytest.approx((sides[0] - sides[1]) / 2e-6, abs=1e-7)


def start(seed, *, documents=0):
    rng = np.random.default_rng(seed)
    deal = Deal.of(rng.random(M) + 0.1, 3, rng)
    x, y, docs = (widened(rng.normal(size=(n, D)).astype(np.float32)) for n in (M, M, documents))
    return rng, deal, x, y, docs


@pytest.mark.parametrize("negatives", [1, K, 8])
@pytest.mark.parametrize("seed", range(3))
def test_skip_gram_moves_pairs_by_the_gradient_one_after_the_other(seed, negatives):
    rng, deal, x, y, _ = start(seed)
    source_group = rng.integers(0, 3, M)
    drawn_pairs = rng.integers(0, M, (40, 2)).astype(np.int32)
    block = source_group[drawn_pairs[:, 0]] * 3 + deal.group_of[drawn_pairs[:, 1]]
    pairs = np.ascontiguousarray(drawn_pairs[np.argsort(block, kind="stable")])
    block_start = np.concatenate([[0], np.cumsum(np.bincount(block, minlength=9))])
    shifts, rates = np.array([1, 0, 2]), np.array([1e-2, 8e-3, 5e-3], np.float32)
    one, other = x.astype(float), y.astype(float)
    for s in range(3):
        for a in range(3):
            b = int((a + shifts[s]) % 3)
            state = mix(mix(11 + GOLDEN) + (a * 3 + b + 1) * GOLDEN)
            for p in range(block_start[a * 3 + b], block_start[a * 3 + b + 1]):
                listed = []
                for _ in range(negatives):
                    state = (state + GOLDEN) & WORD
                    listed.append(drawn(state, deal, b))
                slope_h, slope_y = gradients(one[pairs[p, 0]], other, pairs[p, 1], listed)
                one[pairs[p, 0]] += rates[s] * slope_h
                other += rates[s] * slope_y
    before = x.copy()
    skip_gram_chunk(
        block_start, pairs, shifts, deal.members, deal.start, deal.accept, deal.other, negatives, 11,
        rates, x, y,
    )  # fmt: skip
    # A row that is drawn twice moves between its two parts of the sum: a term of the order of the squared rate.
    np.testing.assert_allclose(x, one, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(y, other, rtol=1e-4, atol=1e-4)
    assert np.abs(x - before).max() > 0.02


def pool_of(seed, block, deal, group, places):
    """The tokens among which `places` places of a group draw in a round."""
    state, pool = mix(mix(seed + GOLDEN) + (block + 1) * GOLDEN), []
    for _ in range(min(POOL, places * K)):
        state = (state + GOLDEN) & WORD
        pool.append(drawn(state, deal, group))
    return pool


@pytest.mark.parametrize(("documents", "threads"), [(0, 1), (0, 3), (4, 1), (4, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_cbow_moves_a_round_by_its_gradient(seed, documents, threads):
    rng, deal, x, y, docs = start(seed, documents=documents)
    n, length = 23, 8
    kept = rng.integers(0, M, n).astype(np.int32)
    low = np.maximum(np.arange(n) - rng.integers(0, 3, n), 0).astype(np.int32)
    high = np.minimum(np.arange(n) + 1 + rng.integers(0, 3, n), n).astype(np.int32)
    document = np.sort(rng.integers(0, max(documents, 1), n)).astype(np.int32)
    order, starts = np.empty(n, np.int32), np.zeros((3, 4), np.int64)
    order_rounds(kept, deal.group_of, length, order, starts)
    rates = np.array([1e-2, 8e-3, 5e-3], np.float32)
    one, other, paper = x.astype(float), y.astype(float), docs.astype(float)
    for r in range(3):
        later = []
        pools = [
            pool_of(11, r * 3 + g, deal, g, int(starts[r, g + 1] - starts[r, g])) for g in range(3)
        ]
        for at in order[r * length : (r + 1) * length]:
            near = [c for c in range(low[at], high[at]) if c != at]
            parts = [one[kept[c]] for c in near] + ([paper[document[at]]] if documents else [])
            if not parts:
                continue
            state, listed = mix(11 + (int(at) + 1) * GOLDEN), []
            pool = pools[deal.group_of[kept[at]]]
            for _ in range(K):
                state = (state + GOLDEN) & WORD
                listed.append(pool[((mix(state) >> 32) * len(pool)) >> 32])
            slope_h, slope_y = gradients(np.mean(parts, axis=0), other, kept[at], listed)
            other += rates[r] * slope_y
            later.append((near, document[at], rates[r] * slope_h / len(parts)))
        for near, mine, step in later:
            for c in near:
                one[kept[c]] += step
            if documents:
                paper[mine] += step
    room = np.zeros((length, x.shape[1]), np.float32)
    cbow_chunk(
        kept, low, high, document, order, starts, deal.members, deal.start, deal.accept, deal.other, K,
        11, rates, x, y, docs, room, threads,
    )  # fmt: skip
    np.testing.assert_allclose(x, one, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(y, other, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(docs, paper, rtol=1e-3, atol=1e-3)


def test_a_round_of_many_places_draws_from_a_pool_and_other_counts_of_negatives_move_alike():
    """Negatives of any number take the path without tiles; more draws than POOL share its tokens."""
    rng = np.random.default_rng(3)
    m, n = 400, 600
    deal = Deal.of(rng.random(m) + 0.1, 2, rng)
    kept = rng.integers(0, m, n).astype(np.int32)
    low = np.maximum(np.arange(n) - 2, 0).astype(np.int32)
    high = np.minimum(np.arange(n) + 3, n).astype(np.int32)
    order, starts = np.empty(n, np.int32), np.zeros((1, 3), np.int64)
    order_rounds(kept, deal.group_of, n, order, starts)
    x = widened(rng.normal(size=(m, D)).astype(np.float32))
    for negatives in (K, 7):
        y = np.zeros_like(x)
        cbow_chunk(
            kept, low, high, np.zeros(n, np.int32), order, starts, deal.members, deal.start, deal.accept,
            deal.other, negatives, 5, np.array([1e-3], np.float32), x.copy(), y, np.zeros((0, 8), np.float32),
            np.zeros((n, 8), np.float32), 2,
        )  # fmt: skip
        moved = set(np.flatnonzero(y.any(axis=1)).tolist()) - set(kept.tolist())
        assert 20 < len(moved) <= 2 * POOL


@pytest.mark.parametrize(("n", "left", "right"), [(0, 0, 48), (3, 0, 48), (4, 8, 40), (5, 40, 48)])
def test_sums_of_listed_rows(n, left, right):
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(6, 48)).astype(np.float32) for _ in range(2))
    rows, scales = rng.integers(0, 6, 5).astype(np.int32), rng.normal(size=5).astype(np.float32)
    wanted = y.copy()
    wanted[2, left:right] += (scales[:n] @ x[rows[:n]])[left:right]
    wanted[3, left:right] = (scales[:n] @ x[rows[:n]])[left:right]
    sums(x, rows, scales, n, y, left, right)
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)


@numba.njit
def sums(x, rows, scales, n, y, left, right):
    add_sum(x, rows, scales, n, y, 2, left, right)
    set_sum(x, rows, scales, n, y, 3, left, right)


@pytest.mark.parametrize(("window", "longest"), [(0, 10), (2, 10), (2, 2), (0, 0)])
def test_inference_climbs_for_the_document_alone(window, longest):
    rng, _, x, y, _ = start(4)
    deal = Deal.whole(rng.random(M) + 0.1)
    token, nth = np.array([3, 3, 5, 1], np.int32), np.array([0, 1, 0, 0], np.int32)
    indptr, weight = np.array([0, 3, 3, 4]), np.linspace(0.5, 1, M).astype(np.float32)
    rates, epochs = np.array([0.2, 0.02], np.float32), 3
    wanted, words = np.zeros((3, x.shape[1])), y.astype(float)
    for row in range(3):
        mine = range(indptr[row], indptr[row + 1])
        passes = max(epochs * min(len(mine), longest) // max(len(mine), 1), 1)
        for epoch in range(passes):
            for at in mine:
                done = (epoch * len(mine) + at - indptr[row]) / (passes * len(mine))
                rate = (rates[0] + (rates[1] - rates[0]) * done) * weight[token[at]]
                state = mix(
                    mix(int(token[at]) + GOLDEN) + (int(nth[at]) * epochs + epoch + 1) * GOLDEN
                )
                reach = 1 + (state & 0xFFFFFF) % window if window else 0
                near = [c for c in mine if c != at and abs(c - at) <= reach]
                h = np.mean([wanted[row], *(x[token[c]].astype(float) for c in near)], axis=0)
                listed = []
                for _ in range(K):
                    state = (state + GOLDEN) & WORD
                    listed.append(drawn(state, deal, 0))
                slope_h, _ = gradients(h, words, token[at], listed)
                wanted[row] += rate * slope_h / (1 + len(near))
    out = np.zeros_like(wanted, np.float32)
    infer_documents(
        indptr, token, nth, weight, window, deal.members, deal.accept, deal.other, K, epochs, longest,
        rates, x, y, out,
    )  # fmt: skip
    np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-5)
    assert not out[1].any()


@pytest.mark.parametrize("mean", [False, True])
def test_hierarchical_softmax_moves_paths_by_the_gradient(mean):
    rng = np.random.default_rng(5)
    codes = huffman(np.array([9, 1, 4, 2, 2, 7]))
    x, y = (widened(rng.normal(size=(6, D)).astype(np.float32)) for _ in range(2))
    kept = rng.integers(0, 6, 15).astype(np.int32)
    low = np.maximum(np.arange(15) - 2, 0).astype(np.int32)
    high = np.minimum(np.arange(15) + 3, 15).astype(np.int32)
    rates = np.array([0.1, 0.05], np.float32)
    one, other = x.astype(float), y.astype(float)

    def step(h, at):
        """One token and its path: the slope of sum_k ln sigma(+-h . y_k), and y moved."""
        rate = rates[0] + (rates[1] - rates[0]) * at / 15
        path = slice(codes.start[kept[at]], codes.start[kept[at] + 1])
        slope = np.zeros_like(h)
        for node, bit in zip(codes.node[path], codes.bit[path], strict=True):
            pull = rate * ((bit == 0) - sigmoid(other[node] @ h))
            slope += pull * other[node]
            other[node] += pull * h
        return slope

    for at in range(15):
        near = [c for c in range(low[at], high[at]) if c != at]
        if mean:
            slope = step(np.mean([one[kept[c]] for c in near], axis=0), at)
            for c in near:
                one[kept[c]] += slope / len(near)
        else:
            for c in near:
                one[kept[c]] += step(one[kept[c]].copy(), at)
    hierarchical_chunk(kept, low, high, *codes, mean, rates, x, y)
    np.testing.assert_allclose(x, one, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y, other, rtol=1e-4, atol=1e-5)


def test_the_codes_of_huffman_by_hand():
    """Counts 1 1 2 5: the two rarest are joined, then the pair with 2, then all with 5."""
    codes = huffman(np.array([5, 1, 2, 1]))
    written = {w: codes.bit[codes.start[w] : codes.start[w + 1]].tolist() for w in range(4)}
    assert written == {0: [1], 1: [0, 1, 0], 2: [0, 0], 3: [0, 1, 1]}
    assert codes.node[codes.start[1] : codes.start[2]].tolist() == [2, 1, 0]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_the_codes_of_huffman_are_prefix_free_and_shortest(counts):
    count = np.array(counts)
    codes = huffman(count)
    known = np.flatnonzero(count)
    words = ["".join(map(str, codes.bit[codes.start[w] : codes.start[w + 1]])) for w in known]
    assert len(words) < 2 or not any(
        a.startswith(b) for i, a in enumerate(words) for j, b in enumerate(words) if i != j
    )
    heap, cost = sorted(count[known].tolist()), 0
    while len(heap) > 1:
        joined = heap.pop(0) + heap.pop(0)
        cost += joined
        heap = sorted([*heap, joined])
    assert sum(len(word) * count[w] for word, w in zip(words, known, strict=True)) == cost


@given(st.integers(0, 999), st.integers(1, 4))
@settings(deadline=None)
def test_the_alias_tables_hold_the_weights(seed, groups):
    rng = np.random.default_rng(seed)
    weight = np.where(rng.random(20) < 0.2, 0.0, rng.random(20) ** 3)
    weight[:4] = 1e-3
    deal = Deal.of(weight, groups, rng)
    assert sorted(deal.members) == np.flatnonzero(weight).tolist()
    for g in range(groups):
        place = slice(deal.start[g], deal.start[g + 1])
        share = np.zeros(20)
        np.add.at(share, deal.members[place], deal.accept[place].astype(float))
        np.add.at(share, deal.other[place], 1 - deal.accept[place].astype(float))
        inside = np.where(np.isin(np.arange(20), deal.members[place]), weight, 0)
        np.testing.assert_allclose(share / share.sum(), inside / inside.sum(), atol=1e-6)
        assert (deal.group_of[deal.members[place]] == g).all()


@numba.njit
def many(n, members, accept, other):
    found = np.empty(n, np.int64)
    for at in range(n):
        state = np.uint64(at) * np.uint64(GOLDEN)
        found[at] = noise.draw_token(state, members, accept, other, 0, len(members))
    return found


def test_draws_follow_the_weights():
    weight = np.array([0.5, 0.2, 0.0, 0.25, 0.05])
    deal = Deal.whole(weight)
    n = 200_000
    found = np.bincount(many(n, deal.members, deal.accept, deal.other), minlength=5) / n
    assert np.abs(found - weight).max() < 5 * np.sqrt(0.25 / n)


def test_windows_stay_inside_their_sequence_and_frequent_tokens_are_thinned():
    rng = np.random.default_rng(0)
    token = rng.integers(0, 4, 4_000).astype(np.int32)
    start_ = np.array([0, 10, 10, 11, 2_000, 4_000])
    owner, keep = np.array([7, 8, 9, 5, 6], np.int32), np.array([1.0, 0.5, 0.1, 1.0])
    cut = np.array([0, 2, 3, 5])
    counts = np.zeros(3, np.int64)
    token_windows.count_kept(start_, token, keep, 3, cut, counts)
    offset = np.cumsum(counts) - counts
    kept, low, high, document = (np.full(counts.sum(), -1, np.int32) for _ in range(4))
    token_windows.fill_windows(start_, token, owner, keep, 3, cut, offset, 4, True, kept, low, high, document)  # fmt: skip
    expected = [
        (token[at], owner[s])
        for s in range(5)
        for at in range(start_[s], start_[s + 1])
        if keep[token[at]] >= 1 or (mix(3 + (at + 1) * GOLDEN) >> 24) * 2.0**-40 < keep[token[at]]
    ]
    assert list(zip(kept.tolist(), document.tolist(), strict=True)) == expected
    shares = np.bincount(kept, minlength=4) / np.bincount(token, minlength=4)
    np.testing.assert_allclose(shares, keep, atol=0.05)
    places = np.arange(len(kept))
    assert (document[low] == document).all()
    assert (document[high - 1] == document).all()
    left, right = places - low, high - 1 - places
    inside = (places > 5) & (places < len(kept) - 5) & (document == 6)
    inside &= np.roll(document, 4) == 6
    assert set(left[inside]) == {1, 2, 3, 4}
    assert np.abs(np.bincount(left[inside])[1:] / inside.sum() - 0.25).max() < 0.05
    assert (right <= 4).all()
    token_windows.fill_windows(start_, token, owner, keep, 3, cut, offset, 4, False, kept, low, high, document)  # fmt: skip
    assert ((places - low)[inside] == 4).all()


@pytest.mark.parametrize("by_document", [False, True])
def test_every_pair_is_in_its_block_once(by_document):
    rng = np.random.default_rng(1)
    n = 50
    kept = rng.integers(0, M, n).astype(np.int32)
    document = np.sort(rng.integers(0, 6, n)).astype(np.int32)
    low = np.maximum(np.arange(n) - rng.integers(0, 4, n), 0).astype(np.int32)
    high = np.minimum(np.arange(n) + 1 + rng.integers(0, 4, n), n).astype(np.int32)
    source, target = (rng.integers(0, 3, M).astype(np.int32) for _ in range(2))
    cut = np.array([0, 20, 20, 50])
    shared = (low, high, kept, document, by_document, source, target, cut)
    sizes = np.zeros((3, 9), np.int64)
    token_windows.count_pairs(*shared, sizes)
    inside = np.cumsum(sizes, axis=0) - sizes
    begin = np.concatenate([[0], np.cumsum(sizes.sum(axis=0))])
    pairs = np.full((begin[-1], 2), -1, np.int32)
    token_windows.place_pairs(*shared, inside + begin[:-1], pairs)
    wanted = [
        (document[at] if by_document else kept[c], kept[at])
        for at in range(n)
        for c in ([at] if by_document else range(low[at], high[at]))
        if by_document or c != at
    ]
    assert sorted(map(tuple, pairs.tolist())) == sorted((int(a), int(b)) for a, b in wanted)
    for block in range(9):
        for a, b in pairs[begin[block] : begin[block + 1]]:
            assert (source[a], target[b]) == divmod(block, 3)
