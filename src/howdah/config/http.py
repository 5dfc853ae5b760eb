"""The HTTP side of the configuration: sites, their matchers and what is done with a request.

Frozen dataclasses as in `howdah.config.model`, which holds PHP's side. One dataclass per directive; the
parser makes them, ``web`` and ``serve`` build the application from them. Text that may hold placeholders
such as ``{path}`` is kept as written and has the type `Template`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from howdah.config.model import NOWHERE, Position, RuntimeConfig, SiteConfig

Template = str
Algorithm = Literal["zstd", "br", "gzip"]


# -- matchers ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PathMatch:
    """Any of the patterns, without case; ``*`` at an end or inside as Caddy's ``path`` matcher has it."""

    patterns: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class RegexpMatch:
    """A regular expression on the path, or on header ``header``; groups become ``{re.<name>.<group>}``."""

    pattern: str
    name: str = ""
    header: str = ""


@dataclass(frozen=True, slots=True)
class HostMatch:
    """Any of the names; ``*`` stands for one label."""

    names: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class MethodMatch:
    """Any of the methods, upper case."""

    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """A header field with any of the values (``*`` at an end is a wildcard); no value: it is present.

    ``absent`` is the form ``header !Name``.
    """

    name: str
    values: tuple[Template, ...] = ()
    absent: bool = False


@dataclass(frozen=True, slots=True)
class QueryMatch:
    """A query parameter with any of the values; ``*`` is any value. No name at all: the query is empty."""

    name: str
    values: tuple[Template, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteIpMatch:
    """The peer's address (or with ``client_ip`` the client's behind trusted proxies) is in one of the networks."""

    networks: tuple[str, ...]
    client_ip: bool = False


@dataclass(frozen=True, slots=True)
class ProtocolMatch:
    """``http``, ``https``, ``grpc`` or ``http/2`` and the like."""

    protocol: str


@dataclass(frozen=True, slots=True)
class FileMatch:
    """One of ``files`` exists below ``root``; sets ``{file.relative}``, ``{file.absolute}``, ``{file.type}``."""

    files: tuple[Template, ...]
    root: Template | None = None
    policy: Literal[
        "first_exist", "first_exist_fallback", "smallest_size", "largest_size", "most_recently_modified"
    ] = "first_exist"
    split: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotMatch:
    """None of the sets matches."""

    sets: tuple[Matcher, ...]


Condition = (
    PathMatch
    | RegexpMatch
    | HostMatch
    | MethodMatch
    | HeaderMatch
    | QueryMatch
    | RemoteIpMatch
    | ProtocolMatch
    | FileMatch
    | NotMatch
)


@dataclass(frozen=True, slots=True)
class Matcher:
    """All conditions hold."""

    conditions: tuple[Condition, ...]


# -- what is done with a request --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Root:
    """``root [matcher] <path>``: sets ``{http.vars.root}`` for what follows."""

    path: Template


@dataclass(frozen=True, slots=True)
class Vars:
    """``vars [matcher] <name> <value>``: sets ``{http.vars.<name>}``."""

    values: Mapping[str, Template]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """``rewrite <to>`` and ``method``; the other fields are those of ``uri``."""

    to: Template = ""
    method: str = ""
    strip_prefix: str = ""
    strip_suffix: str = ""
    replace: tuple[tuple[str, str], ...] = ()
    path_regexp: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TryFiles:
    """``try_files <files...>``: rewrites to the first that exists; the last may be ``=404`` or a fallback."""

    files: tuple[Template, ...]
    policy: str = "first_exist"


@dataclass(frozen=True, slots=True)
class Redir:
    """``redir <to> [code]``; ``html`` answers with a page that redirects."""

    to: Template
    status: Template = "302"
    html: bool = False


@dataclass(frozen=True, slots=True)
class Respond:
    """``respond [body] [status]``; ``close`` ends the connection."""

    body: Template = ""
    status: Template = "200"
    close: bool = False


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """``error [message] [status]``: goes to ``handle_errors``."""

    message: Template = ""
    status: Template = "500"


@dataclass(frozen=True, slots=True)
class Abort:
    """``abort``: cuts the connection without an answer."""


@dataclass(frozen=True, slots=True)
class HeaderOperation:
    """One change of a header field.

    ``replace`` uses the regular expression ``search``, whose groups are ``$1`` and ``${name}`` in the value; the name
    of ``delete`` may begin or end with ``*``.
    """

    kind: Literal["add", "set", "delete", "default", "replace"]
    name: str
    value: Template = ""
    search: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """``header``: changes of the response's head; ``deferred`` ones after the handler has answered."""

    operations: tuple[HeaderOperation, ...]
    deferred: bool = False


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """``request_header``: changes of the request's head."""

    operations: tuple[HeaderOperation, ...]


@dataclass(frozen=True, slots=True)
class Encode:
    """``encode``: algorithms by preference; ``minimum_bytes`` is the smallest body worth it."""

    algorithms: tuple[Algorithm, ...] = ("zstd", "br", "gzip")
    minimum_bytes: int = 512
    types: tuple[str, ...] = ()
    levels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """``basic_auth``: user -> bcrypt or argon2id hash as ``caddy hash-password`` prints it."""

    accounts: tuple[tuple[str, str], ...]
    realm: str = "restricted"


@dataclass(frozen=True, slots=True)
class RequestBody:
    """``request_body``: a bound on the body; None leaves the site's."""

    max_size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Php:
    """``php`` and ``php_server``.

    ``root`` and ``env`` are what holds placeholders, to be filled in for each request; what holds none is in
    ``site.root`` and ``site.env``. Both roots empty: the site's ``root``. ``hide`` names files that are not
    served as files (the configuration itself).

    ``php_server`` adds ``try_files``, the folder redirect and, unless ``file_server`` is off, files; ``php``
    runs every request it gets as the script that its path names.
    """

    site: SiteConfig
    is_server: bool = True
    file_server: bool = True
    name: str = ""
    root: Template = ""
    resolve_root_symlink: bool = True
    env: tuple[tuple[str, Template], ...] = ()
    hide: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileServer:
    """``file_server``: files below ``root`` (None: the site's)."""

    root: Template | None = None
    hide: tuple[Template, ...] = ()
    index: tuple[Template, ...] = ("index.html", "index.txt")
    precompressed: tuple[Algorithm, ...] = ()
    status: Template = ""
    pass_through: bool = False
    canonical_uris: bool = True
    browse: bool = False


@dataclass(frozen=True, slots=True)
class PythonApp:
    """``asgi module:app`` or ``wsgi module:app``; ``path`` is put before ``sys.path``, ``mount`` is the root path."""

    kind: Literal["asgi", "wsgi"]
    target: str
    path: str = ""
    mount: str = ""
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class XSendfile:
    """``x_sendfile [root]``: PHP's X-Sendfile or X-Accel-Redirect is answered with that file below ``root``."""

    root: Template | None = None


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """``metrics``: Prometheus text."""


@dataclass(frozen=True, slots=True)
class Routes:
    """``route``, ``handle`` and ``handle_path``: steps of their own.

    Of the ``exclusive`` blocks (``handle``, ``handle_path``) beside each other only the first that matches is
    taken. ``strip_prefix`` is taken off the path first.
    """

    steps: tuple[Step, ...]
    exclusive: bool = False
    strip_prefix: str = ""


Action = (
    Root
    | Vars
    | Rewrite
    | TryFiles
    | Redir
    | Respond
    | ErrorResponse
    | Abort
    | Header
    | RequestHeader
    | Encode
    | BasicAuth
    | RequestBody
    | Php
    | FileServer
    | PythonApp
    | XSendfile
    | MetricsPage
    | Routes
)


@dataclass(frozen=True, slots=True)
class Step:
    """One directive in the order in which it acts: if the matcher holds (None: always) the action is done.

    An action that answers ends the chain; the others go on with the next step, and those that change the
    answer (``header``, ``encode``) wrap what follows. Of the steps of one list that have the same ``group``
    only the first that matches is done (several ``root``, ``rewrite`` or ``handle`` beside each other).
    """

    action: Action
    matcher: Matcher | None = None
    position: Position = NOWHERE
    group: str = ""


@dataclass(frozen=True, slots=True)
class ErrorRoutes:
    """``handle_errors [codes...]``: steps for errors of these codes (``404``, ``4xx``); none: all."""

    steps: tuple[Step, ...]
    codes: tuple[str, ...] = ()


# -- sites and the process --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SiteAddress:
    """An address of a site block.

    Empty scheme: https unless the port or the name says otherwise; port 0: the scheme's.
    """

    scheme: Literal["", "http", "https"] = ""
    host: str = ""
    port: int = 0
    unix: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Tls:
    """``tls``: certificate and key files (pairs), or ``internal`` from the local authority."""

    files: tuple[tuple[str, str], ...] = ()
    internal: bool = False
    protocols: tuple[str, ...] = ()
    client_ca: str = ""


@dataclass(frozen=True, slots=True)
class LogField:
    """``format filter``: what happens to a field of an access log record (``request>uri`` is a path)."""

    path: str
    kind: Literal["delete", "replace", "rename", "ip_mask", "query", "cookie", "regexp", "hash"]
    arguments: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Log:
    """``log``: an access log of a site, or a log of the server in the global options.

    ``output`` is ``stderr``, ``stdout``, ``discard`` or a file; rotation applies to files.
    """

    name: str = "default"
    output: str = "stderr"
    format: Literal["json", "console"] = "console"
    level: Literal["DEBUG", "INFO", "WARN", "ERROR"] = "INFO"
    fields: tuple[LogField, ...] = ()
    roll_size_bytes: int = 100 * 1024 * 1024
    roll_keep: int = 10
    roll_keep_s: float = 0.0
    roll: bool = True
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hostnames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpSite:
    """A site block: its addresses and its steps, already in the order of directives."""

    addresses: tuple[SiteAddress, ...]
    steps: tuple[Step, ...] = ()
    errors: tuple[ErrorRoutes, ...] = ()
    bind: tuple[str, ...] = ()
    tls: Tls | None = None
    logs: tuple[Log, ...] = ()
    position: Position = NOWHERE


@dataclass(frozen=True, slots=True)
class HttpServers:
    """Options of all listeners: ports, limits, protocols, proxies (global options and ``servers``).

    Args:
        auto_https: ``on``; ``disable_redirects``: nothing listens on the HTTP port; ``off``: no TLS by itself.
        trusted_proxies: networks whose ``X-Forwarded-*`` headers decide about REMOTE_ADDR, HTTPS and SERVER_PORT.
        client_ip_headers: where the client's address is looked for, in this order.
        metrics: per-request metrics are collected.
    """

    http_port: int = 80
    https_port: int = 443
    auto_https: Literal["on", "disable_redirects", "off"] = "on"
    default_bind: tuple[str, ...] = ()
    protocols: tuple[Literal["h1", "h2", "h2c"], ...] = ("h1", "h2")
    read_header_timeout_s: float = 30.0
    idle_timeout_s: float = 300.0
    max_header_size_bytes: int = 64 * 1024
    trusted_proxies: tuple[str, ...] = ()
    client_ip_headers: tuple[str, ...] = ("X-Forwarded-For",)
    metrics: bool = False
    local_certs: bool = False
    skip_install_trust: bool = False


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin API: ``off``, an address, the origins that browsers may come from, and a token for public addresses."""

    enabled: bool = True
    listen: str = "localhost:2019"
    origins: tuple[str, ...] = ()
    enforce_origin: bool = False
    token: str = ""


@dataclass(frozen=True, slots=True)
class ServerModel:
    """Everything that a configuration file says. ``watch`` of workers is in ``runtime.workers`` and the sites'."""

    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    sites: tuple[HttpSite, ...] = ()
    servers: HttpServers = field(default_factory=HttpServers)
    admin: Admin = field(default_factory=Admin)
    logs: tuple[Log, ...] = ()
    warnings: tuple[str, ...] = ()
