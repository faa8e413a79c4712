"""The kernels of JNTM: likelihoods literally in float64, gradients by finite differences, draws and steps."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.kernels import adagrad_rows, draws, edges, trajectories
from twofold.models.sequence import _jntm_training as training

D, N, M = 3, 4, 6
FAR = 1e9
PARTS = {
    "all": (0, 3, 6, 9),
    "preference": (0, -1, -1, -1),
    "friends": (-1, 0, -1, -1),
    "short": (-1, -1, 0, -1),
    "long": (-1, -1, -1, 0),
    "no long": (0, 3, 6, -1),
}


def sigma(z):
    return 1 / (1 + np.exp(-z))


def parameters(rng, parts, scale=0.7):
    wide = D * sum(one >= 0 for one in parts)
    shapes = [(N, D)] * 3 + [(M, D), (M, wide), (7 * D + 5, D)]
    return training.Parameters(*(scale * rng.normal(size=one) for one in shapes))


def people(rng, n=3, most=7):
    """A batch of users: their rows, ends, items, heads and choices."""
    users = rng.permutation(N)[:n].astype(np.int32)
    lengths = rng.integers(1, most, n)
    start = np.concatenate([[0], np.cumsum(lengths)])
    e = start[-1]
    item = rng.integers(0, M, e).astype(np.int32)
    begins = rng.random(e) < 0.5
    begins[start[:-1]] = True
    head = np.maximum.accumulate(np.where(begins, np.arange(e), 0))
    choice, count = np.empty((e, 1 + M), np.int32), np.empty(e, np.int64)
    draws.draw_others(3, np.arange(e), item, M, 0.5, choice, count)
    return users, start, item, head, choice, count


def literal(now, parts, users, start, item, head, choice, count):
    """-ln p of every event, word by word from the equations, in float64."""
    w, s0, c0 = now.shared[:D], now.shared[7 * D + 3], now.shared[7 * D + 4]
    a_i, a_g, a_f, b_i, b_g, b_f = (now.shared[D * k : D * (k + 1)] for k in range(1, 7))
    bias = now.shared[7 * D : 7 * D + 3]
    out = []
    for row, user in enumerate(users):
        c, h_at_head, s = c0, None, None
        for t in range(start[row], start[row + 1]):
            if head[t] == t:
                h_at_head = np.tanh(c)
                s = np.tanh(w @ s0)
            else:
                s = np.tanh(now.inputs[item[t - 1]] + w @ s)
            pieces = (now.preference[user], now.network[user], s, h_at_head)
            x = np.concatenate([p for p, at in zip(pieces, parts, strict=True) if at >= 0])
            scores = now.outputs[choice[t, : count[t]]] @ x
            out.append(np.log(np.exp(scores).sum()) - scores[0])
            u, h = now.inputs[item[t]], np.tanh(c)
            i = sigma(a_i @ u + b_i @ h + bias[0])
            g = np.tanh(a_g @ u + b_g @ h + bias[1])
            f = sigma(a_f @ u + b_f @ h + bias[2])
            c = i * g + f * c
    return np.array(out)


def states_of(now, parts, users, start, item, head):
    """What the kernel makes of a batch: states, cells and gates."""
    e, kind = len(item), now.inputs.dtype
    lane = np.linspace(0, len(users), trajectories.LANES + 1).astype(np.int64)
    made = [np.zeros((e, one), kind) for one in (now.outputs.shape[1], D, 3 * D)]
    trajectories.trajectory_states(
        lane, users, start, item, head, now.preference, now.network, now.inputs, now.shared,
        np.array(parts), *made,
    )  # fmt: skip
    return lane, made


def computed(now, parts, users, start, item, head, choice, count, clip=FAR, kind=np.float64):
    """What the kernels make of a batch: -ln p of the events, and all gradients as arrays like `now`."""
    now = training.Parameters(*(one.astype(kind) for one in now))
    e, b = len(item), len(users)
    lane, (x, cell, gates) = states_of(now, parts, users, start, item, head)
    error, dx, loss = np.zeros(choice.shape, kind), np.empty_like(x), np.empty(e)
    trajectories.choice_errors(x, now.outputs, choice, count, error, dx, loss)
    du, dp, dn = np.empty((e, D), kind), np.empty((b, D), kind), np.empty((b, D), kind)
    lanes = np.zeros((trajectories.LANES, *now.shared.shape), kind)
    trajectories.trajectory_gradients(
        lane, start, item, head, x, dx, cell, gates, now.inputs, now.shared, np.array(parts), clip,
        du, dp, dn, lanes,
    )  # fmt: skip
    grown = training.Parameters(*(np.zeros_like(one) for one in now))
    np.add.at(grown.preference, users, dp)
    np.add.at(grown.network, users, dn)
    np.add.at(grown.inputs, item, du)
    for t in range(e):
        for c in range(count[t]):
            grown.outputs[choice[t, c]] += error[t, c] * x[t]
    grown.shared[:] = lanes.sum(axis=0)
    return loss, grown


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
@given(seed=st.integers(0, 999))
@settings(max_examples=15)
def test_the_likelihood_of_trajectories_is_the_papers(parts, seed):
    rng = np.random.default_rng(seed)
    now, batch = parameters(rng, parts), people(rng)
    expected = literal(now, parts, *batch)
    np.testing.assert_allclose(computed(now, parts, *batch)[0], expected, rtol=1e-9)
    single = computed(now, parts, *batch, kind=np.float32)[0]
    np.testing.assert_allclose(single, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_trajectories_are_finite_differences(parts, seed):
    """Every number of every parameter is moved a little to both sides."""
    rng = np.random.default_rng(seed)
    now, batch = parameters(rng, parts), people(rng)
    _, grown = computed(now, parts, *batch)
    small = 1e-6
    for name, array in now._asdict().items():
        found = np.zeros_like(array)
        for at in np.ndindex(array.shape):
            old, sides = array[at], []
            for step in (small, -small):
                array[at] = old + step
                sides.append(literal(now, parts, *batch).sum())
            array[at] = old
            found[at] = (sides[0] - sides[1]) / (2 * small)
        np.testing.assert_allclose(getattr(grown, name), found, rtol=1e-5, atol=1e-7, err_msg=name)


@given(seed=st.integers(0, 999))
def test_the_softmax_over_all_places_is_that_over_all_choices(seed):
    rng = np.random.default_rng(seed)
    x, outputs = rng.normal(size=(9, D)), rng.normal(size=(M, D))
    item = rng.integers(0, M, 9).astype(np.int32)
    dx, grown, loss = training.whole_softmax(x, outputs, item)
    p = np.exp(x @ outputs.T)
    p /= p.sum(axis=1, keepdims=True)
    assert loss == pytest.approx(-np.log(p[np.arange(9), item]).sum(), rel=1e-9)
    p[np.arange(9), item] -= 1
    np.testing.assert_allclose(dx, p @ outputs, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(grown, p.T @ x, rtol=1e-9, atol=1e-12)
    single = [one.astype(np.float32) for one in (x, outputs)]
    drawn_dx, drawn, drawn_loss = training.drawn_softmax(*single, item, np.arange(9), 1.0, 1)
    assert (drawn.many == M).all()
    assert drawn_loss == pytest.approx(loss, rel=1e-4)
    np.testing.assert_allclose(drawn_dx, dx, rtol=1e-3, atol=1e-5)


def test_a_long_gradient_of_a_state_is_scaled_down():
    rng = np.random.default_rng(0)
    now, batch = parameters(rng, PARTS["short"]), people(rng)
    far, near = (computed(now, PARTS["short"], *batch, clip=clip)[1] for clip in (FAR, 1e-3))
    assert np.abs(near.shared).max() < 1e-2 < np.abs(far.shared).max()
    np.testing.assert_allclose(near.outputs, far.outputs)


def test_a_new_sub_trajectory_forgets_the_short_term_and_tells_the_long_term():
    """Events of the running sub-trajectory do not reach h; the one before the head does not reach S."""
    rng = np.random.default_rng(1)
    parts = PARTS["all"]
    now = parameters(rng, parts)
    users, start, head = np.array([0], np.int32), np.array([0, 4]), np.array([0, 0, 2, 2])

    def states(items):
        _, (x, *_) = states_of(now, parts, users, start, np.array(items, np.int32), head)
        return x[:, 6:9], x[:, 9:12]

    short, long = states([0, 1, 2, 3])
    np.testing.assert_array_equal(short[2], short[0])
    np.testing.assert_array_equal(long[0], long[1])
    np.testing.assert_array_equal(long[2], long[3])
    other_short, other_long = states([0, 4, 2, 3])
    np.testing.assert_array_equal(other_short[2:], short[2:])
    assert not np.allclose(other_long[2], long[2])
    assert not np.allclose(states([0, 1, 5, 3])[0][3], short[3])


@pytest.mark.parametrize("seed", range(3))
def test_the_network_likelihood_and_its_gradients(seed):
    rng = np.random.default_rng(seed)
    n = 7
    friend_of = rng.random((n, n)) < 0.3
    np.fill_diagonal(friend_of, False)
    indptr = np.concatenate([[0], np.cumsum(friend_of.sum(axis=1))]).astype(np.int64)
    friend = np.nonzero(friend_of)[1].astype(np.int32)
    network, context = rng.normal(size=(2, n, D))
    users = rng.permutation(n)[:5].astype(np.int32)
    other, count = np.empty((5, 2 * n), np.int32), np.empty(5, np.int64)
    draws.draw_strangers(4, users, indptr, friend, 0.6, other, count)
    error, x, grown, loss = np.zeros((5, 2 * n)), np.empty((5, D)), np.empty((5, D)), np.empty(5)
    degree = np.diff(indptr)[users]
    edges.edge_gradients(users, degree, other, count, network, context, error, x, grown, loss)

    def value():
        total = []
        for row, i in enumerate(users):
            terms = 0.0
            for j in other[row, : count[row]]:
                p = sigma(context[j] @ network[i])
                terms -= np.log(p if friend_of[i, j] else 1 - p)
            total.append(terms)
        return np.array(total)

    for row, i in enumerate(users):
        named = other[row, : count[row]]
        assert i not in named
        assert len(set(named)) == len(named)
        np.testing.assert_array_equal(named[: degree[row]], np.flatnonzero(friend_of[i]))
        assert not friend_of[i, named[degree[row] :]].any()
    np.testing.assert_allclose(loss, value(), rtol=1e-9)
    contexts = np.zeros_like(context)
    for row in range(5):
        np.add.at(contexts, other[row, : count[row]], error[row, : count[row], None] * x[row])
    small = 1e-6
    for array, got in ((network, grown), (context, contexts)):
        found = np.zeros_like(array)
        for at in np.ndindex(array.shape):
            old, sides = array[at], []
            for step in (small, -small):
                array[at] = old + step
                sides.append(value().sum())
            array[at] = old
            found[at] = (sides[0] - sides[1]) / (2 * small)
        np.testing.assert_allclose(got, found[users] if got is grown else found, atol=1e-7)


def test_the_joint_objective_is_the_sum_of_both_likelihoods():
    """F is in both: its gradient in the sum is what both kernels together say, and the rest of each is its own."""
    rng = np.random.default_rng(11)
    parts = PARTS["all"]
    now, batch = parameters(rng, parts), people(rng, n=N)
    users = batch[0]
    other, count = np.empty((N, N), np.int32), np.full(N, N - 1)
    for row, i in enumerate(users):
        other[row, : N - 1] = np.delete(np.arange(N), i)
    degree = np.array([1, 2, 0, 3])
    signs = np.where(np.arange(N - 1) < degree[:, None], 1, -1)

    def edge_terms(f, c):
        scores = np.einsum("rjd,rd->rj", c[other[:, : N - 1]], f[users])
        return np.log1p(np.exp(-signs * scores)).sum()

    def joint(f, c):
        moved = now._replace(network=f, context=c)
        return literal(moved, parts, *batch).sum() + edge_terms(f, c)

    loss, grown = computed(now, parts, *batch)
    error, x, g, value = np.zeros((N, N)), np.empty((N, D)), np.empty((N, D)), np.empty(N)
    edges.edge_gradients(users, degree, other, count, now.network, now.context, error, x, g, value)
    assert joint(now.network, now.context) == pytest.approx(loss.sum() + value.sum(), rel=1e-9)
    both = grown.network.copy()
    both[users] += g
    small, found = 1e-6, np.zeros_like(both)
    for at in np.ndindex(both.shape):
        sides = []
        for step in (small, -small):
            f = now.network.copy()
            f[at] += step
            sides.append(joint(f, now.context))
        found[at] = (sides[0] - sides[1]) / (2 * small)
    np.testing.assert_allclose(both, found, rtol=1e-5, atol=1e-7)
    assert np.abs(g).max() > 1e-3
    assert np.abs(grown.network).max() > 1e-3


@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_each_other_item_is_drawn_with_the_same_chance(share):
    n, e = 50, 20_000
    positive = (np.arange(e) % n).astype(np.int32)
    out, count = np.empty((e, n + 1), np.int32), np.empty(e, np.int64)
    draws.draw_others(9, np.arange(e), positive, n, share, out, count)
    np.testing.assert_array_equal(out[:, 0], positive)
    times = np.zeros(n)
    for row in range(e):
        named = out[row, : count[row]]
        assert (np.diff(named[1:]) > 0).all()
        assert positive[row] not in named[1:]
        times[named[1:]] += 1
    chance = times / (e - e / n)
    assert np.abs(chance - share).max() <= 5 * np.sqrt(share * (1 - share) / e)
    if share == 1:
        assert (count == n).all()


def test_room_for_draws_is_enough_and_a_full_row_takes_no_more():
    assert training.width(10, 1.0) == 11
    out, count = np.empty((200, 3), np.int32), np.empty(200, np.int64)
    draws.draw_others(1, np.arange(200), np.zeros(200, np.int32), 90, 0.5, out, count)
    assert count.max() == 3
    room = training.width(5000, 0.01)
    out, count = np.empty((2000, room), np.int32), np.empty(2000, np.int64)
    draws.draw_others(1, np.arange(2000), np.zeros(2000, np.int32), 5000, 0.01, out, count)
    assert count.max() < room


@given(seed=st.integers(0, 999))
def test_rows_move_by_adagrad(seed):
    rng = np.random.default_rng(seed)
    row = rng.integers(0, 5, (8, 4)).astype(np.int32)
    count = rng.integers(0, 5, 8)
    weight, x = rng.normal(size=(8, 4)), rng.normal(size=(8, D))
    table, sums = rng.normal(size=(5, D)), rng.random((5, D))
    start, place = np.zeros(6, np.int64), np.empty(int(count.sum()), np.int64)
    adagrad_rows.sort_by_row(row, count, start, place)
    pairs = [(row[e, c], 4 * e + c) for e in range(8) for c in range(count[e])]
    assert place.tolist() == [at for _, at in sorted(pairs, key=lambda one: one[0])]
    wanted, squares = table.copy(), sums.copy()
    for r in {one for one, _ in pairs}:
        mine = [at for one, at in pairs if one == r]
        g = 0.25 * sum(weight.ravel()[at] * x[at // 4] for at in mine) + 0.1 * table[r]
        squares[r] += g**2
        wanted[r] -= 0.3 * g / np.sqrt(squares[r] + adagrad_rows.TINY)
    adagrad_rows.step_pairs(start, place, weight, x, 0.25, 0.3, 0.1, table, sums)
    np.testing.assert_allclose(table, wanted, rtol=1e-9)
    np.testing.assert_allclose(sums, squares, rtol=1e-9)


def test_rows_stay_inside_their_limit_and_lanes_are_added():
    table, sums = np.zeros((3, D)), np.zeros((3, D))
    lanes = np.arange(2.0 * 3 * D).reshape(2, 3, D) + 1
    total = lanes.sum(axis=0)
    adagrad_rows.step_lanes(lanes, 0.5, 0.2, table, sums)
    np.testing.assert_allclose(table, -0.2, rtol=1e-6)
    np.testing.assert_allclose(sums, (0.5 * total) ** 2)
    assert not lanes.any()
    rows = np.array([2, 0], np.int32)
    adagrad_rows.step_rows(rows, -np.ones((2, D)), 1.0, 50.0, 0.0, 20.0, table, np.zeros((3, D)))
    np.testing.assert_allclose(table[rows], 20)
    np.testing.assert_allclose(table[1], -0.2, rtol=1e-6)


def test_states_that_read_events_one_by_one_are_those_of_training():
    """Long and short term of the last event, forward as in training and step by step at serving."""
    rng = np.random.default_rng(5)
    parts = PARTS["all"]
    now = training.Parameters(*(one.astype(np.float32) for one in parameters(rng, parts)))
    users, start, item, head, *_ = people(rng)
    _, (x, *_) = states_of(now, parts, users, start, item, head)
    begins = head == np.arange(len(item))
    for row in range(len(users)):
        cell = now.shared[None, 7 * D + 4].copy()
        at_head, short = cell.copy(), np.zeros((1, D), np.float32)
        for t in range(start[row], start[row + 1]):
            one = np.array([0, 1])
            if (
                t > start[row] and not begins[t]
            ):  # what the state says of event t, before reading it
                np.testing.assert_allclose(short[0], x[t, 6:9], rtol=1e-5, atol=1e-6)
                np.testing.assert_allclose(np.tanh(at_head[0]), x[t, 9:], rtol=1e-5, atol=1e-6)
            if begins[t]:
                np.testing.assert_allclose(np.tanh(cell[0]), x[t, 9:], rtol=1e-5, atol=1e-6)
            trajectories.advance_states(
                one,
                item[t : t + 1],
                begins[t : t + 1],
                now.inputs,
                now.shared,
                cell,
                at_head,
                short,
            )


@pytest.mark.parametrize("name", ["advance_states", "trajectory_gradients"])
def test_the_compiled_kernel_does_what_its_body_says(name, monkeypatch):
    def run():
        rng = np.random.default_rng(2)
        now = training.Parameters(
            *(one.astype(np.float32) for one in parameters(rng, PARTS["all"]))
        )
        batch = people(rng)
        if name == "trajectory_gradients":
            loss, grown = computed(now, PARTS["all"], *batch, kind=np.float32)
            return loss, *(one for one in grown if one.any())
        users, start, item, head, *_ = batch
        states = [np.repeat(now.shared[None, 7 * D + 4], len(users), axis=0) for _ in range(3)]
        begins = head == np.arange(len(item))
        trajectories.advance_states(start, item, begins, now.inputs, now.shared, *states)
        return states

    compiled = run()
    for one in dir(trajectories):
        made = getattr(trajectories, one)
        if hasattr(made, "py_func"):
            monkeypatch.setattr(trajectories, one, made.py_func)
    monkeypatch.setattr(trajectories, "dot", np.dot)
    with np.errstate(over="ignore"):  # splitmix64 wraps around
        plain = run()
    for mine, body in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(mine, body, rtol=1e-4, atol=1e-5)
        assert mine.any()


@pytest.mark.parametrize("name", ["draw_others", "draw_strangers", "edge_gradients"])
def test_the_compiled_draws_and_edges_do_what_their_bodies_say(name, monkeypatch):
    def run():
        rng = np.random.default_rng(3)
        out, count = np.full((6, 9), -1, np.int32), np.zeros(6, np.int64)
        rows = np.arange(6, dtype=np.int32)
        if name == "draw_others":
            draws.draw_others(5, np.arange(6), rows, 9, 0.4, out, count)
            return out, count
        indptr, friend = np.arange(0, 14, 2), np.array([1, 2, 0, 3, 4, 5] * 2, np.int32)
        draws.draw_strangers(5, rows, indptr, friend, 0.5, out, count)
        network, context = rng.normal(size=(2, 6, D)).astype(np.float32)
        error, x, g = (np.zeros(s, np.float32) for s in ((6, 9), (6, D), (6, D)))
        loss = np.zeros(6)
        edges.edge_gradients(rows, np.diff(indptr), out, count, network, context, error, x, g, loss)
        return out, count, error, x, g, loss

    compiled = run()
    with np.errstate(over="ignore"):
        for module in (draws, trajectories, edges):
            for one in dir(module):
                if hasattr(getattr(module, one), "py_func"):
                    monkeypatch.setattr(module, one, getattr(module, one).py_func)
        monkeypatch.setattr(edges, "dot", np.dot)
        plain = run()
    for mine, body in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(mine, body, rtol=1e-5, atol=1e-6)


def test_the_number_of_threads_changes_no_byte():
    rng = np.random.default_rng(0)
    batch, now = people(rng, n=4, most=30), parameters(rng, PARTS["all"])
    before, found = numba.get_num_threads(), []
    try:
        for threads in (before, 1):
            numba.set_num_threads(threads)
            loss, grown = computed(now, PARTS["all"], *batch, kind=np.float32)
            found.append([loss.tobytes(), *(one.tobytes() for one in grown)])
    finally:
        numba.set_num_threads(before)
    assert found[0] == found[1]


@pytest.mark.parametrize("name", PARTS)
def test_dropout_leaves_preference_and_network_and_keeps_the_mean_of_the_rest(name):
    parts = np.array(PARTS[name])
    wide = D * int((parts >= 0).sum())
    kept = training.survivors(
        np.zeros((20_000, wide), np.float32), parts, 0.7, np.random.default_rng(0)
    )
    for at, drops in zip(parts, (False, False, True, True), strict=True):
        if at < 0:
            continue
        part = kept[:, at : at + D]
        if not drops:
            assert (part == 1).all()
            continue
        np.testing.assert_allclose(np.unique(part), [0, 1 / 0.3], rtol=1e-6)
        assert abs((part == 0).mean() - 0.7) < 0.01
        assert abs(np.corrcoef(part[:, 0], part[:, 1])[0, 1]) < 0.03  # numbers fall one by one
    assert training.survivors(np.zeros((5, wide)), parts, 0.0, np.random.default_rng(0)) is None


def test_without_dropout_the_bits_are_those_of_states_multiplied_by_one(monkeypatch):
    rng, parts = np.random.default_rng(11), np.array(PARTS["all"])
    begin = parameters(rng, PARTS["all"])
    data = training.Trajectories(
        np.array([0, 3, 5, 5, 5]), np.array([1, 4, 2, 0, 3], np.int32), np.array([0, 0, 2, 3, 3])
    )
    pace = training.Pace(0.1, 0.0, 0.0, 0.0, 1.0, 0.01, FAR, FAR, 0.0)

    def trained():
        now = begin.copies()
        loss = training.trajectory_epoch(
            data, 2, parts, pace, now, now.zeros(), np.random.default_rng(3)
        )
        return [loss, *(one.tobytes() for one in now)]

    plain = trained()
    monkeypatch.setattr(training, "survivors", lambda x, *_: np.ones_like(x))
    assert trained() == plain


def test_a_step_under_dropout_climbs_what_is_left_of_the_states(monkeypatch):
    """One epoch of one batch against finite differences of the literal likelihood of states with the same zeros."""
    rng, parts = np.random.default_rng(11), PARTS["all"]
    now = parameters(rng, parts)
    item = np.array([1, 4, 2, 0, 3], np.int32)
    data = training.Trajectories(np.array([0, 3, 5, 5, 5]), item, np.array([0, 0, 2, 3, 3]))
    mask = training.survivors(np.zeros((5, 4 * D)), np.array(parts), 0.5, rng)
    assert 0 < (mask == 0).sum() < mask.size / 2
    monkeypatch.setattr(training, "survivors", lambda *_: mask)
    monkeypatch.setattr(training, "batches", lambda *_: [np.arange(2, dtype=np.int32)])
    # Lanes keep the order of two users of whom the first is the longer one.
    start, head = np.array([0, 3, 5]), data.head
    lane = np.array([0, 2])

    def loss(at):
        x, cell, gates = np.empty((5, 4 * D)), np.empty((5, D)), np.empty((5, 3 * D))
        trajectories.trajectory_states(
            lane, np.arange(2, dtype=np.int32), start, item, head, at.preference, at.network,
            at.inputs, at.shared, np.array(parts), x, cell, gates,
        )  # fmt: skip
        z = (x * mask) @ at.outputs.T
        return (np.log(np.exp(z).sum(axis=1)) - z[np.arange(5), item]).sum()

    rate = 1e-3
    pace = training.Pace(rate, 0.0, 0.0, 0.0, 1.0, 0.01, FAR, FAR, 0.5)
    after, sums = now.copies(), now.zeros()
    training.trajectory_epoch(data, 2, np.array(parts), pace, after, sums, rng)
    for name in ("preference", "network", "inputs", "outputs", "shared"):
        table = getattr(now, name)
        for at in [(0, 1), (1, 0), (2, 2)]:
            ends = []
            for away in (1e-5, -1e-5):
                moved = now.copies()
                getattr(moved, name)[at] += away
                ends.append(loss(moved))
            slope = (ends[0] - ends[1]) / 2e-5
            # AdaGrad's first step has the length of the rate, and its sum is the squared mean slope.
            np.testing.assert_allclose(
                getattr(sums, name)[at], (slope / 2) ** 2, rtol=1e-4, atol=1e-9
            )
            if abs(slope) > 1e-3:
                step = getattr(after, name)[at] - table[at]
                np.testing.assert_allclose(step, -rate * np.sign(slope), rtol=1e-3)
