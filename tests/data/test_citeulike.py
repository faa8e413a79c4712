"""The words of citeulike-t, against the file that they come from."""

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.mark.data
def test_every_word_of_an_article_is_counted(real):
    data = real("citeulike-t")
    bag = data.items.features["words"]
    folder = Path(os.environ["TWOFOLD_DATA"]) / "citeulike-t"
    words = (folder / "vocabulary.dat").read_text(encoding="utf-8").splitlines()
    lines = (folder / "mult.dat").read_text().splitlines()
    counts = bag.matrix()
    assert counts.nnz == sum(len(line.split()) - 1 for line in lines)
    for row in (0, 1, 25_974):
        told = {words[int(w)]: float(n) for w, n in (p.split(":") for p in lines[row].split()[1:])}
        mine = counts[[row]].tocoo()
        names = bag.levels.ids.gather(mine.col.astype(np.uint32)).to_list()
        assert dict(zip(names, mine.data.tolist(), strict=True)) == told
