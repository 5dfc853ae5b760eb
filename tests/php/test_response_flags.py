from __future__ import annotations

from howdah import _native
from howdah.web import response


def test_the_asgi_side_knows_the_extensions_flags() -> None:
    for name in ("HEADERS", "INTERIM", "MORE", "DONE"):
        assert getattr(response, name) == getattr(_native, name)
    assert response._ABORTED == _native.ABORTED
