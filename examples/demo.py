"""Compare the models on a generated log, recommend, and write a report."""

import sys

import twofold as tw
from twofold.testing import planted_log


def main() -> None:
    data = planted_log(200, 60)
    sys.stdout.write("generated data: two planted tastes\n")
    split = tw.split.temporal(data)
    models = {"mf": tw.models.BiasedMF(factors=8), "pmf": tw.models.PMF(factors=8)}
    board = tw.compare(models, split)
    sys.stdout.write(f"{board}\n")
    board.to_html("report.html")
    model = tw.models.BiasedMF(factors=8).fit(data, rng=0)
    sys.stdout.write(f"{model.recommend(users=[100], k=5)}\nwrote report.html\n")


if __name__ == "__main__":
    main()
