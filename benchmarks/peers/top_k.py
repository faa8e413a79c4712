"""The best k items of every user by implicit or faiss, and the seconds."""

import json
import sys
import time
from pathlib import Path

import numpy as np

folder = Path(sys.argv[1])
given = np.load(folder / "in.npz")
settings = json.loads((folder / "settings.json").read_text())
users, items, indptr, seen = (given[name] for name in ("users", "items", "indptr", "seen"))
k = settings["k"]
STEP = 4096


def implicit_recommend():
    from implicit.cpu.matrix_factorization_base import MatrixFactorizationBase
    from scipy.sparse import csr_matrix

    class Given(MatrixFactorizationBase):
        def fit(self):
            pass

        def save(self):
            pass

    model = Given(num_threads=2)
    model.user_factors, model.item_factors = users, items
    rows = csr_matrix((np.ones(len(seen), np.float32), seen, indptr), (len(users), len(items)))
    rows.sort_indices()

    def run(first, last):
        who = np.arange(first, last)
        return model.recommend(who, rows[who], N=k, filter_already_liked_items=True)[0]

    return run


def faiss_flat():
    import faiss

    faiss.omp_set_num_threads(2)
    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)
    return lambda first, last: index.search(users[first:last], k)[1]


def faiss_filtered():
    import faiss

    faiss.omp_set_num_threads(2)
    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)
    lengths = np.diff(indptr)
    order = np.argsort(lengths, kind="stable")

    def run(first, last):
        who = order[first:last]
        most = int(lengths[who].max())
        found = index.search(users[who], min(k + most, len(items)))[1]
        out = np.empty((len(who), k), np.int64)
        for row, user in enumerate(who):
            kept = found[row][~np.isin(found[row], seen[indptr[user] : indptr[user + 1]])]
            out[row] = kept[:k]
        return out

    run.order = order
    return run


run = {
    "implicit recommend": implicit_recommend,
    "faiss flat": faiss_flat,
    "faiss flat, asking for more": faiss_filtered,
}[settings["name"]]()
run(0, 512)
n = len(users)
out = np.empty((n, k), np.int32)
began = time.perf_counter()
for first in range(0, n, STEP):
    out[first : first + STEP] = run(first, min(first + STEP, n))
seconds = time.perf_counter() - began
if hasattr(run, "order"):
    out[run.order] = out.copy()
np.savez(folder / "out.npz", items=out)
(folder / "out.json").write_text(json.dumps({"seconds": seconds}))
