import pytest

from twofold.cli import main
from twofold.testing import planted_log


@pytest.fixture(scope="session")
def log_file(tmp_path_factory):
    """A small log as its owner would have it."""
    path = tmp_path_factory.mktemp("log") / "ratings.csv"
    planted_log().frame("interactions").write_csv(path)
    return path


@pytest.fixture
def run(capsys):
    """Run a command; return its exit code, standard output and standard error."""

    def call(*arguments):
        code = main([str(one) for one in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call
