#!/usr/bin/env python3
"""Measure Howdah against nginx + PHP-FPM in the same run and print the figures as Markdown.

Each side is started alone and stopped again, in alternating rounds; figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from measures import Bench
from report import machine_facts, markdown
from servers import BenchError, Howdah, Peer, howdah_version, peer_versions, require_howdah, require_peer
from targets import ALONE, TARGETS

_SIDES = {"howdah": Howdah.name, "peer": Peer.name}


def main() -> int:
    """Parse the command line, measure, print the report."""
    parser = _parser()
    options = parser.parse_args()
    if unknown := [target for target in options.targets if target not in TARGETS]:
        parser.error(f"no such target: {', '.join(unknown)} (there are {', '.join(TARGETS)})")
    sides = (_SIDES[options.only],) if options.only else (Howdah.name, Peer.name)
    facts = [*machine_facts(), f"command: `{' '.join(['python benchmarks/run.py', *sys.argv[1:]])}`"]
    try:
        if Howdah.name in sides:
            require_howdah()
            facts.append(howdah_version())
        if Peer.name in sides:
            require_peer()
            facts.append(peer_versions())
        with tempfile.TemporaryDirectory(prefix="howdah-bench-") as folder:
            bench = Bench(
                folder=Path(folder),
                seconds=options.seconds or (2.0 if options.quick else 8.0),
                rounds=options.rounds or (1 if options.quick else 3),
                sides=sides,
                port=options.port,
            )
            for target in options.targets or TARGETS:
                if target in ALONE and Howdah.name not in sides:
                    continue
                TARGETS[target](bench)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(markdown(bench, facts))
    if options.json:
        options.json.write_text(json.dumps({"facts": facts, "results": bench.results}, indent=1), encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="one short round: to see that it works, not to compare")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds per target (default 3)")
    parser.add_argument("--seconds", type=float, metavar="S", help="time of one load (default 8)")
    parser.add_argument("--only", choices=sorted(_SIDES), help="measure one side alone")
    parser.add_argument("--port", type=int, default=18110, help="ports are counted up from here (default 18110)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to a file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
