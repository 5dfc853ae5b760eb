#!/usr/bin/env python3
"""Record in which order Caddy runs the directives of the files in tests/config/golden/order, as NAME.json beside each.

The order is written as a tree: for each directive its name, the paths that it is for, what tells it from others of its
name, and what stands inside. The tests make the same tree from Howdah's model. Needs Debian's caddy.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ORDERED = Path(__file__).resolve().parent.parent / "tests/config/golden/order"
Tree = list[Any]


def caddy_order(text: str) -> Tree | None:
    """Ask Caddy for the order of a Caddyfile with one site that has no host name; None if it refuses the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Caddyfile"
        path.write_text(text)
        done = subprocess.run(
            ["caddy", "adapt", "--config", str(path), "--adapter", "caddyfile"],
            env={"HOME": folder, "PATH": "/usr/bin:/usr/local/bin"},
            capture_output=True,
            check=False,
        )
    if done.returncode:
        return None
    servers = json.loads(done.stdout)["apps"]["http"]["servers"]
    (server,) = servers.values()
    return plain(list(_walk(server.get("routes", []))))


def _walk(routes: list[dict[str, Any]]) -> Iterator[Tree]:
    for route in routes:
        match = route.get("match", [{}])
        paths = sorted(path for one in match for path in one.get("path", []))
        is_tried = any("file" in one for one in match) and _is_rewrite_to_file(route)
        for handler in route.get("handle", []):
            if handler["handler"] == "subroute":
                inner = list(_walk(handler["routes"]))
                # handle_path begins with a directive of its own.
                is_path = bool(paths and inner) and inner[0][0] == "uri prefix" and paths[0].startswith(inner[0][2])
                yield ["routes", paths, "", inner[1:] if is_path else inner]
            else:
                name, detail = ("try_files", "") if is_tried else _name(handler)
                yield [name, paths, detail, []]


def _is_rewrite_to_file(route: dict[str, Any]) -> bool:
    return [handler.get("uri") for handler in route["handle"]] == ["{http.matchers.file.relative}"]


def _name(handler: dict[str, Any]) -> tuple[str, str]:
    kind: str = handler["handler"]
    if kind == "vars":
        return (
            ("root", handler["root"]) if "root" in handler else ("vars", " ".join(sorted(set(handler) - {"handler"})))
        )
    if kind == "headers":
        name = "header" if "response" in handler else "request_header"
        changes = handler.get("response") or handler["request"]
        fields = {
            *changes.get("set", {}),
            *changes.get("add", {}),
            *changes.get("delete", []),
            *changes.get("replace", {}),
        }
        # Caddy 2.6 does not know the > of later versions.
        return name, " ".join(sorted(field.lower().removeprefix(">") for field in fields))
    if kind == "static_response":
        return _name_answer(handler)
    if kind == "rewrite":
        if "strip_path_prefix" in handler:
            return "uri prefix", handler["strip_path_prefix"]
        if "method" in handler:
            return "method", handler["method"].upper()
        return ("rewrite", handler["uri"]) if "uri" in handler else ("uri", "")
    return {"authentication": "basic_auth"}.get(kind, kind), str(handler.get("error", ""))


def _name_answer(handler: dict[str, Any]) -> tuple[str, str]:
    if handler.get("abort"):
        return "abort", ""
    body = handler.get("body", "")
    page = re.search(r'window\.location\.replace\("(.*)"\)', body)
    location = [page[1]] if page else handler.get("headers", {}).get("Location")
    return ("redir", location[0]) if location else ("respond", body)


def plain(tree: Tree) -> Tree:
    """Make placeholders all alike, because Caddy writes their long names."""
    return json.loads(re.sub(r"\{[\w.]+\}", "{}", json.dumps(tree)))  # type: ignore[no-any-return]


def main() -> int:
    """Write the answers of all files; gives the exit code."""
    for path in sorted(ORDERED.glob("*.caddyfile")):
        order = caddy_order(path.read_text())
        if order is None:
            print(f"{path.name}: caddy refuses it")
            return 1
        rows = ",\n".join(json.dumps(one) for one in order)
        path.with_suffix(".json").write_text(f"[\n{rows}\n]\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
