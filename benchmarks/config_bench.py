#!/usr/bin/env python3
"""How long a Caddyfile of 1,000 lines takes from text to model, and one with 200 sites; prints a table.

.venv/bin/python benchmarks/config_bench.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from howdah.config.adapt import adapt
from howdah.config.blocks import read_document
from howdah.config.dump import from_json, to_json
from howdah.config.format import format_text
from howdah.config.http import ServerModel

LIMIT_MS = 100.0
RUNS = 15

_OPTIONS = """\
{
	frankenphp {
		num_threads 500
		max_requests 500
		php_ini memory_limit 256M
	}
	servers {
		trusted_proxies static private_ranges
	}
}

(common) {
	header {
		X-Content-Type-Options nosniff
		-Server
	}
	encode zstd br gzip
}

"""
# 32 lines.
_SITE = """\
www{number}.example.com, {number}.example.org:8443 {{
	import common
	root /srv/www/{number}/public
	@static {{
		path *.css *.js *.png *.jpg *.svg
		not path /private/*
	}}
	@old path_regexp old ^/archive/([0-9]{{4}})/(.*)$
	header @static Cache-Control "public, max-age=31536000"
	redir @old /{{re.old.1}}-{{re.old.2}} permanent
	basic_auth /admin/* {{
		ann $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG
	}}
	log {{
		output file /var/log/{number}.log {{
			roll_size 10MiB
		}}
		format json
	}}
	handle_path /api/* {{
		respond "api of {{host}} at {{path}}" 200
	}}
	handle {{
		php_server {{
			env APP_ENV prod
			worker worker{number}.php 1
		}}
	}}
	handle_errors {{
		respond "{{err.status_code}} {{err.message}}"
	}}
}}
"""


def document(lines: int) -> str:
    """Make a Caddyfile of at least so many lines."""
    parts = [_OPTIONS]
    number = 0
    while "".join(parts).count("\n") < lines:
        number += 1
        parts.append(_SITE.format(number=number))
    return "".join(parts)


def median_ms(run: Callable[[], object]) -> float:
    """Measure the CPU time of a function: the median of some runs, in milliseconds."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        run()
        times.append((time.process_time() - start) * 1000)
    return statistics.median(times)


def main() -> int:
    """Print the table; the exit code is 1 if 1,000 lines take longer than they may."""
    worst = 0.0
    print("lines   read   adapt  together   format   to JSON   from JSON   (ms of CPU)")
    for lines in (100, 1000, 6400):
        text = document(lines)
        read = median_ms(lambda text=text: read_document(text, "Caddyfile", {}))  # type: ignore[misc]
        parsed = read_document(text, "Caddyfile", {})
        whole = median_ms(lambda parsed=parsed: adapt(parsed))  # type: ignore[misc]
        model: ServerModel = adapt(parsed)
        dumped = to_json(model)
        others = [
            median_ms(lambda text=text: format_text(text, "Caddyfile")),  # type: ignore[misc]
            median_ms(lambda model=model: to_json(model)),  # type: ignore[misc]
            median_ms(lambda dumped=dumped: from_json(dumped)),  # type: ignore[misc]
        ]
        count = text.count("\n")
        print(f"{count:5} {read:6.1f} {whole:7.1f} {read + whole:9.1f} " + "{:8.1f} {:9.1f} {:11.1f}".format(*others))
        if lines == 1000:
            worst = read + whole
    print(f"limit for 1,000 lines: {LIMIT_MS:.0f} ms")
    return int(worst > LIMIT_MS)


if __name__ == "__main__":
    raise SystemExit(main())
