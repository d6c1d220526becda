"""Links between the documents lead somewhere: to a file that exists and a heading in it."""

import re
from pathlib import Path

from tests.tidy.project_files import ROOT, files_with, read

LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors that the headings of a Markdown text get."""
    found: set[str] = set()
    for title in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"[`*_]|\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (slug if number == 0 else f"{slug}-{number}") in found:
            number += 1
        found.add(slug if number == 0 else f"{slug}-{number}")
    return found


def broken_links(path: Path, text: str) -> list[str]:
    """Relative links of one document that lead nowhere."""
    broken = []
    for target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / path.parent / name) if name else ROOT / path
        if not file.exists():
            broken.append(f"{path}: {target}: no such file")
        elif not file.resolve().is_relative_to(ROOT):
            broken.append(f"{path}: {target}: outside the project")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
            broken.append(f"{path}: {target}: no such heading")
    return broken


def test_links_between_documents_resolve() -> None:
    files = files_with(".md")
    assert files
    assert [line for path in files for line in broken_links(path, read(path))] == []


def test_broken_links_are_seen() -> None:
    text = (
        "# A head, `x`!\n[a](README.md) [b](missing.md) [c](#a-head-x) [d](#nowhere)"
        "\n[e](https://example.org/x) [f](../outside.md)\n```\n[g](in-code.md)\n```\n"
    )
    assert anchors(text) == {"a-head-x"}
    here = Path("README.md")
    found = [line.split(": ")[1] for line in broken_links(here, text)]
    assert "missing.md" in found
    assert "../outside.md" in found
    assert "in-code.md" not in found
    assert "README.md" not in found
