"""``asgi`` and ``wsgi``: Python applications beside PHP."""

from __future__ import annotations

import re
from typing import Literal

from howdah.config.context import Context
from howdah.config.dispenser import Dispenser
from howdah.config.http import PythonApp, Step

_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*(\(\))?")
_OPTIONS = ("env", "mount", "path")


def parse_asgi(line: Dispenser, context: Context) -> list[Step]:
    """Hands requests to an ASGI application, such as Django's or Starlette's, in this process.

    Syntax::

        asgi [<matcher>] <module>:<application> {
            path  <folder>
            mount <path>
            env   <name> <value>
        }

    ``path`` is a folder in which modules are looked for first. ``mount`` is the beginning of the path that the
    application does not see as its own (ASGI's ``root_path``). ``env`` is set in the environment before the module is
    imported. ``module:make()`` calls a factory.
    """
    return _parse(line, context, "asgi")


def parse_wsgi(line: Dispenser, context: Context) -> list[Step]:
    """Hands requests to a WSGI application, such as Flask's, in threads of this process.

    Syntax: as ``asgi``; ``mount`` is WSGI's ``SCRIPT_NAME``
    """
    return _parse(line, context, "wsgi")


def _parse(line: Dispenser, context: Context, kind: Literal["asgi", "wsgi"]) -> list[Step]:
    matcher = context.take_matcher(line)
    (target,) = line.arguments(1, 1, f"{kind} [<matcher>] <module>:<application>")
    if not _TARGET.fullmatch(target.text):
        raise line.error(
            f"{target.text} names no application; write <module>:<application>, as mysite.asgi:app", target
        )
    path = mount = ""
    env: dict[str, str] = {}
    for option in line.next_block():
        if option.name == "path":
            path = context.fixed(option, option.argument("a folder"))
        elif option.name == "mount":
            word = option.argument("a path")
            if not word.text.startswith("/"):
                raise option.error(f"{word.text} is no path; write /{word.text}", word)
            mount = word.text.rstrip("/")
        elif option.name == "env":
            name, value = option.arguments(2, 2, "env <name> <value>")
            env[name.text] = context.fixed(option, value)
        else:
            raise option.unknown(f"option of {kind}", _OPTIONS)
    action = PythonApp(kind, target.text, path, mount, tuple(env.items()))
    return [context.step(line, action, matcher)]
