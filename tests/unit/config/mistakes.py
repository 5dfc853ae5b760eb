"""What the tests of mistakes in a configuration share: small Caddyfiles, and the sentence about what is wrong in them."""

from __future__ import annotations

import pytest

from howdah.config.adapt import parse_config
from howdah.errors import ConfigError


def mistake(text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "Caddyfile", environ)
    error = caught.value
    assert error.file == "Caddyfile"
    assert error.line
    assert error.column
    return f"{error.line}:{error.column}: {error.message}"


def in_site(*lines: str) -> str:
    return "\n".join([":80 {", *(f"\t{line}" for line in lines), "}", ""])


def in_options(*lines: str) -> str:
    return "\n".join(["{", *(f"\t{line}" for line in lines), "}", ""])


def in_php(*lines: str) -> str:
    return in_site("php_server {", *(f"\t{line}" for line in lines), "}")


def in_frankenphp(*lines: str) -> str:
    return in_options("frankenphp {", *(f"\t{line}" for line in lines), "}")
