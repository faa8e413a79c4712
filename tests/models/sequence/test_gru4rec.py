"""GRU4Rec: cells and batches written out by hand, states that move by one step, and what it learns."""

import os

import numpy as np
import pytest

import twofold as tw
from twofold.data.sequences import trajectories
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.models.sequence import gru4rec
from twofold.models.sequence._next_item import held_out, last_of_each, mean_gain
from twofold.testing import planted_log

torch = pytest.importorskip("torch")

CELLS = {"rnn": gru4rec.RNN(), "lstm": gru4rec.LSTM(), "gru": gru4rec.GRU()}
LOSSES = {
    one.kind: one
    for one in (
        gru4rec.CrossEntropy(),
        gru4rec.BPRLoss(),
        gru4rec.TOP1(),
        gru4rec.BPRMax(),
        gru4rec.TOP1Max(),
    )
}


def chain(n_users=40, n_items=12, length=7, seed=0):
    """Everybody walks round a ring of items from somewhere: what comes next is the following one."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, n_items, n_users)
    user, step = np.divmod(np.arange(n_users * length), length)
    item = (start[user] + step) % n_items
    log = {"u": user, "i": [f"i{one}" for one in item], "t": 1_000_000 + 60 * np.arange(len(user))}
    return tw.Dataset.from_frames(log, user="u", item="i", time="t")


def fitted(data=None, **settings):
    kept = {"factors": 5, "epochs": 2, "batch_size": 8, **settings}
    return tw.models.GRU4Rec(**kept).fit(planted_log() if data is None else data, rng=0)


def sigma(x):
    return 1 / (1 + np.exp(-x))


def by_hand(model, items):
    """h after `items` in float64, from the equations of section 3.1 (and the textbook's for rnn and lstm)."""
    w = {name: one.astype(np.float64) for name, one in model.weights.items()}
    size, kind = model.estimator.factors, model.estimator.cell.kind
    u, b = w["cell.recurrent"], w["cell.bias"]
    h, c = np.zeros(size), np.zeros(size)
    for item in items:
        match model.estimator.embedding:
            case "shared":
                wx = w["items.weight"][item, :size] @ w["cell.inputs"] + b
            case "separate":
                wx = w["inputs.weight"][item] @ w["cell.inputs"] + b
            case "one-hot":
                wx = w["inputs.weight"][item] + b
        if kind == "rnn":
            h = np.tanh(wx + h @ u)
        elif kind == "gru":
            z = sigma(wx[:size] + h @ u[:, :size])
            r = sigma(wx[size : 2 * size] + h @ u[:, size : 2 * size])
            fresh = np.tanh(wx[2 * size :] + (r * h) @ u[:, 2 * size :])
            h = (1 - z) * h + z * fresh
        else:
            i, f, o, g = np.split(wx + h @ u, 4)
            c = sigma(f) * c + sigma(i) * np.tanh(g)
            h = sigma(o) * np.tanh(c)
    return np.append(h, 1)


@pytest.mark.parametrize("embedding", ["shared", "separate", "one-hot"])
@pytest.mark.parametrize("kind", CELLS)
def test_a_history_is_the_cell_written_out(kind, embedding):
    model = fitted(cell=CELLS[kind], embedding=embedding)
    model.verify()
    rows = np.arange(4, dtype=np.int32)
    histories = model.memory.history.take(rows)
    wanted = [by_hand(model, one) for one in np.split(histories.item, histories.indptr[1:-1])]
    np.testing.assert_allclose(model.fold_in(histories), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(model.lookup(rows), model.fold_in(histories))


@pytest.mark.parametrize("kind", CELLS)
def test_torch_takes_the_step_that_numba_serves(kind):
    from twofold.models.sequence._gru4rec_training import Network
    from twofold.nn.weights import load_into

    model = fitted(cell=CELLS[kind])
    net = Network(model.estimator, 24, rng=torch.Generator())
    load_into(net, model.weights)
    state = model.remembered(np.arange(6, dtype=np.int32))
    items = np.array([0, 3, 5, 7, 9, 23], np.int32)
    x, _ = net.rows(torch.from_numpy(items.astype(np.int64)), torch.zeros(1, dtype=torch.int64))
    after = net.cell(x, torch.from_numpy(state.rows.copy())).numpy()
    np.testing.assert_allclose(model.advance(state, items).rows, after, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", CELLS)
def test_the_gradient_of_a_cell_is_that_of_finite_differences(kind):
    from twofold.nn.recurrent import CELLS as SHAPES

    size, shape = 3, SHAPES[kind]
    draw = torch.Generator().manual_seed(0)
    given = [
        torch.randn(*of, generator=draw, dtype=torch.float64, requires_grad=True)
        for of in ((2, shape.gates * size), (size, shape.gates * size), (2, shape.states * size))
    ]
    torch.autograd.gradcheck(shape.step, given)


@pytest.mark.parametrize("kind", CELLS)
def test_an_event_at_a_time_is_the_replay_of_all(kind):
    model = fitted(cell=CELLS[kind])
    items = np.random.default_rng(0).integers(0, 24, (3, 40)).astype(np.int32)
    state = model.start(tw.Histories.empty(3))
    for step in items.T:
        before = state.rows.copy()
        after = model.advance(state, step)
        np.testing.assert_array_equal(state.rows, before)
        state = after
    whole = tw.Histories(np.arange(0, 121, 40), items.ravel(), np.ones(120, np.float32))
    np.testing.assert_array_equal(model.encode_state(state), model.fold_in(whole))
    with pytest.raises(ValueError, match="read-only"):
        state.rows[0] = 0


def test_an_unknown_item_changes_no_state_and_a_wrong_one_is_refused():
    model = fitted()
    state = model.remembered(np.array([0, 1], np.int32))
    np.testing.assert_array_equal(model.advance(state, np.array([-1, -1])).rows, state.rows)
    with pytest.raises(DataError, match="one item for each of 2"):
        model.advance(state, np.array([1], np.int32))
    with pytest.raises(DataError, match=r"outside -1 \.\.\. 23"):
        model.advance(state, np.array([1, 24], np.int32))


def test_somebody_who_did_nothing_is_offered_by_bias():
    model = fitted()
    np.testing.assert_array_equal(model.fold_in(tw.Histories.empty(1))[0], model.unknown_user)
    np.testing.assert_array_equal(
        model.item_vectors @ model.unknown_user, model.weights["items.weight"][:, -1]
    )


def test_order_and_the_last_event_matter_and_long_histories_are_read_whole():
    model = fitted(chain(), factors=16, epochs=30, samples=6)
    best = model.recommend(
        histories=[["i1", "i2", "i3"], ["i3", "i2", "i1"], ["i1", "i2", "i3", "i4"]],
        k=1,
        exclude_seen=False,
    )
    assert best["item"].to_list() == ["i4", "i2", "i5"]
    ring = [f"i{one % 12}" for one in range(5000)]
    long = model.recommend(histories=[ring], k=1, exclude_seen=False)
    assert long["item"].to_list() == [f"i{5000 % 12}"]


def numpy_loss(model, scores, own, log_q):
    """The loss of one row in float64: `own` is its column, the others are its negatives (Hidasi 2016 and 2018)."""
    loss = model.estimator.loss
    if loss.kind == "cross-entropy":
        scores = scores - loss.log_q * log_q
        return -(scores[own] - np.log(np.exp(scores).sum()))
    act = {
        "tanh": np.tanh,
        "elu": lambda x: np.where(x > 0, x, 0.5 * (np.exp(x) - 1)),
        "identity": lambda x: x,
    }[loss.activation]
    r_i, r_j = act(scores[own]), act(np.delete(scores, own))
    if not len(r_j):
        return 0.0
    s = np.exp(r_j) / np.exp(r_j).sum()
    match loss.kind:
        case "bpr":
            return -np.log(sigma(r_i - r_j)).mean()
        case "top1":
            return (sigma(r_j - r_i) + sigma(r_j**2)).mean()
        case "bpr-max":
            return -np.log((s * sigma(r_i - r_j)).sum()) + loss.reg * (s * r_j**2).sum()
        case "top1-max":
            return (s * (sigma(r_j - r_i) + sigma(r_j**2))).sum()


@pytest.mark.parametrize("samples", [0, 5, None])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_is_the_literal_loop_over_its_rows(loss, samples, monkeypatch):
    """Three steps of lanes: states carried and reset, negatives of the batch and drawn ones, hits left out, ln Q of both."""
    from twofold.models.sequence._gru4rec_training import Batches, Network
    from twofold.nn.weights import load_into

    data = planted_log()
    model = fitted(data, loss=LOSSES[loss], samples=samples)
    net = Network(model.estimator, 24, rng=torch.Generator())
    load_into(net, model.weights)
    events = data.interactions
    starts, steps = events.indptr[:-1], np.diff(events.indptr) - 1
    batches = Batches(model.estimator, net, events.item, starts, steps, 24)
    targets = np.concatenate([events.item[a + 1 : a + 1 + n] for a, n in zip(starts, steps)])
    supp = np.bincount(targets, minlength=24)
    drawn = np.array([1, 2, 3, 1, 7]) if samples else np.zeros(0, np.int64)
    monkeypatch.setattr(batches, "candidates", lambda after, rng: (
        torch.arange(24) if samples is None else torch.cat([after, torch.from_numpy(drawn)])
    ))  # fmt: skip
    alpha = model.estimator.samples_exponent
    q = np.maximum(supp, 1) ** alpha / (np.maximum(supp, 1) ** alpha).sum()
    log_q = np.log(8 * supp / supp.sum() + len(drawn) * q)
    for step in range(3):
        event = starts[:8] + step
        ours = float(batches.loss(torch.from_numpy(event * 8 + np.arange(8)), torch.Generator()))
        each, counts = [], []
        for lane in range(8):
            h = by_hand(model, events.item[starts[lane] : event[lane] + 1])
            own = events.item[event[lane] + 1]
            asked = np.concatenate([events.item[event + 1], drawn])
            if samples is None:
                asked, column = np.arange(24), own
            else:
                kept = (asked != own) | (np.arange(len(asked)) == lane)
                column = kept[:lane].sum()
                asked = asked[kept]
            scores = model.item_vectors[asked].astype(np.float64) @ h
            corrected = np.zeros(len(asked)) if samples is None else log_q[asked]
            each.append(numpy_loss(model, scores, column, corrected))
            counts.append(len(asked) - 1)
        # bpr and top1 are means over all pairs of the batch, the others over its rows.
        pairs = counts if loss in ("bpr", "top1") else np.ones(8)
        assert ours == pytest.approx(np.average(each, weights=pairs), rel=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_sessions_side_by_side_are_the_literal_loop(seed):
    """Algorithm of the paper's Figure 2: where a session ends the next one takes its lane."""
    from twofold.nn.deal import in_lanes, session_parallel

    rng = np.random.default_rng(seed)
    steps = rng.integers(1, 9, 23)
    lanes = 4
    begin, lane = in_lanes(steps, lanes)
    waiting, at, doing = list(range(len(steps))), 0, [None] * lanes
    left = np.zeros(lanes, int)
    while waiting or left.any():
        for one in range(lanes):
            if not left[one] and waiting:
                doing[one] = waiting.pop(0)
                left[one] = steps[doing[one]]
                assert (begin[doing[one]], lane[doing[one]]) == (at, one)
        left = np.maximum(left - 1, 0)
        at += 1
    starts = np.concatenate([[0], np.cumsum(steps + 1)])[:-1]
    batches = session_parallel(starts, steps)(int(steps.sum()), lanes, rng)
    seen = np.concatenate([one // lanes for one in batches])
    wanted = np.concatenate([np.arange(a, a + n) for a, n in zip(starts, steps)])
    assert sorted(seen.tolist()) == wanted.tolist()
    previous = {}
    for one in batches:
        event, own = one // lanes, one % lanes
        assert len(set(own.tolist())) == len(own)
        for a, b in zip(event.tolist(), own.tolist()):
            assert a in starts or previous[b] == a - 1
            previous[b] = a


def test_cutting_by_a_pause_is_cutting_the_log_into_users():
    """With `gap` the network learns what it learns where every session is a user of its own."""
    log = {
        "u": [1, 1, 1, 1, 2, 2, 2, 2],
        "i": list("abcdbadc"),
        "t": [0, 10, 5000, 5010, 0, 10, 9000, 9010],
    }
    apart = {**log, "u": [1, 1, 2, 2, 3, 3, 4, 4]}
    column = {**log, "visit": ["p", "p", "q", "q"] * 2}
    one = fitted(tw.Dataset.from_frames(log, user="u", item="i", time="t"), gap=60)
    two = fitted(tw.Dataset.from_frames(apart, user="u", item="i", time="t"))
    three = fitted(
        tw.Dataset.from_frames(column, user="u", item="i", time="t", context={"visit": "category"}),
        session="visit",
    )
    for name, found in two.weights.items():
        np.testing.assert_array_equal(one.weights[name], found)
        np.testing.assert_array_equal(three.weights[name], found)
    np.testing.assert_array_equal(one.states, two.states[[1, 3]])
    np.testing.assert_array_equal(three.states, two.states[[1, 3]])
    np.testing.assert_array_equal(one.fold_in(one.memory.history), one.lookup(np.arange(2)))
    cut = trajectories(one.memory.history, gap=60)
    assert last_of_each(one.memory.history, cut).lengths.tolist() == [2, 2]


def test_sessions_of_one_event_are_told():
    """A log whose users change with each visit taught almost nothing, in silence."""
    rows = {"u": [1, 1, 2, 3, 4], "i": ["a", "b", "a", "b", "a"]}
    log = tw.Dataset.from_frames(rows, user="u", item="i")
    with pytest.warns(DataWarning, match="3 of 5 events are a sequence by themselves"):
        fitted(log)
    half = tw.Dataset.from_frames({"u": [1, 1, 2, 3], "i": ["a", "b", "a", "b"]}, user="u", item="i")  # fmt: skip
    fitted(half)


def test_bad_input_is_refused_in_a_sentence():
    single = tw.Dataset.from_frames({"u": [1, 2], "i": ["a", "b"]}, user="u", item="i")
    with pytest.raises(DataError, match="none of the 2 sequences has two events"):
        fitted(single)
    with pytest.raises(ConfigError, match="visitt"):
        fitted(session="visitt")
    untimed = tw.Dataset.from_frames({"u": [1, 1], "i": ["a", "b"]}, user="u", item="i")
    with pytest.raises(DataError, match="time"):
        fitted(untimed, gap=60)
    with pytest.raises(ConfigError, match="cell"):
        tw.models.GRU4Rec(cell={"kind": "gruu"})


def test_what_validation_asks_and_how_it_counts():
    train = tw.Dataset.from_frames(
        {"u": [1, 1, 2], "i": list("abc"), "t": [1, 2, 3]}, user="u", item="i", time="t"
    )
    later = tw.Dataset.from_frames(
        {"u": [1, 1, 7, 7, 7, 8, 2], "i": [*"cabxcax"], "t": [4, 5, 4, 5, 6, 4, 4]},
        user="u", item="i", time="t",
    )  # fmt: skip
    memory = tw.Memory.of(train)
    histories, target = held_out(memory, later)
    ids = train.items.ids.ids.to_list()
    told = [[ids[one] for one in part] for part in np.split(histories.item, histories.indptr[1:-1])]
    asked = sorted(zip(told, [ids[one] for one in target]))
    assert asked == [(["a", "b"], "c"), (["b"], "c")]
    vectors, items = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)
    # The target of row 0 is best; that of row 1 shares the second and third place.
    found = mean_gain(vectors[:2], items, np.array([0, 2], np.int32))
    assert found == pytest.approx((1 + 1 / np.log2(3.5)) / 2)


def test_validation_stops_and_keeps_the_best_pass():
    data = chain()
    split = tw.split.leave_last(data, validation=True)
    model = tw.models.GRU4Rec(factors=8, epochs=30, patience=2).fit(
        split.train, validation=split.validation, rng=0
    )
    plain = tw.models.GRU4Rec(factors=8, epochs=30, patience=2).fit(split.train, rng=0)
    assert not np.array_equal(model.item_vectors, plain.item_vectors)
    found = tw.evaluate(model, split, metrics=["hit@1"], part="validation")
    assert found.values["hit@1"] > 0.9


@pytest.mark.parametrize("optimiser", ["adagrad", "adam", "sgd"])
def test_the_optimisers_and_dropout_train(optimiser):
    from twofold.nn.optimisers import SGD, Adagrad, Adam

    one = {
        "adagrad": Adagrad(learning_rate=0.1, momentum=0.2),
        "adam": Adam(learning_rate=0.02),
        "sgd": SGD(learning_rate=1.0),
    }[optimiser]
    data = chain()
    model = fitted(
        data, factors=16, epochs=40, optimiser=one, dropout_hidden=0.1, dropout_embedding=0.1,
        batch_size=16,
    )  # fmt: skip
    best = model.recommend(histories=[["i1", "i2", "i3"]], k=1, exclude_seen=False)
    assert best["item"].to_list() == ["i4"]


@pytest.mark.parametrize(
    ("loss", "embedding"),
    [*((one, "shared") for one in LOSSES), ("cross-entropy", "one-hot"), ("bpr-max", "separate")],
)
def test_every_loss_learns_the_ring(loss, embedding):
    model = fitted(
        chain(), factors=16, epochs=40, loss=LOSSES[loss], embedding=embedding, samples=4,
        batch_size=16,
    )  # fmt: skip
    best = model.recommend(
        histories=[[f"i{one}", f"i{(one + 1) % 12}"] for one in range(12)],
        k=1,
        exclude_seen=False,
    )["item"].to_list()
    assert sum(best[one] == f"i{(one + 2) % 12}" for one in range(12)) >= 11


@pytest.mark.data
@pytest.mark.skipif("TWOFOLD_DATA" not in os.environ, reason="needs TWOFOLD_DATA")
def test_it_beats_popularity_on_sessions():
    data = tw.datasets.load("diginetica-sample")
    split = tw.split.leave_last(data, repeats="keep")
    model = tw.models.GRU4Rec(epochs=4, samples=256).fit(split.train, rng=0)
    popular = tw.models.Popularity().fit(split.train)
    ours, theirs = (
        tw.evaluate(one, split, metrics=["recall@20"]).values["recall@20"]
        for one in (model, popular)
    )
    assert ours > 0.1
    assert ours > 5 * theirs


def test_one_very_long_session_is_learned_in_pieces_side_by_side(monkeypatch):
    """Every event but the first is foreseen once a pass, and one session of many events does not go on alone."""
    from twofold.models.sequence import _gru4rec_training as training

    seen = []

    def dealt(starts, steps):
        seen.append((starts, steps))
        return deal(starts, steps)

    deal = training.session_parallel
    monkeypatch.setattr(training, "session_parallel", dealt)
    monkeypatch.setattr(training, "LONGEST", 100)
    ring = [f"i{one % 5}" for one in range(500)]
    data = tw.datasets.from_sequences([ring, ["i0", "i1", "i2"]])
    model = tw.models.GRU4Rec(factors=8, epochs=10, batch_size=16).fit(data, rng=0)
    ((starts, steps),) = seen
    foreseen = np.concatenate([one + np.arange(n) for one, n in zip(starts, steps, strict=True)])
    assert sorted(foreseen.tolist()) == [*range(499), 500, 501]
    assert len(steps) == 6
    assert steps.max() <= training.LONGEST
    assert model.recommend(users=[0], k=1, exclude_seen=False)["item"].to_list() == ["i0"]
