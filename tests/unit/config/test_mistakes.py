"""Mistakes in what directives and options say: each is one sentence with its position and the cure."""

from __future__ import annotations

import pytest

from howdah.config.adapt import parse_config
from tests.unit.config.mistakes import in_frankenphp, in_options, in_php, in_site, mistake

DIRECTIVES = (
    "abort, asgi, basic_auth, basicauth, bind, encode, error, file_server, handle, handle_errors, handle_path, header, "
    "log, method, metrics, php, php_server, redir, request_body, request_header, respond, rewrite, root, route, tls, "
    "try_files, uri, vars, wsgi, x_sendfile"
)
INNER = DIRECTIVES.replace("bind, ", "").replace("handle_errors, ", "").replace("log, ", "").replace("tls, ", "")


class TestUnknownWords:
    def test_a_misspelt_directive_gets_the_near_spelling_and_all_others(self) -> None:
        assert mistake(in_site("php_sever")) == (
            f"2:2: there is no directive php_sever; did you mean php_server? (supported: {DIRECTIVES})"
        )

    def test_inside_a_block_only_what_may_stand_there_is_named(self) -> None:
        assert mistake(in_site("handle {", "\trespnd", "}")) == (
            f"3:3: there is no directive respnd; did you mean respond? (supported: {INNER})"
        )

    def test_where_nothing_is_defined_nothing_is_offered(self) -> None:
        assert mistake(in_site("respond @static 200")) == "2:10: there is no matcher @static"

    @pytest.mark.parametrize(
        ("name", "cure"),
        [
            ("mercure", "the Mercure hub is not available yet; run one beside Howdah"),
            ("vulcain", "it is not available"),
            ("reverse_proxy", "mount a Python application with asgi or wsgi, or put a proxy before Howdah"),
            ("php_fastcgi", "PHP runs in this process; use php_server"),
            ("intercept", "for X-Sendfile and X-Accel-Redirect use x_sendfile, for error pages handle_errors"),
        ],
    )
    def test_directives_of_others_are_told_apart_from_misspelt_ones(self, name: str, cure: str) -> None:
        assert mistake(in_site(f"{name} x y {{", "\tz", "}")) == (
            f"2:2: {name} is not supported: {cure} (supported: {DIRECTIVES})"
        )

    def test_a_directive_without_a_cure(self) -> None:
        assert mistake(in_site("templates")) == f"2:2: templates is not supported (supported: {DIRECTIVES})"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (in_options("http_prot 80"), "2:2: there is no global option http_prot; did you mean http_port?"),
            (
                in_frankenphp("num_thread 1"),
                "3:3: there is no option of frankenphp num_thread; did you mean num_threads?",
            ),
            (
                in_frankenphp("worker {", "\tfiles x", "}"),
                "4:4: there is no option of worker files; did you mean file?",
            ),
            (in_php("indx x"), "3:3: there is no option of php_server indx; did you mean index?"),
            (in_site("php {", "\troots x", "}"), "3:3: there is no option of php roots; did you mean root?"),
            (
                in_options("servers {", "\tprotocol h1", "}"),
                "3:3: there is no option of servers protocol; did you mean protocols?",
            ),
            (in_site("@a {", "\tpaths /x", "}"), "3:3: there is no matcher paths; did you mean path?"),
            (in_site("@a pth /x"), "2:5: there is no matcher pth; did you mean path?"),
            (
                in_site("@static path /x", "respond @statik 1"),
                "3:10: there is no matcher @statik; did you mean @static?",
            ),
            (
                in_site("file_server {", "\thid x", "}"),
                "3:3: there is no option of file_server hid; did you mean hide?",
            ),
            (in_site("encode gzp"), "2:9: there is no compression gzp; did you mean gzip?"),
            (in_site("log {", "\tlevel debg", "}"), "3:9: there is no level debg"),
            (in_site("log {", "\toutput net localhost:1", "}"), "3:10: there is no output of a log net"),
            (in_site("log {", "\tformat jsn", "}"), "3:10: there is no format of a log jsn; did you mean json?"),
            (
                in_site("uri strip_prefx /a"),
                "2:6: there is no operation of uri strip_prefx; did you mean strip_prefix?",
            ),
            (
                in_options("order respnd first"),
                "2:8: there is no directive that has an order, respnd; did you mean respond?",
            ),
            (in_options("order respond fist"), "2:16: there is no position fist; did you mean first?"),
            (in_options("auto_https of"), "2:13: there is no value of auto_https of; did you mean off?"),
            (
                in_site("tls {", "\tprotocols tls1.1", "}"),
                "3:13: there is no version of TLS tls1.1; did you mean tls1.3?",
            ),
            (in_site("root /srv/{http.vars.x}/{hots}"), "2:7: there is no placeholder {hots}; did you mean {host}?"),
            (
                in_site("rewrite /{http.request.ur}"),
                "2:10: there is no placeholder {http.request.ur}; did you mean {http.request.uri}?",
            ),
            (in_site("redir https://{xyzzy}/"), "2:8: there is no placeholder {xyzzy}; write \\{ for the brace itself"),
            (in_site("basic_auth md5 {", "\tu x", "}"), "2:13: there is no algorithm of password hashes md5"),
        ],
    )
    def test_options_and_values_have_near_spellings_too(self, text: str, message: str) -> None:
        assert mistake(text).startswith(message)


class TestArguments:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("root", "2:2: root needs more; write it as root [<matcher>] <path>"),
            ("root * /a /b", "2:12: /b is one too many for root; write it as root [<matcher>] <path>"),
            ("root *", "2:7: * is a matcher, and nothing follows; write root [<matcher>] <path>"),
            ('root ""', "2:7: the folder of root is empty; write . for the current one"),
            ("rewrite @a", "2:10: @a is a matcher, and nothing follows; write rewrite [<matcher>] <to>"),
            (
                "redir /old",
                "2:2: redir needs an address; a first word that begins with / is a matcher, so write redir * /path to send all requests there",
            ),
            ("redir /a /b 200", "2:14: 200 is no code of a redirect; write permanent, temporary, html or 300 to 399"),
            ("respond a b", "2:12: b is no status; write a number such as 200 or 404"),
            (
                "respond 200 {\n\t\tbodi x\n\t}",
                "3:3: there is no option of respond bodi; did you mean body? (supported: body, close)",
            ),
            ("respond a 200 {\n\t\tbody b\n\t}", "3:3: there is a text already; write it once"),
            (
                "error a b c",
                "2:12: c is one too many for error; write it as error [<matcher>] <status>|<message> [<status>]",
            ),
            ("abort now", "2:8: now is one too many for abort; remove it"),
            ("vars a", "2:7: vars needs more; write it as vars [<matcher>] <name> <value>"),
            ("vars", "2:2: vars needs a name and a value; write vars <name> <value>"),
            ("method", "2:2: method needs more; write it as method [<matcher>] <method>"),
            ("uri", "2:2: uri needs an operation (strip_prefix, strip_suffix, replace, path_regexp)"),
            ("uri replace a", "2:14: uri needs more; write it as uri [<matcher>] replace <text> <by>"),
            ('uri replace "" b', "2:14: the text to be replaced is empty"),
            ("uri path_regexp [a b", "2:18: [a is no regular expression: missing ]: [a"),
            ("try_files", "2:2: try_files needs files; write try_files {path} /index.php"),
            ("try_files =4x4", "2:12: =4x4 is no status; write =404"),
            (
                "header",
                "2:2: header needs a field; write header [<matcher>] [+|-|?|>]<field> [<value>|<pattern> <replacement>]",
            ),
            ("header -A b", "2:12: b is one too many for header; write it as -A"),
            ("header A b c d", "2:15: d is one too many for header; write it as A [<value>|<pattern> <replacement>]"),
            ("header +A b c", "2:14: +A takes one value; a pattern and its replacement need the plain name"),
            ('header "a b" c', "2:9: a b is no name of a header field"),
            ('header A "b\nc"', "2:11: the value of A holds the end of a line; write it on one line"),
            ("request_header ?A b", "2:17: ? is for the response; request_header knows + and -"),
            (
                "request_header",
                "2:2: request_header needs a field; write request_header [<matcher>] [+|-]<field> [<value>]",
            ),
            ("request_body {\n\t\tmax_size ten\n\t}", "3:12: ten is no size; write it as 512, 64KiB, 10MB or 1GiB"),
            ("encode {\n\t\tgzip 10\n\t}", "3:8: 10 must be from 1 to 9"),
            (
                "encode {\n\t\tmatch status 200\n\t}",
                "3:9: encode can match by header Content-Type only; use a matcher of the request for the rest",
            ),
            (
                "file_server files",
                "2:14: files is one too many for file_server; write file_server [<matcher>] [browse]",
            ),
            ("file_server {\n\t\tstatus x\n\t}", "3:10: x is no status; write a number such as 404"),
            ("basic_auth", "2:2: basic_auth needs users; write a block with one user and password hash per line"),
            (
                "basic_auth {\n\t\tu secret\n\t}",
                "3:5: the password of u is no bcrypt or argon2id hash; `htpasswd -nB u` makes one",
            ),
            (
                "basic_auth {\n\t\tu JDJxx\n\t}",
                "3:5: the password of u is no bcrypt or argon2id hash; `htpasswd -nB u` makes one",
            ),
            (
                "basic_auth {\n\t\tu x y\n\t}",
                "3:7: a salt is not supported; make a new hash with `caddy hash-password`",
            ),
            ("handle", "2:2: handle needs a block of directives; write handle { and its lines, closed by }"),
            ("route x {\n\t}", "2:8: x is one too many for route; only a matcher stands before its block"),
            ("handle_path {\n\t}", "2:2: handle_path needs a path, as in handle_path /api/*"),
            ("handle_path @a {\n\t}", "2:14: @a is no path; handle_path takes one path that begins with /"),
            ("handle_errors 200 {\n\t}", "2:16: 200 is no code of an error; write 404, 503, 4xx or 5xx"),
            (
                "handle {\n\t\ttls internal\n\t}",
                "3:3: tls stands in a site directly, not inside another directive; move it there",
            ),
            ("asgi app", "2:7: app names no application; write <module>:<application>, as mysite.asgi:app"),
            ("asgi a:b {\n\t\tmount api\n\t}", "3:9: api is no path; write /api"),
            ("wsgi", "2:2: wsgi needs more; write it as wsgi [<matcher>] <module>:<application>"),
            ("bind", "2:2: bind needs more; write it as bind <hosts...>"),
            ("bind 127.0.0.1:80", "2:7: 127.0.0.1:80 is no interface; write an address or a name without port"),
            ("bind unix/", "2:7: unix/ names no socket file; write unix//run/site.sock"),
            ("tls cert.pem", "2:6: a key must follow the certificate cert.pem; write tls <certificate> <key>"),
            (
                "tls internal\n\ttls a.pem a.key",
                "3:2: a site has either certificate files or tls internal; remove one of them",
            ),
            ("tls {\n\t\tclient_auth {\n\t\t}\n\t}", "3:3: client_auth needs trusted_ca_cert_file <file>"),
            ("log a b", "2:8: b is one too many for log; remove it"),
            ("log {\n\t\tlevel\n\t}", "3:3: log level needs a level (DEBUG, INFO, WARN or ERROR)"),
            ("log {\n\t\toutput file\n\t}", "3:10: log output needs a path"),
            ("log {\n\t\toutput file stderr\n\t}", "3:15: stderr is no path of a file; write ./stderr"),
            ("metrics {\n\t\tx\n\t}", "3:3: there is no option of metrics x (supported: disable_openmetrics)"),
            (
                "x_sendfile /a b c",
                "2:18: c is one too many for x_sendfile; write it as x_sendfile [<matcher>] [<root>]",
            ),
        ],
    )
    def test_of_directives(self, line: str, message: str) -> None:
        assert mistake(in_site(line)) == message

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("debug on", "2:8: on is one too many for debug; remove it"),
            ("http_port", "2:2: http_port needs a port"),
            ("http_port 0", "2:12: 0 must be from 1 to 65535"),
            ("https_port 99999", "2:13: 99999 must be from 1 to 65535"),
            ("http_port http", "2:12: http is no whole number"),
            ("grace_period 5", "2:15: 5 is no duration; write it with its unit, as 500ms, 5s or 1h30m"),
            ("grace_period -5s", "2:15: -5s is no duration; write it with its unit, as 500ms, 5s or 1h30m"),
            ("persist_config on", "2:17: persist_config can only be off"),
            (
                "admin localhost",
                "2:8: localhost is no address for the admin API; write localhost:2019, unix//run/howdah.sock or off",
            ),
            (
                "admin :2019",
                "2:8: the admin API on :2019 can be reached by others; write localhost:2019, or give it a token",
            ),
            (
                "admin 10.0.0.1:2019",
                "2:8: the admin API on 10.0.0.1:2019 can be reached by others; write localhost:2019, or give it a token",
            ),
            ("order respond", "2:8: order needs a position (first, last, before or after)"),
            ("order respond before", "2:16: order needs another directive"),
            ("servers :443 {\n\t}", "2:10: servers :443 is not supported: the options are the same for all listeners"),
            (
                "servers {\n\t\ttrusted_proxies everybody\n\t}",
                "3:19: everybody is no address and no network; write 10.0.0.0/8, 2001:db8::/32 or private_ranges",
            ),
            ("servers {\n\t\tprotocols h3\n\t}", "3:3: protocols needs one of h1, h2 and h2c"),
            (
                "servers {\n\t\ttimeouts {\n\t\t\tidle 1x\n\t\t}\n\t}",
                "4:9: 1x is no duration; write it with its unit, as 500ms, 5s or 1h30m",
            ),
            ("log\n\tlog", "3:2: there is a log default already; give this one another name"),
        ],
    )
    def test_of_global_options(self, line: str, message: str) -> None:
        assert mistake(in_options(line)) == message


class TestMatchers:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("@a", "2:2: the matcher @a is empty; write @a path /a/* or a block of matchers"),
            ("@ path /a", "2:2: a matcher needs a name after the @, such as @static"),
            ("@a {\n\t}", "2:2: the matcher @a is empty; write @a path /a/* or a block of matchers"),
            ("@a path", "2:5: @a path needs more; write it as path /a /b/* *.php"),
            ("@a path /a\n\t@a path /b", "3:2: there is a matcher @a already; give this one another name"),
            ("@a path_regexp (", "2:17: ( is no regular expression: missing ): ("),
            (
                "@a path_regexp a b c",
                "2:21: c is one too many for @a path_regexp; write it as path_regexp [<name>] <pattern>",
            ),
            (
                "@a {\n\t\tpath_regexp a\n\t\tpath_regexp b\n\t}",
                "4:3: there is a path_regexp in this matcher already; use a second matcher, or `not`",
            ),
            ("@a host https://a.test", "2:10: https://a.test is no host name; write it without scheme, port and path"),
            ("@a host a.test:80", "2:10: a.test:80 is no host name; write it without scheme, port and path"),
            ("@a header !X y", "2:15: !X takes no value, because the field is not there"),
            ("@a header !", "2:12: the name of a field follows the !"),
            ("@a query a", "2:11: a is no parameter; write a=value, or a=*"),
            (
                "@a remote_ip 10.0.0.0/33",
                "2:15: 10.0.0.0/33 is no address and no network; write 10.0.0.0/8, 2001:db8::/32 or private_ranges",
            ),
            ("@a remote_ip forwarded", "2:15: networks must follow the word forwarded"),
            ("@a protocol spdy", "2:14: spdy is no protocol; write http, https, grpc, http/1.1, http/2 or http/2+"),
            (
                "@a file {\n\t\ttry_policy best\n\t}",
                "3:14: there is no policy best (supported: first_exist, first_exist_fallback, largest_size, most_recently_modified, smallest_size)",
            ),
            ("@a not", "2:5: not needs a matcher; write not path /a, or a block of matchers"),
            (
                "@a expression true",
                "2:5: the matcher expression is not supported: it needs Google's CEL language; write handle_errors 404 for codes of errors, else combine matchers",
            ),
            ("@a path /{hots}", "2:10: there is no placeholder {hots}; did you mean {host}?"),
        ],
    )
    def test_say_what_is_wrong(self, line: str, message: str) -> None:
        assert mistake(in_site(line)) == message


class TestAddresses:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a.test\nb.test {\n}\n", "2:1: there is no directive b.test"),
            ("a.test a.test {\n}\n", "1:8: the address a.test stands here twice; remove one of them"),
            (
                "a.test {\n}\nA.test {\n}\n",
                "3:1: the address A.test belongs to the site at Caddyfile:1:1 already; join the sites or change one",
            ),
            (
                "a.test:443 {\n}\nhttps://a.test {\n}\n",
                "3:1: the address https://a.test belongs to the site at Caddyfile:1:1 already; join the sites or change one",
            ),
            (
                "{\nhttp_port 8080\n}\nhttp://a.test {\n}\na.test:8080 {\n}\n",
                "6:1: the address a.test:8080 belongs to the site at Caddyfile:4:1 already; join the sites or change one",
            ),
            (
                "a.test:http {\n}\n",
                "1:1: the address a.test:http has the port 'http', which is no number from 1 to 65535",
            ),
            ("a.test:0 {\n}\n", "1:1: the address a.test:0 has the port '0', which is no number from 1 to 65535"),
            (
                "ftp://a.test {\n}\n",
                "1:1: the scheme ftp is not served; an address begins with http:// or https://, or has none",
            ),
            (
                "http://a.test:443 {\n}\n",
                "1:1: http://a.test:443 says http on the port of https; remove the scheme or the port",
            ),
            (
                "https://a.test:80 {\n}\n",
                "1:1: https://a.test:80 says https on the port of http; remove the scheme or the port",
            ),
            ("::1:80 {\n}\n", "1:1: the address ::1:80 needs brackets around its IPv6 address, as [::1]:8080"),
            ("[::1 {\n}\n", "1:1: the address [::1 has a bracket that encloses no IPv6 address"),
            (
                "[::g]:80 {\n}\n",
                "1:1: the address [::g]:80 holds no IP address and no name; write it as example.com, :8080, http://example.com or unix//run/site.sock",
            ),
            (
                "300.1.1.1 {\n}\n",
                "1:1: the address 300.1.1.1 holds no IP address and no name; write it as example.com, :8080, http://example.com or unix//run/site.sock",
            ),
            ("unix/ {\n}\n", "1:1: the address unix/ names no socket file; write unix//run/site.sock"),
            ("@a {\n}\n", "1:1: @a is a matcher and no address; matchers stand inside the braces of a site"),
            (
                "a$b {\n}\n",
                "1:1: there is no directive and no address a$b; write it as example.com, :8080, http://example.com or unix//run/site.sock",
            ),
            (
                "php_server\n",
                "1:1: php_server stands where the address of a site belongs; it is a directive: put it in a site, below an address such as :80",
            ),
            (
                "frankenphp {\n}\n",
                "1:1: frankenphp stands where the address of a site belongs; it is a global option: put it in a block { } at the top",
            ),
        ],
    )
    def test_say_what_is_wrong(self, text: str, message: str) -> None:
        assert mistake(text).startswith(message)

    def test_the_same_name_on_other_interfaces_is_another_site(self) -> None:
        text = "a.test {\nbind 127.0.0.1\n}\na.test {\nbind ::1\n}\n"
        assert len(parse_config(text, "Caddyfile", {}).sites) == 2


class TestEnvironment:
    def test_a_missing_variable_is_named_where_something_is_missing(self) -> None:
        assert mistake(in_site("root * {$SERVER_ROOT}")) == (
            "2:7: * is a matcher, and nothing follows; write root [<matcher>] <path> (not set on this line: {$SERVER_ROOT})"
        )
        assert mistake(in_options("http_port {$PORT}")) == "2:2: http_port needs a port (not set on this line: {$PORT})"

    def test_a_site_without_its_address_is_no_block_of_global_options(self) -> None:
        assert mistake("{$SITE} {\n\trespond ok\n}\n") == (
            "1:9: a site needs an address, such as localhost or :8080 (not set on this line: {$SITE})"
        )
        parse_config("{ {$OPTIONS}\n\tdebug\n}\n{$NOTHING}\n:80 {\n}\n", "Caddyfile", {})

    def test_what_a_variable_brings_is_judged_where_its_placeholder_stands(self) -> None:
        text = in_site("respond ok", "{$CADDY_SERVER_EXTRA_DIRECTIVES}")
        message = mistake(text, CADDY_SERVER_EXTRA_DIRECTIVES="header A b\nmercure {\n\tx\n}")
        assert message.startswith("3:2: mercure is not supported: the Mercure hub is not available yet")

    def test_an_empty_variable_leaves_nothing_behind(self) -> None:
        text = in_site("{$EXTRA}", "respond ok")
        assert len(parse_config(text, "Caddyfile", {"EXTRA": ""}).sites[0].steps) == 1


class TestFixedTexts:
    @pytest.mark.parametrize(
        ("text", "position"),
        [
            (in_php("worker /srv/{host}.php"), "3:10"),
            (in_php("worker /a.php {", "\tenv A {host}", "}"), "4:10"),
            (in_frankenphp("php_ini a {host}"), "3:13"),
            (in_site("tls {host}.pem {host}.key"), "2:6"),
            (in_site("bind {host}"), "2:7"),
            (in_site("log {", "\toutput file {host}.log", "}"), "3:15"),
            (in_site("asgi a:b {", "\tpath /srv/{host}", "}"), "3:8"),
        ],
    )
    def test_what_is_needed_at_the_start_does_not_depend_on_requests(self, text: str, position: str) -> None:
        message = mistake(text)
        assert message.startswith(f"{position}: ")
        assert message.endswith("must not depend on the request; only {env.NAME} and {$NAME} can stand here")

    def test_a_variable_that_is_not_set_is_named(self) -> None:
        assert (
            mistake(in_site("tls {env.CERT} {env.KEY}"), CERT="a.pem")
            == "2:17: the environment variable KEY is not set"
        )


class TestDepth:
    def test_blocks_inside_each_other_have_an_end(self) -> None:
        text = in_site("route {\n" * 60 + "}\n" * 60)
        assert mistake(text) == "52:1: more than 50 blocks stand inside each other"

    def test_so_have_matchers(self) -> None:
        assert mistake(in_site(f"@a {'not ' * 1000} path /")).endswith("more than 50 matchers stand inside each other")
        assert mistake(in_site("@a " + "not {\n" * 100 + "path /\n" + "}\n" * 100)).endswith(
            "more than 50 matchers stand inside each other"
        )
