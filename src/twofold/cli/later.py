"""Commands whose module is imported when somebody asks for them, so that none waits for what the others need."""

from __future__ import annotations

import functools
import gc
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command


class Stopped(Exception):
    """Somebody pressed Ctrl-C; carried past typer, which would end silently."""


def interruptible(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command such that Ctrl-C raises `Stopped`."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not gc.isenabled():  # `twofold.cli.main` put it off while modules were loaded
            gc.freeze()
            gc.enable()
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt as error:
            raise Stopped(*error.args) from error

    return wrapped


def commands(homes: Mapping[str, str]) -> type[TyperGroup]:
    """Return the kind of group whose commands live at `homes`: name -> module:function, or module:group."""

    class Later(TyperGroup):
        """A group that knows the names of its commands, and imports one when it is asked for."""

        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            # The names suggest what was meant; the commands themselves come from `get_command`.
            self.commands: Any = dict.fromkeys(homes)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            """Return a command, None where there is none of this name."""
            del ctx
            if cmd_name in homes and self.commands[cmd_name] is None:
                self.commands[cmd_name] = made(cmd_name, homes[cmd_name])
            return self.commands.get(cmd_name)

        def list_commands(self, ctx: Any) -> list[str]:
            """Return the names in the order in which help shows them."""
            del ctx
            return list(homes)

    return Later


def made(name: str, home: str) -> Any:
    """Return the command `name` that lives at `home`."""
    module, _, attribute = home.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return get_command(found)
    alone = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown"
    )
    alone.command(name)(interruptible(found))
    return get_command(alone)
