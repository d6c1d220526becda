"""Just enough reading of Rust source for the tidiness checks.

Owns two things: blanking comments and literals (so that braces and words in them do not count),
and finding the functions. It is no parser: macros that build functions are not seen.
"""

import re
from collections.abc import Iterator

_FUNCTION = re.compile(r"\bfn\s+([A-Za-z_][A-Za-z0-9_]*)")
_TOKEN = re.compile(
    r"""
      (?P<line>//[^\n]*)
    | (?P<block>/\*)
    | (?P<raw>\bb?c?r(?P<hashes>\#*)")
    | (?P<string>"(?:\\.|[^"\\])*")
    | (?P<char>'(?:\\(?:u\{[^}]*\}|x..|.)|[^'\\\n])')
    """,
    re.VERBOSE | re.DOTALL,
)


def _spaces(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _block_end(source: str, start: int) -> int:
    depth = 0
    for mark in re.finditer(r"/\*|\*/", source[start:]):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return start + mark.end()
    return len(source)


def code_only(source: str) -> str:
    """The source with every comment and literal blanked, line numbers unchanged."""
    parts: list[str] = []
    at = 0
    while match := _TOKEN.search(source, at):
        end = match.end()
        if match["block"] is not None:
            end = _block_end(source, match.start())
        elif match["raw"] is not None:
            closing = source.find('"' + match["hashes"], end)
            end = len(source) if closing < 0 else closing + 1 + len(match["hashes"])
        parts += [source[at : match.start()], _spaces(source[match.start() : end])]
        at = end
    return "".join(parts) + source[at:]


def functions(source: str) -> Iterator[tuple[str, int, int]]:
    """Name, first line and number of code lines (no blanks, no comments) of each function."""
    code = code_only(source)
    for match in _FUNCTION.finditer(code):
        opening = re.compile(r"[{;]").search(code, match.end())
        # In `fn f() -> [u8; 4] {` the semicolon is inside brackets.
        while opening and opening.group() == ";":
            before = code[match.end() : opening.start()]
            if before.count("[") == before.count("]"):
                break
            opening = re.compile(r"[{;]").search(code, opening.end())
        if opening is None or opening.group() == ";":
            continue
        depth = 0
        end = opening.start()
        for brace in re.finditer(r"[{}]", code[end:]):
            depth += 1 if brace.group() == "{" else -1
            if depth == 0:
                end += brace.end()
                break
        body = code[match.start() : end]
        first = code.count("\n", 0, match.start()) + 1
        yield match.group(1), first, sum(1 for line in body.splitlines() if line.strip())
