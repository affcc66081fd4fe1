"""Report phrases that are not plain English in prose, docstrings, messages and comments: python tools/check_prose.py

The phrases, and what to write instead, are in tools/banned_phrases.txt.
"""

from pathlib import Path
import re
import subprocess
import sys
import tokenize

ROOT = Path(__file__).parents[1]
PHRASES = Path(__file__).with_name("banned_phrases.txt")
KINDS = (".md", ".py", ".html", ".cfg", ".ini")
UNCHECKED = (  # Chinese; the text of a license; the phrases themselves
    "README.zh-CN.md",
    "gluon_classics/data/sample/README.md",
    "tests/packaging/test_prose.py",
)


def phrases() -> list:
    """Return pairs of a pattern and what to write instead."""
    lines = PHRASES.read_text(encoding="utf-8").splitlines()
    rows = [re.split(r" {2,}", line, maxsplit=1) for line in lines if line and not line.startswith("#")]
    # a line break may divide a phrase
    return [(re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE), instead) for pattern, instead in rows]


def prose(path: Path):
    """Yield the line numbers of a file and the prose that starts there."""
    if path.suffix == ".py":
        with tokenize.open(path) as file:
            for token in tokenize.generate_tokens(file.readline):
                if token.type in (tokenize.COMMENT, tokenize.STRING) or token.type in F_STRING_PARTS:
                    yield token.start[0], token.string
        return
    text = path.read_text(encoding="utf-8")
    without_code = re.sub(r"^```.*?^```|`[^`\n]*`", lambda code: "\n" * code[0].count("\n"), text, flags=re.M | re.S)
    yield 1, without_code


F_STRING_PARTS = {getattr(tokenize, "FSTRING_MIDDLE", -1)}  # Python 3.12 tokenizes the parts of f-strings


def found(path: Path) -> list:
    """Return a message for each phrase in a file."""
    return [
        f"{path.relative_to(ROOT)}:{start + text[: match.start()].count(chr(10))}: "
        f"{' '.join(match[0].split())!r}: write {instead}"
        for start, text in prose(path)
        for pattern, instead in phrases()
        for match in pattern.finditer(text)
    ]


def main():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    paths = [ROOT / name for name in listed if name.endswith(KINDS) and name not in UNCHECKED]
    messages = [message for path in paths for message in found(path)]
    print(*messages, sep="\n")
    sys.exit(1 if messages else 0)


if __name__ == "__main__":
    main()
