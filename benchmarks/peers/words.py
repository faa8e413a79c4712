"""cornac's CTR or CDL on articles with words: its vectors, and the seconds of training."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from cornac.data import Dataset, TextModality
from cornac.data.text import BaseTokenizer
from cornac.models import CDL, CTR

folder = Path(sys.argv[1])
given = np.load(folder / "in.npz")
settings = json.loads((folder / "settings.json").read_text())
user, item = given["user"], given["item"]
words, counts, indptr = given["words"], given["counts"], given["indptr"]

data = Dataset.from_uir(list(zip(user.tolist(), item.tolist(), np.ones(len(user)).tolist())))
known = np.array(list(data.iid_map), np.int64)
texts = [
    " ".join(np.repeat(words[first:last], counts[first:last].astype(np.int64)).astype(str))
    for first, last in zip(indptr[known], indptr[known + 1])
]
text = TextModality(
    corpus=texts,
    ids=known.tolist(),
    tokenizer=BaseTokenizer(sep=" ", pre_rules=[]),  # its own rules drop numbers: all our words
    max_vocab=settings["vocabulary"],
)
text.build(id_map=data.iid_map)
data.add_modalities(item_text=text)
constants = settings["constants"]
if settings["model"] == "CDL":
    import tensorflow  # noqa: F401  # here, so that importing it is not counted

    model = CDL(vocab_size=text.count_matrix.shape[1], verbose=False, **constants)
else:
    model = CTR(verbose=False, **constants)
began = time.perf_counter()
model.fit(data)
seconds = time.perf_counter() - began
people = np.array(list(data.uid_map), np.int64)
factors = model.U.shape[1]
left = np.zeros((settings["n_users"], factors + 1), np.float32)
right = np.zeros((settings["n_items"], factors + 1), np.float32)
right[:, -1] = -1e6  # items that training lacks come last
left[people, :-1], left[people, -1] = model.U, 1
right[known, :-1], right[known, -1] = model.V, 0
np.savez(folder / "out.npz", users=left, items=right)
(folder / "out.json").write_text(json.dumps({"seconds": seconds}))
