"""Which directives and global options exist, what reads each, and what is said about those that do not exist."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from howdah.config.context import Context, SiteParts
from howdah.config.directives import (
    answers,
    files,
    flow,
    frankenphp,
    headers,
    log,
    options,
    paths,
    php,
    python_app,
    servers,
    site,
)
from howdah.config.dispenser import Dispenser
from howdah.config.http import Step
from howdah.errors import ConfigError

ParseSteps = Callable[[Dispenser, Context], list[Step]]
ParseSite = Callable[[Dispenser, Context, SiteParts], None]
ParseOption = Callable[[Dispenser, Context, options.Options], None]

# Directives that do something with a request.
HANDLERS: Mapping[str, ParseSteps] = MappingProxyType(
    {
        "abort": answers.parse_abort,
        "asgi": python_app.parse_asgi,
        "basic_auth": site.parse_basic_auth,
        "basicauth": site.parse_basic_auth,
        "encode": files.parse_encode,
        "error": answers.parse_error,
        "file_server": files.parse_file_server,
        "handle": flow.parse_handle,
        "handle_path": flow.parse_handle_path,
        "header": headers.parse_header,
        "method": paths.parse_method,
        "metrics": answers.parse_metrics,
        "php": php.parse_php,
        "php_server": php.parse_php_server,
        "redir": paths.parse_redir,
        "request_body": headers.parse_request_body,
        "request_header": headers.parse_request_header,
        "respond": answers.parse_respond,
        "rewrite": paths.parse_rewrite,
        "root": paths.parse_root,
        "route": flow.parse_route,
        "try_files": paths.parse_try_files,
        "uri": paths.parse_uri,
        "vars": paths.parse_vars,
        "wsgi": python_app.parse_wsgi,
        "x_sendfile": files.parse_x_sendfile,
    }
)

# Directives about a site as a whole, which stand in it directly.
SITE_DIRECTIVES: Mapping[str, ParseSite] = MappingProxyType(
    {
        "bind": site.parse_bind,
        "handle_errors": flow.parse_handle_errors,
        "log": log.parse_log,
        "tls": site.parse_tls,
    }
)

OPTIONS: Mapping[str, ParseOption] = MappingProxyType(
    {
        "acme_ca": options.parse_authority,
        "acme_ca_root": options.parse_authority,
        "acme_dns": options.parse_authority,
        "acme_eab": options.parse_authority,
        "admin": options.parse_admin,
        "auto_https": options.parse_auto_https,
        "cert_issuer": options.parse_authority,
        "debug": options.parse_debug,
        "default_bind": options.parse_default_bind,
        "email": options.parse_authority,
        "frankenphp": frankenphp.parse_frankenphp,
        "grace_period": options.parse_grace_period,
        "http_port": options.parse_http_port,
        "https_port": options.parse_https_port,
        "key_type": options.parse_authority,
        "local_certs": options.parse_local_certs,
        "log": log.parse_global_log,
        "metrics": options.parse_metrics,
        "ocsp_stapling": options.parse_authority,
        "on_demand_tls": options.parse_authority,
        "order": options.parse_order,
        "persist_config": options.parse_persist_config,
        "preferred_chains": options.parse_authority,
        "renew_interval": options.parse_authority,
        "servers": servers.parse_servers,
        "skip_install_trust": options.parse_skip_install_trust,
        "storage": options.parse_authority,
    }
)

# Caddy's and FrankenPHP's directives that Howdah does not have, with what to do instead.
_MISSING: Mapping[str, str] = MappingProxyType(
    {
        "acme_server": "certificates of authorities come later",
        "cache": "Howdah has no cache of responses",
        "copy_response": "it belongs to reverse_proxy, which Howdah does not have",
        "copy_response_headers": "it belongs to reverse_proxy, which Howdah does not have",
        "forward_auth": "it needs reverse_proxy, which Howdah does not have",
        "fs": "files come from the disk only",
        "intercept": "for X-Sendfile and X-Accel-Redirect use x_sendfile, for error pages handle_errors",
        "invoke": "named routes are not supported; make it a snippet and import that",
        "log_append": "",
        "log_name": "give `log` a list of hostnames",
        "log_skip": "give `log` a level or filter its output",
        "map": "use named matchers with vars",
        "mercure": "the Mercure hub is not available yet; run one beside Howdah",
        "php_fastcgi": "PHP runs in this process; use php_server",
        "push": "browsers have given it up",
        "rate_limit": "limit what waits by max_queue",
        "reverse_proxy": "mount a Python application with asgi or wsgi, or put a proxy before Howdah",
        "skip_log": "give `log` a level or filter its output",
        "templates": "",
        "tracing": "",
        "vulcain": "it is not available",
    }
)


def unknown_directive(line: Dispenser, supported: Iterable[str], what: str = "directive") -> ConfigError:
    """Make the error about a directive that does not exist, or not yet."""
    reason = _MISSING.get(line.name)
    if reason is None:
        return line.unknown(what, supported)
    cure = f": {reason}" if reason else ""
    names = ", ".join(sorted(supported))
    return line.error(f"{line.name} is not supported{cure} (supported: {names})")
