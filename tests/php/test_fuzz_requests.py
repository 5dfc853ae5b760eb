"""Arbitrary paths, queries and headers against a running server."""

from __future__ import annotations

import json
import re
from urllib.parse import quote_from_bytes

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.php.harness.raw import get
from tests.php.harness.server import SCRIPTS, Server

_path = st.binary(max_size=40).filter(lambda raw: not {b".", b".."} & set(raw.split(b"/")))
_query = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"<>#'), max_size=40)
_value = st.binary(max_size=40).map(
    lambda raw: bytes(byte for byte in raw if byte == 9 or (byte >= 0x20 and byte != 0x7F)).strip(b" \t")
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=_path, query=_query, value=_value)
def test_any_path_query_and_header_is_described_exactly_or_refused(
    classic: Server, path: bytes, query: str, value: bytes
) -> None:
    text = value.decode("latin-1")
    target = "/server_hex.php/" + quote_from_bytes(path, safe="/") + "?" + query
    answer = get(classic.port, target, headers=(f"Fuzzed: {text}", f"Content-Type: {text}"))
    if b"\0" in path:
        assert answer.status == 400
        return
    assert answer.status == 200, answer
    seen = {name: bytes.fromhex(value) for name, value in json.loads(answer.body).items()}
    info = b"/" + path
    assert seen["PATH_INFO"] == info
    assert seen["PATH_TRANSLATED"] == str(SCRIPTS).encode() + re.sub(rb"/+", b"/", info)
    assert seen["HTTP_FUZZED"] == value
    assert seen["CONTENT_TYPE"] == value
    assert seen["QUERY_STRING"] == query.encode()
    assert seen["REQUEST_URI"] in {target.encode(), target.removesuffix("?").encode()}
