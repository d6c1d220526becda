"""Words that do not belong in the project's text: machine paths, package hosts, unfinished work."""

import re

from tests.tidy.project_files import project_files, read

# Written in pieces so that this file does not match itself.
MACHINE_PATH = r"(?<![\w.-])/(?:" + "|".join(["work", "root", "farm", "home/[a-z]+"]) + r")/"
PACKAGE_HOST = "|".join(
    part.replace(" ", r"\.")
    for part in ["pypi org", "files pythonhosted org", "registry npmjs org", "static crates io"]
)
UNFINISHED = r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b"
DESIGN_NOTES = r"shared/(?:" + "|".join(["design", "reference", "hooks"]) + r")\b"
ISSUE_NUMBER = r"\bissue #?\d+\b"

BANNED = {
    "a path of one machine": re.compile(MACHINE_PATH),
    "a package host": re.compile(PACKAGE_HOST),
    "unfinished work": re.compile(UNFINISHED),
    "a file outside the project": re.compile(DESIGN_NOTES),
    "a ticket a reader cannot open": re.compile(ISSUE_NUMBER, re.IGNORECASE),
}
BINARY = (".png", ".cff", ".cfg", ".dat", ".bin", ".gz", ".ico", ".woff2")


def banned_words(text: str) -> list[str]:
    """Line and kind of every banned word."""
    return [
        f"{number}: {kind}: {match.group()}"
        for number, line in enumerate(text.splitlines(), 1)
        for kind, pattern in BANNED.items()
        if (match := pattern.search(line))
    ]


def test_no_banned_words() -> None:
    # Cargo.lock cannot but name the index of its crates.
    files = [
        path
        for path in project_files()
        if not path.name.endswith(BINARY) and path.name not in {"Cargo.lock", "package-lock.json"}
    ]
    assert files
    assert [f"{path}:{line}" for path in files for line in banned_words(read(path))] == []


def test_locks_name_no_address() -> None:
    for path in project_files():
        if path.name in {"requirements.lock", "package-lock.json"}:
            assert "://" not in read(path), path


def test_banned_words_are_seen() -> None:
    text = "\n".join(
        [
            "see /" + "root/x",
            "https://" + "pypi" + ".org/simple",
            "# TO" + "DO: later",
            "../shared/" + "design/a.md",
            "Iss" + "ue 12",
            "fine: ../shared/data, framework/rooted",
        ]
    )
    assert [line.split(":")[0] for line in banned_words(text)] == ["1", "2", "3", "4", "5"]
