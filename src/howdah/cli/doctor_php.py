"""Checks of PHP for `howdah doctor`: the build, its extensions, its settings. Starts PHP for a moment."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from howdah.cli.doctor_finding import Finding, Verdict, size_text
from howdah.cli.quiet import quiet
from howdah.cli.temporary import temporary_folder
from howdah.config.model import RuntimeConfig, WorkerConfig
from howdah.errors import ConfigError, HowdahError
from howdah.runtime.sizing import calculate, ini_bytes, usable_cores, usable_memory_bytes

_REPORT = """<?php
$opcache = function_exists('opcache_get_configuration') ? opcache_get_configuration() : false;
echo json_encode([
    'extensions' => get_loaded_extensions(),
    'zend_extensions' => get_loaded_extensions(true),
    'ini' => array_map(fn ($value) => (string) $value, ini_get_all(null, false)),
    'opcache' => $opcache !== false,
], JSON_INVALID_UTF8_SUBSTITUTE);
"""

# What is known of extensions in a process with many PHP threads.
_UNSAFE: Mapping[str, tuple[Verdict, str, str]] = {
    "imap": ("problem", "its C library is not thread-safe", "use a mail library written in PHP"),
    "newrelic": ("problem", "its agent does not support thread-safe PHP", "send traces by OpenTelemetry"),
    "pcov": ("problem", "it is not thread-safe", "measure coverage with Xdebug, by php-cli"),
    "blackfire": ("warning", "it supports thread-safe PHP in part", "load it only while you profile"),
    "ddtrace": ("warning", "its profiler is unstable with threads", "set datadog.profiling.enabled=0"),
    "datadog-profiling": ("warning", "it is unstable with threads", "load it only while you profile"),
    "xdebug": ("warning", "it makes every request slower", "load it only while you debug"),
}
_LITTLE_OPCACHE = 64 << 20
# What a process needs beside scripts: Python, libphp, stacks in use.
_BASE_BYTES = 128 << 20


@dataclass(frozen=True, slots=True)
class PhpReport:
    """What a started PHP says about itself.

    Attributes:
        build: see ``native.build_info()``.
        ini_files: php.ini files that were read.
        extensions: names in lower case, Zend extensions included.
        ini: every setting, as text.
    """

    build: Mapping[str, Any]
    ini_files: tuple[str, ...]
    extensions: frozenset[str]
    ini: Mapping[str, str]

    def is_on(self, name: str) -> bool:
        """Tell whether a switch is on."""
        return self.ini.get(name, "").lower() in {"1", "on", "yes", "true"}


def ask_php(php_ini: Mapping[str, str]) -> PhpReport:
    """Start PHP with one thread, let it report, and stop it.

    Raises:
        EngineError: libphp or the extension is missing, or PHP does not start.
        HowdahError: there is no folder for temporary files.
    """
    from howdah.engine.native import native
    from howdah.runtime.request import Request
    from howdah.runtime.runtime import Runtime

    runtime = Runtime(num_threads=1, php_ini=dict(php_ini))
    with quiet(), tempfile.TemporaryDirectory(prefix="howdah-doctor-", dir=temporary_folder()) as folder:
        (Path(folder) / "report.php").write_text(_REPORT, encoding="utf-8")
        runtime.start()
        try:
            facts = native.facts()
            answer = runtime.handle(Request(target=b"/report.php", site=folder))
        finally:
            runtime.stop(2.0)
    report = json.loads(answer.body)
    names = [facts["ini_file"] or "", *(facts["ini_scanned"] or "").replace("\n", "").split(",")]
    return PhpReport(
        build=dict(native.build_info()),
        ini_files=tuple(name.strip() for name in names if name.strip()),
        extensions=frozenset(name.lower() for name in [*report["extensions"], *report["zend_extensions"]]),
        ini=report["ini"],
    )


def check_php(runtime: RuntimeConfig, workers: Sequence[WorkerConfig]) -> Iterator[Finding]:
    """Look at everything about PHP.

    Args:
        runtime: settings of the server that is to run.
        workers: all of its workers, those of sites too.
    """
    try:
        report = ask_php(runtime.php_ini)
    except HowdahError as error:
        yield Finding("PHP", "problem", str(error), "mend what it says; nothing else about PHP can be checked before")
        return
    yield from check_build(report)
    yield from check_extensions(report, os.environ)
    yield from check_opcache(report)
    yield from check_settings(report, runtime)
    yield check_memory(report, runtime, workers, usable_memory_bytes())


def check_build(report: PhpReport) -> Iterator[Finding]:
    """Look at how PHP was built."""
    build = report.build
    yield Finding("PHP", "ok", f"{build['php_version']}, thread-safe, embedded")
    if build["debug"]:
        yield Finding(
            "PHP build", "warning", "it is a debug build, several times slower", "build a release: `make setup`"
        )
    if not build["max_execution_timers"]:
        yield Finding(
            "PHP build",
            "warning",
            "max_execution_time has no effect",
            "build PHP with --enable-zend-max-execution-timers, or set request_timeout",
        )
    yield Finding("php.ini", "ok", ", ".join(report.ini_files) or "none was read; /etc/howdah/php.ini is where it goes")


def check_extensions(report: PhpReport, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look for extensions that are known to go badly with threads."""
    found = False
    for name, (verdict, why, cure) in _UNSAFE.items():
        if name in report.extensions:
            found = True
            yield Finding(f"extension {name}", verdict, why, cure)
    if "imagick" in report.extensions:
        found = True
        yield _check_imagick(report, environ)
    if not found:
        yield Finding(
            "extensions", "ok", f"none of the {len(report.extensions)} loaded ones is known to be unsafe with threads"
        )


def _check_imagick(report: PhpReport, environ: Mapping[str, str]) -> Finding:
    if environ.get("MAGICK_THREAD_LIMIT") == "1" or report.ini.get("imagick.set_single_thread") == "1":
        return Finding("extension imagick", "ok", "ImageMagick is limited to one thread per call")
    return Finding(
        "extension imagick",
        "warning",
        "ImageMagick's own threads (OpenMP) crash under PHP threads",
        "set imagick.set_single_thread=1, or MAGICK_THREAD_LIMIT=1 in the server's environment",
    )


def check_opcache(report: PhpReport) -> Iterator[Finding]:
    """Look at OPcache's settings."""
    if "zend opcache" not in report.extensions or not report.is_on("opcache.enable"):
        yield Finding(
            "OPcache", "warning", "it is off, so every request compiles its scripts", "remove opcache.enable=0"
        )
        return
    memory = opcache_bytes(report)
    files = report.ini.get("opcache.max_accelerated_files", "?")
    if memory and memory < _LITTLE_OPCACHE:
        yield Finding(
            "OPcache memory",
            "warning",
            f"{size_text(memory)}; when it is full, requests wait for a wipe",
            "set opcache.memory_consumption=128 or more",
        )
    else:
        yield Finding("OPcache memory", "ok", f"{size_text(memory)} for at most {files} scripts")
    if report.is_on("opcache.validate_timestamps"):
        every = report.ini.get("opcache.revalidate_freq", "2")
        yield Finding(
            "OPcache timestamps",
            "ok",
            f"changed scripts are seen after {every} s; in production opcache.validate_timestamps=0 saves the look, "
            "and `howdah reload` brings the new code",
        )
    else:
        yield Finding("OPcache timestamps", "ok", "off: changed scripts are seen after `howdah reload`")
    if report.ini.get("opcache.save_comments") in {"0", ""}:
        yield Finding(
            "OPcache comments",
            "warning",
            "opcache.save_comments is off; frameworks that read annotations fail",
            "remove opcache.save_comments=0",
        )


def opcache_bytes(report: PhpReport) -> int:
    """Give the size of OPcache's memory; its setting counts megabytes."""
    return int(report.ini.get("opcache.memory_consumption") or 0) << 20


def check_settings(report: PhpReport, runtime: RuntimeConfig) -> Iterator[Finding]:
    """Look at settings of php.ini that surprise."""
    if report.is_on("display_errors") and not runtime.debug:
        yield Finding("display_errors", "warning", "visitors see PHP's errors", "remove it, or start with --debug")
    limit_s = int(report.ini.get("max_execution_time") or 0)
    timeout_s = runtime.request_timeout_s
    if not limit_s and not timeout_s:
        yield Finding(
            "time limit",
            "warning",
            "nothing limits the time of a request, so a script that hangs keeps its thread for ever",
            "set request_timeout (or max_execution_time in php.ini)",
        )
    else:
        shown = [f"max_execution_time {limit_s} s"] if limit_s else []
        shown += [f"request_timeout {timeout_s:g} s"] if timeout_s else []
        yield Finding("time limit", "ok", ", ".join(shown))


def check_memory(
    report: PhpReport, runtime: RuntimeConfig, workers: Sequence[WorkerConfig], usable_bytes: int | None
) -> Finding:
    """Compare what all threads together may take with what there is."""
    limit = ini_bytes(report.ini.get("memory_limit", ""))
    try:
        sizing = calculate(runtime, workers, usable_cores(), usable_bytes, limit)
    except ConfigError as error:
        return Finding("threads", "problem", str(error), "change these numbers")
    threads = (
        f"{sizing.max_threads} PHP threads"
        if sizing.max_threads == sizing.num_threads
        else (f"{sizing.num_threads} to {sizing.max_threads} PHP threads")
    )
    if limit is None:
        return Finding(
            "threads and memory",
            "warning",
            f"{threads} without a memory_limit: one script may take all memory, and the whole server with it",
            "set memory_limit in php.ini",
        )
    need = sizing.max_threads * limit + opcache_bytes(report) + _BASE_BYTES
    text = f"{threads} with a memory_limit of {size_text(limit)} may take {size_text(need)} in the worst case"
    if usable_bytes is not None and need > usable_bytes:
        return Finding(
            "threads and memory",
            "warning",
            f"{text}, more than the {size_text(usable_bytes)} that there are",
            "lower max_threads or memory_limit, or use max_threads auto",
        )
    return Finding("threads and memory", "ok", text)
