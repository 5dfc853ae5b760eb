#!/usr/bin/env python3
"""Run make targets one after the other, stop at the first that fails, and print how long each took."""

from __future__ import annotations

import subprocess
import sys
import time

from build_log import format_elapsed


def main() -> int:
    """Run the targets given as arguments; the exit code is that of the last one that ran."""
    rows: list[tuple[str, float, int]] = []
    for target in sys.argv[1:]:
        print(f"\n== {target}", flush=True)
        started = time.monotonic()
        code = subprocess.run(["make", "--no-print-directory", target], check=False).returncode
        rows.append((target, time.monotonic() - started, code))
        if code != 0:
            break
    print()
    for target, seconds, code in rows:
        print(f"{target:10} {format_elapsed(seconds)}  {'ok' if code == 0 else 'FAILED'}")
    return rows[-1][2] if rows else 0


if __name__ == "__main__":
    sys.exit(main())
