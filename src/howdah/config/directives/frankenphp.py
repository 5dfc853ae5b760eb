"""The global option ``frankenphp``: PHP's threads, limits, ini entries and workers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from howdah.config import units
from howdah.config.context import Context
from howdah.config.directives.options import Options
from howdah.config.directives.worker import read_worker
from howdah.config.dispenser import Dispenser
from howdah.config.lexer import Token

_INI_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")

# Field of RuntimeConfig and how its value is read.
_KEYS: Mapping[str, tuple[str, Callable[[Dispenser, Token], object]]] = {
    "max_idle_time": ("max_idle_time_s", units.duration),
    "max_queue": ("max_queue", units.count),
    "max_requests": ("max_requests", units.count),
    "max_thread_memory": ("max_thread_memory_bytes", units.size),
    "max_wait_time": ("max_wait_time_s", units.duration),
    "num_threads": ("num_threads", units.count),
    "opcache_restart_grace": ("opcache_restart_grace_s", units.duration),
    "request_timeout": ("request_timeout_s", units.duration),
    "slow_request_threshold": ("slow_request_threshold_s", units.duration),
    "thread_stack_size": ("thread_stack_size_bytes", units.size),
}
_ALL = (*_KEYS, "max_body_size", "max_threads", "php_ini", "worker")


def parse_frankenphp(line: Dispenser, context: Context, options: Options) -> None:
    """PHP in this process.

    Syntax::

        frankenphp {
            num_threads            <threads>
            max_threads            <threads>|auto
            max_wait_time          <duration>
            max_idle_time          <duration>
            max_requests           <requests>
            max_queue              <requests>
            request_timeout        <duration>
            slow_request_threshold <duration>
            max_body_size          <size>
            max_thread_memory      <size>
            opcache_restart_grace  <duration>
            thread_stack_size      <size>
            php_ini                <name> <value>
            worker                 <as in sites>
        }

    ``php_ini`` may be a block with one pair per line. ``max_body_size`` is for the sites that set none.
    """
    for option in line.next_block():
        _read(option, context, options)
    _check_threads(line, options)


def _read(option: Dispenser, context: Context, options: Options) -> None:
    name = option.name
    options.lines[name] = option
    if name in _KEYS:
        field, read = _KEYS[name]
        word = option.argument(f"a value; write {name} <value>")
        if field in options.runtime:
            context.warn(option.token, f"{name} is set again; this value counts")
        value = read(option, word)
        if name == "num_threads" and value == 0:
            raise option.error("num_threads must be 1 or more; leave it out for twice the cores", word)
        options.runtime[field] = value
    elif name == "max_threads":
        word = option.argument("a number, or auto")
        options.runtime[name] = "auto" if word.text == "auto" else units.count(option, word, least=1)
    elif name == "max_body_size":
        options.max_body_size_bytes = units.size(option, option.argument("a size"))
    elif name == "php_ini":
        _read_ini(option, context, options)
    elif name == "worker":
        options.workers.append(read_worker(option, context, is_global=True))
    else:
        raise option.unknown("option of frankenphp", _ALL)


def _read_ini(option: Dispenser, context: Context, options: Options) -> None:
    if option.peek_arg() is not None:
        name, value = option.arguments(2, 2, "php_ini <name> <value>")
        _check_ini(option, name, value)
        options.php_ini[name.text] = context.fixed(option, value)
    elif not option.has_block:
        raise option.error("php_ini needs a name and a value; write php_ini <name> <value>, or a block of such pairs")
    for pair in option.next_block():
        (value,) = pair.arguments(1, 1, f"{pair.name} <value>")
        _check_ini(pair, pair.token, value)
        options.php_ini[pair.name] = context.fixed(pair, value)


def _check_ini(line: Dispenser, name: Token, value: Token) -> None:
    if not _INI_NAME.fullmatch(name.text):
        raise line.error(f"{name.text} is no name of php.ini; write it as in memory_limit 256M", name)
    if set(value.text) & set("\r\n\0"):
        raise line.error(f"the value of {name.text} holds the end of a line or NUL, which php.ini cannot hold", value)


def _check_threads(line: Dispenser, options: Options) -> None:
    num, most = options.runtime.get("num_threads"), options.runtime.get("max_threads")
    if isinstance(num, int) and isinstance(most, int) and most < num:
        raise line.error(f"max_threads ({most}) must not be smaller than num_threads ({num})")
