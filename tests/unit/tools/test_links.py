"""Links between the project's documents lead somewhere, and every page of the documentation can be found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "benchmarks/*.md")
    for path in PROJECT.glob(pattern)
)
INDEX = PROJECT / "docs" / "README.md"

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")


def text_of(document: Path) -> str:
    """Give a document without its blocks of code, in which a # is no heading and a bracket no link."""
    return _FENCE.sub("", document.read_text(encoding="utf-8"))


def links(document: Path) -> list[tuple[Path, str]]:
    """Give the files that a document links to, each with the heading in it, if one is named."""
    found = [target.partition("#") for target in _LINK.findall(text_of(document))]
    return [((document.parent / path).resolve() if path else document, anchor) for path, _, anchor in found]


def anchors(document: Path) -> set[str]:
    """Give the names by which the headings of a document are linked to."""
    headings = re.findall(r"^#+ (.*)$", text_of(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_relative_links_lead_to_files_and_headings(document: Path) -> None:
    assert [path for path, _ in links(document) if not path.exists()] == []
    named = [(path, anchor) for path, anchor in links(document) if anchor]
    assert [(path.name, anchor) for path, anchor in named if anchor not in anchors(path)] == []


def test_every_page_is_in_the_index() -> None:
    listed = {path for path, _ in links(INDEX)}
    assert [str(page) for page in PROJECT.glob("docs/**/*.md") if page != INDEX and page not in listed] == []


def test_every_example_is_in_its_index() -> None:
    listed = {path for path, _ in links(PROJECT / "examples" / "README.md")}
    assert [
        folder.name for folder in (PROJECT / "examples").iterdir() if folder.is_dir() and folder not in listed
    ] == []
