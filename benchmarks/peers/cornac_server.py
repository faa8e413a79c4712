"""Cornac's own server: matrix factorization of the events in ``in.npz``, saved and served by ``cornac.serving``.

``python cornac_server.py FOLDER PORT``
"""

import os
import sys
from pathlib import Path

import cornac
import numpy as np

folder, port = Path(sys.argv[1]), int(sys.argv[2])
with np.load(folder / "in.npz") as given:
    users, items, factors = given["user"], given["item"], int(given["factors"])
triples = [(str(u), str(i), 1.0) for u, i in zip(users.tolist(), items.tolist(), strict=True)]
train = cornac.data.Dataset.from_uir(triples, seed=0)
model = cornac.models.MF(k=factors, max_iter=1, use_bias=False, seed=0).fit(train)
os.environ["MODEL_PATH"] = str(model.save(str(folder / "cornac"), save_trainset=True))
os.environ["MODEL_CLASS"] = "cornac.models.MF"

from cornac.serving.app import app  # noqa: E402  it reads the model when it is imported

sys.stdout.write(f"listening on http://127.0.0.1:{port}\n")
sys.stdout.flush()
app.run(host="127.0.0.1", port=port, threaded=True)
