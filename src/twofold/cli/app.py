"""The application: its commands, and how failures become one sentence and an exit code."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from twofold._version import __version__
from twofold.cli import ask, demo, inspect, train
from twofold.cli.output import note, say
from twofold.errors import DataWarning, LeakError, NotConvergedError, TwofoldError

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130
"""Exit codes beside 0: the input was wrong; the work itself failed; somebody pressed Ctrl-C."""

app = typer.Typer(
    name="twofold",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="From an interaction log to a recommender its owner can trust.",
)
for function in (
    demo.demo,
    inspect.datasets,
    inspect.models,
    inspect.doctor,
    train.fit,
    train.evaluate,
    train.compare,
    train.tune,
    ask.recommend,
    ask.similar,
    ask.explain,
):
    app.command()(function)


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
    """From an interaction log to a recommender its owner can trust."""
    del version


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 = failed, 2 = bad input, 130 = interrupted."""
    warnings.filterwarnings("always", category=DataWarning)
    warnings.showwarning = _show
    try:
        code = app(args=None if arguments is None else list(arguments), standalone_mode=False)
    except (LeakError, NotConvergedError) as error:
        note(f"error: {error}")
        return FAILED
    except TwofoldError as error:
        note(f"error: {error}")
        return BAD_INPUT
    except typer.Abort:
        return _interrupted()
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        # Whoever read the output has gone; nothing may be written to it while Python shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        note(f"error: {error.filename or 'input or output'}: {error.strerror or error}")
        return BAD_INPUT
    except TyperException as error:
        show = getattr(error, "show", None)
        note(f"error: {error}") if show is None else show()
        return int(getattr(error, "exit_code", BAD_INPUT))
    return code if isinstance(code, int) else 0


def _interrupted() -> int:
    note("interrupted; what was finished is kept, the same command goes on from there")
    return INTERRUPTED


def _show(message: Warning | str, *where: object) -> None:
    del where
    note(f"note: {message}")
