"""Mistakes about PHP and its workers; see `test_mistakes`."""

from __future__ import annotations

import pytest

from howdah.config.adapt import parse_config
from tests.unit.config.mistakes import in_frankenphp, in_php, in_site, mistake


class TestPhp:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                in_php("try_files {path} {host}.php"),
                "3:20: write {path} in place of {host}; it is all that is filled in here",
            ),
            (in_php("try_files =404"), "3:13: =404 cannot be used; only =404 may stand here, as the last one"),
            (in_php("try_files {path} =500"), "3:20: =500 cannot be used; only =404 may stand here, as the last one"),
            (
                in_php("try_files index.php?a=b"),
                "3:13: index.php?a=b names no file; scripts get the query of the request by themselves",
            ),
            (in_frankenphp("php_ini a=b c"), "3:11: a=b is no name of php.ini; write it as in memory_limit 256M"),
            (
                in_frankenphp("php_ini {", '\ta "b\nc=d"', "}"),
                "4:6: the value of a holds the end of a line or NUL, which php.ini cannot hold",
            ),
            (in_php("split php"), "3:9: php is no suffix; write ASCII that begins with a dot, as .php"),
            (in_php("split .phpé"), "3:9: .phpé is no suffix; write ASCII that begins with a dot, as .php"),
            (in_php("split"), "3:3: php_server split needs more; write it as split .php"),
            (in_php("env A"), "3:7: php_server env needs more; write it as env <name> <value>"),
            (in_php("env A=B c"), "3:7: 'A=B' is no name of a variable"),
            (in_php("file_server on"), "3:15: file_server of php_server can only be off; it is on by itself"),
            (in_php("resolve_root_symlink maybe"), "3:24: maybe is neither true nor false"),
            (in_php("request_body_timeout 5"), "3:24: 5 is no duration; write it with its unit, as 500ms, 5s or 1h30m"),
            (
                in_php("symlinks outside"),
                "3:12: there is no value of symlinks outside; did you mean inside? (supported: follow, inside)",
            ),
            (
                in_php("hot_reload"),
                "3:3: hot_reload is not supported: it needs a Mercure hub, which is not available yet",
            ),
            (
                in_site("php {", "\tindex a.php", "}"),
                "3:3: index is for php_server; php runs every request as the script it names",
            ),
            (in_php("worker"), "3:3: a worker needs a script; write worker <file>, or file <path> in its block"),
            (
                in_php("worker a.php 2 3"),
                "3:18: 3 is one too many for php_server worker; write it as worker <file> [<num>|watch]",
            ),
            (in_php("worker a.php two"), "3:16: two is no whole number"),
            (in_php("worker a.php {", "\tfile b.php", "}"), "4:4: there is a file already; write it once"),
            (
                in_php("worker a.php {", "\tnum 3", "\tmax_threads 2", "}"),
                "3:3: max_threads (2) of a worker must not be smaller than its num (3)",
            ),
            (in_php("worker a.php {", "\tmax_consecutive_failures -2", "}"), "4:29: -2 must be -1 or more"),
            (
                in_php("root /srv/{host}", "worker a.php"),
                "4:10: the script of a worker must not depend on the request, as the root does; write its whole path",
            ),
            (
                in_php("worker a.php", "worker a.php 2"),
                "4:10: workers in a single php_server block must not have duplicate filenames: a.php; give them match paths",
            ),
            (
                in_php("root /srv", "worker a.php", "worker {", "\tfile /srv/a.php", "\tmatch /x", "}"),
                "6:9: workers in a single php_server block must not have duplicate filenames: /srv/a.php; give them match paths",
            ),
            (
                in_frankenphp("worker a.php", "worker a.php"),
                "4:10: global workers must not have duplicate filenames: a.php; give them match paths",
            ),
            (
                in_frankenphp("worker {", "\tfile a.php", "\tmatch /x", "}"),
                "5:4: match is for workers of a site: move this worker into the php_server block whose requests it takes",
            ),
            (in_frankenphp("num_threads 0"), "3:15: num_threads must be 1 or more; leave it out for twice the cores"),
            (in_frankenphp("num_threads -1"), "3:15: -1 must be 0 or more"),
            (
                in_frankenphp("num_threads 4", "max_threads 2"),
                "2:2: max_threads (2) must not be smaller than num_threads (4)",
            ),
            (in_frankenphp("num_threads 2000"), "3:3: num_threads must be between 1 and 1024"),
            (
                in_frankenphp("num_threads 4", "worker a.php 4"),
                "3:3: num_threads 4 must be greater than the 4 threads of the workers, because one serves what no worker takes: raise it, or lower num of a worker",
            ),
            (
                in_frankenphp("num_threads 2", "worker a.php") + in_php("worker b.php"),
                "3:3: num_threads 2 must be greater than the 2 threads of the workers, because one serves what no worker takes: raise it, or lower num of a worker",
            ),
            (
                in_frankenphp("max_threads 8") + in_php("worker b.php {", "\tmax_threads 9", "}"),
                "8:10: max_threads 9 of the worker b.php must not be greater than the 8 of frankenphp: lower it, or raise the other",
            ),
            (in_frankenphp("php_ini a"), "3:11: frankenphp php_ini needs more; write it as php_ini <name> <value>"),
            (
                in_frankenphp("php_ini"),
                "3:3: php_ini needs a name and a value; write php_ini <name> <value>, or a block of such pairs",
            ),
            (
                in_frankenphp("php_ini {", "\ta b c", "}"),
                "4:8: c is one too many for frankenphp php_ini a; write it as a <value>",
            ),
            (in_frankenphp("max_wait_time 5"), "3:17: 5 is no duration; write it with its unit, as 500ms, 5s or 1h30m"),
            (in_frankenphp("max_requests"), "3:3: frankenphp max_requests needs a value; write max_requests <value>"),
            (in_frankenphp("max_threads all"), "3:15: all is no whole number"),
        ],
    )
    def test_says_what_is_wrong(self, text: str, message: str) -> None:
        assert mistake(text) == message

    def test_matching_workers_may_share_a_script(self) -> None:
        worker = ("worker {", "\tfile a.php", "\tmatch /a", "}")
        (site,) = parse_config(in_php(*worker, *worker), "Caddyfile", {}).sites
        assert len(site.steps) == 1
