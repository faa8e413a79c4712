"""The application: its commands, and how failures become one sentence and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import typer
from typer.exceptions import TyperException

import twofold
from twofold._version import __version__
from twofold.cli import INTERRUPTED
from twofold.cli.later import Stopped, commands
from twofold.cli.output import note, say
from twofold.errors import DataWarning, LeakError, NotConvergedError, TwofoldError

BAD_INPUT, FAILED = 2, 1
"""Exit codes beside 0: the input was wrong; the work itself failed."""
ALLOCATOR = "DefaultCPUAllocator"
"""Stands in what torch says where no memory is left; it has no kind of its own for that."""
TRACEBACK = "TWOFOLD_TRACEBACK"
"""Environment variable: set, a fault of twofold itself shows where it happened."""


COMMANDS = {
    "demo": "twofold.cli.demo:demo",
    "datasets": "twofold.cli.inspect:datasets",
    "models": "twofold.cli.inspect:models",
    "doctor": "twofold.cli.doctor:doctor",
    "describe": "twofold.cli.describe:describe",
    "fit": "twofold.cli.train:fit",
    "evaluate": "twofold.cli.train:evaluate",
    "compare": "twofold.cli.compare:compare",
    "tune": "twofold.cli.tune:tune",
    "recommend": "twofold.cli.ask:recommend",
    "similar": "twofold.cli.ask:similar",
    "explain": "twofold.cli.ask:explain",
    "serve": "twofold.cli.serve:serve",
    "promote": "twofold.cli.serve:promote",
    "rollback": "twofold.cli.serve:rollback",
    "events": "twofold.cli.serve:events",
    "map": "twofold.cli.apply:map_",
    "links": "twofold.cli.apply:links_",
    "analogy": "twofold.cli.apply:analogy",
    "experiment": "twofold.cli.app:online",
}
"""Where each command lives, in the order of the help page."""
EXPERIMENT = {
    "plan": "twofold.cli.experiment:plan",
    "report": "twofold.cli.experiment:report",
    "estimate": "twofold.cli.experiment_logs:estimate",
    "export": "twofold.cli.experiment_logs:export",
}
"""The same of ``twofold experiment``."""

app = typer.Typer(
    name="twofold",
    cls=commands(COMMANDS),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
online = typer.Typer(
    name="experiment", cls=commands(EXPERIMENT), no_args_is_help=True, add_completion=False,
    rich_markup_mode="markdown",
)  # fmt: skip


def _version(value: bool) -> None:
    if value:
        say(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", help="Print the version.", callback=_version, is_eager=True
    ),
) -> None:
    """From an interaction log to a recommender its owner can trust.

    Example: `twofold demo`, then `twofold compare --data ratings.csv`
    """
    del version


@online.callback()
def online_options() -> None:
    """Online tests: how large, and what they show.

    Example: `twofold experiment plan --baseline 0.1 --lift 0.05`, then `twofold experiment report exp.toml`
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    if arguments is None:
        sys.excepthook = show_fault
    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=DataWarning)
        warnings.showwarning = _show
        try:
            code = _called(arguments)
            sys.stdout.flush()
        except BrokenPipeError:
            _abandon_output()
            return 0
        except OSError as error:
            note(
                f"error: {error.filename or 'reading or writing failed'}: {error.strerror or error}"
            )
            _abandon_output()
            return BAD_INPUT
    return code


def _called(arguments: Sequence[str] | None) -> int:
    try:
        code = app(
            args=None if arguments is None else list(arguments),
            prog_name="twofold",
            standalone_mode=False,
        )
    except (LeakError, NotConvergedError) as error:
        note(f"error: {error}")
        return FAILED
    except TwofoldError as error:
        note(f"error: {error}")
        return BAD_INPUT
    except Stopped as error:
        note(f"interrupted; {error.args[0] if error.args else 'nothing was written'}")
        return INTERRUPTED
    except (OSError, KeyboardInterrupt):
        raise
    except TyperException as error:
        show = getattr(error, "show", None)
        note(f"error: {error}") if show is None else show()
        return int(getattr(error, "exit_code", BAD_INPUT))
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and ALLOCATOR not in str(error):
            raise
        note("error: memory ran out; take fewer factors, units or negatives, or a part of the data")
        return FAILED
    return code if isinstance(code, int) else 0


def show_fault(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Say in one sentence that twofold itself is wrong, and where; a hook for what nobody catches."""
    if os.environ.get(TRACEBACK):
        sys.__excepthook__(kind, error, trace)
        return
    home = Path(twofold.__file__).parent
    own = [one for one in traceback.extract_tb(trace) if Path(one.filename).is_relative_to(home)]
    where = f" at {Path(own[-1].filename).relative_to(home)}:{own[-1].lineno}" if own else ""
    said = " ".join(str(error).split())
    note(
        f"error: a fault of twofold itself{where}: {kind.__name__}: {said}; "
        f"please report it, with what {TRACEBACK}=1 shows"
    )


def _abandon_output() -> None:
    """Send what is still to be written nowhere: whoever read it has gone, or there is no room for it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(message: Warning | str, *where: object) -> None:
    del where
    note(f"note: {message}")
