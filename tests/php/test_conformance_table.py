"""Every test and every heading that the conformance table names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.php.harness.server import REPOSITORY

TABLE = (REPOSITORY / "docs" / "conformance.md").read_text()
DIFFERENCES = (REPOSITORY / "docs" / "reference-differences.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE)))


def _functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_named_in_the_table_exists(path: str, name: str) -> None:
    file = REPOSITORY / path
    assert file.is_file()
    assert name in _functions(file)


def test_the_table_names_tests_at_all() -> None:
    assert len(NAMED) > 50


def test_every_row_names_a_test_or_a_difference() -> None:
    rows = [line for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith("| Reference test")]
    for row in rows:
        if row.startswith("| What "):
            continue
        assert "::" in row or "reference-differences.md#" in row or "make bench" in row, row


@pytest.mark.parametrize("anchor", sorted(set(re.findall(r"reference-differences\.md#([\w-]+)", TABLE))))
def test_a_difference_linked_in_the_table_has_its_heading(anchor: str) -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
        for line in DIFFERENCES.splitlines()
        if line.startswith("#")
    }
    assert anchor in headings
