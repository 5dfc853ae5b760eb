#!/usr/bin/env python3
"""Build the PHP that Howdah embeds (thread-safe, with libphp) and cache it outside the checkout.

    tools/build_php.py [--flavour release|asan] [--tarball FILE] [--print-config]

The result stands in $HOWDAH_CACHE (default ~/.cache/howdah), in php/<version>-<flavour>-<hash of options>.
A cached build is found at once. With HOWDAH_PHP_CONFIG in the environment that PHP is checked
and used instead of the release flavour.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from build_log import BuildError, BuildLog
from debian_source import DebianSource, SourceError
from howdah_source import PHP_CONFIG_VARIABLE, EngineVersionError, read_php_build
from php_compile import add_shared_extensions, compile_php
from php_flavours import COMPLETE_MARKER, FLAVOURS, Flavour, cache_dir, find_cached
from php_source import obtain_tarball, read_php_version, unpack


def build(flavour: Flavour, tarball: Path | None) -> Path:
    """Build PHP, unless another process did so while we waited for the lock.

    Args:
        flavour: what to build.
        tarball: PHP's source; None downloads it.

    Returns:
        The php-config of the build.

    Raises:
        SourceError: there is no source.
        BuildError: a step failed.
    """
    cache = cache_dir()
    log = BuildLog(cache / "logs" / f"php-{flavour.label}.log")
    with locked(cache / f"php-{flavour.label}.lock", log):
        cached = find_cached(flavour) if tarball is None else None
        if cached is not None:
            return cached
        with tempfile.TemporaryDirectory(prefix="build-", dir=cache) as folder:
            work = Path(folder)
            debian = DebianSource(cache / "apt")
            if tarball is None:
                log.say("fetching PHP's source")
                tarball = obtain_tarball(work / "download", debian, log.say)
            log.say(f"unpacking {tarball.name}")
            source = unpack(tarball, work / "source")
            prefix = flavour.prefix(read_php_version(source))
            if (prefix / COMPLETE_MARKER).exists():
                return prefix / "bin" / "php-config"
            # PHP knows its own place, so it is installed there at once; only the marker makes it valid.
            shutil.rmtree(prefix, ignore_errors=True)
            compile_php(source, prefix, flavour, log)
            add_shared_extensions(prefix, flavour, work, debian, log)
            read_php_build(prefix / "bin" / "php-config")
            (prefix / COMPLETE_MARKER).touch()
            log.say(f"PHP is ready: {prefix}")
    return prefix / "bin" / "php-config"


@contextmanager
def locked(path: Path, log: BuildLog) -> Iterator[None]:
    """Hold a lock file, so that two builds of one flavour do not write to one folder; the system frees it if we die."""
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.say("another build of this PHP is running; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def find_php(flavour: Flavour) -> Path | None:
    """Find the php-config to use without building: the one from the environment, or the cached one.

    Raises:
        EngineVersionError: the environment names a PHP that cannot be embedded.
    """
    chosen = os.environ.get(PHP_CONFIG_VARIABLE)
    if chosen and flavour.name == "release":
        return read_php_build(chosen).php_config
    return find_cached(flavour)


def existing_file(text: str) -> Path:
    """Check an argument that names a file."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return path.resolve()


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Build the PHP that Howdah embeds, and cache it.")
    parser.add_argument("--flavour", choices=sorted(FLAVOURS), default="release", help="release, or debug with ASan")
    parser.add_argument("--tarball", type=existing_file, metavar="FILE", help="PHP's source instead of a download")
    parser.add_argument(
        "--print-config", action="store_true", help="only print the php-config of the cached build, never build"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Build or find PHP; prints the path of its php-config on standard output."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    flavour = FLAVOURS[options.flavour]
    try:
        found = find_php(flavour) if options.tarball is None else None
        if found is None and options.print_config:
            print(f"No {flavour.name} PHP is built yet. Run tools/build_php.py first.", file=sys.stderr)
            return 1
        print(found or build(flavour, options.tarball))
    except (SourceError, BuildError, EngineVersionError) as error:
        print(f"build_php: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("build_php: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
