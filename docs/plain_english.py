"""Find words of a private dialect in documents, docstrings, comments, messages and test names.

`python -m docs.plain_english [PATH ...]` prints each finding with what to write instead, and exits
with 1 where there is one. Without a path it reads every tracked file of the project.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SUBJECT = "name the process, caller or function"

#: pattern (case is ignored) -> what to write instead
DIALECT = {
    r"(?<!there )\b(?:is|are|was|were|be) no (?!(?:more|less|op|such|[a-z]+er)\b)[a-z]+": "not a",
    r"(?<!there )\b(?:is|are|was|were|has|had|with) (?-i:none)\b": "name what is missing",
    r"\b(?:nobody|somebody|anybody|whoever|whomever|whosoever)\b": _SUBJECT,
    r"\bwhom\b": _SUBJECT,
    r"(?:^|[.:;] )[Ww]ho (?!\S+ .*\?)": "name the subject: 'A client that ...'",
    r"\b(?:told|tells? (?:of|the)|is to be told)\b": "report, return, send or log",
    r"\b(?:befalls?|befell|befallen|plight|hereby|thereof|whereupon)\b": "a plain verb",
    r"\b(?:in|of|without|keeps?) company\b": "shared request, other callers",
    r"\bhad better\b": "should",
    r"\blets? go of\b": "releases",
    r"\b(?:sees|saw|see) to\b": "handles, ensures",
    r"\b(?:looks?|looked|looking) after\b": "watches, maintains",
    r"\b(?:lay|laid|lays) aside\b": "buffer",
    r"\bhand(?:s|ed|ing)? on\b": "dispatch, forward",
    r"\b(?:gives?|gave|given|giving) up (?:on )?": "abandon, time out, stop retrying",
    r"\bput(?:s|ting)? back\b": "requeue",
    r"\bunderway\b|\bunder way\b": "in progress",
    r"\bone after (?:the other|another)\b": "sequentially",
    r"\bby (?:itself|themselves)\b": "individually, automatically",
    r"\bso many\b": "name the number",
    r"\b(?:which|what) see\b": "a link",
    r"\bas (?:is|are|was|were) told\b": "cut it",
    r"\bwithin its own\b": "cut it",
    r"\b(?:is|are|was|were) to (?:have|be) (?!able|used|set|called|read)": "must, or a plain verb",
    r"\bno(?:where)? (?:other|one) (?:has|knows|asks|waits)\b": "name the subject",
    r"\b(?:a|an|the) (?:text|number|thing) that is none\b": "invalid ...",
    r"\bnot (?:yet )?begun\b|\bnobody began\b": "not started",
    r"\bwhile (?:it|they) (?:has|have) (?:anything|something) to\b": "while busy",
    r"\ball there is\b": "all of the ...",
    r"\bin place of\b": "instead of",
    r"\bthereby\b|\btherein\b|\bthereto\b": "a plain clause",
    r"\bis (?:a matter|the business) of\b": "a plain verb",
    r"\b(?:stands?|stood) (?:in|on|at|beside|among|above|under|before|behind|where|below|here)\b": (
        "is"
    ),
    r"\bspeaks?\b|\bspoken\b": "supports, describes",
    r"\b(?:is|are|was|were) said\b": "name the subject: 'the report states'",
    r"\bwhatever\b": "any, each",
    r"\b(?:is|are|was|were|be) held against\b": "compared with",
    r"\bhold(?:s|ing)? \w+ against\b": "compares ... with",
    r"\bwhat (?:is|was|are|were) asked\b": "the request",
    r"\b(?:is|are|was|were) asked (?:for|of|by|whether)\b": "requested, read, called",
    r"\bas (?:it|they) comes?\b": "in order of arrival, unchanged",
    r"\banew\b": "again",
    r"\bfor ever\b": "without end, until removed",
    r"\blone (?!surrogate)": "single",
    r"\bas ever\b": "cut it",
    r"\bmend(?:s|ed|ing)?\b": "fix",
    r"\bbesides\b": "also, in addition",
    r"\b(?:of|than) (?:ours|theirs)\b": "name it",
    r"\b(?:goes|go|went|going) on (?!the\b|a\b|an\b)": "continues",
    r"\bknows? of (?:no|it|them|nothing)\b": "a plain verb",
    r"\b(?:cannot|could not|can) (?:be )?tell\b": "a plain verb: 'is unknown'",
    r"\b(?:no|any|every)(?:body|one) (?:asks?|waits?|holds?|knows?|serves?|reads?)\b": _SUBJECT,
    r"\bhad (?:rather|as well)\b": "should",
    r"\bmeant for\b.*\bnot meant\b": "a plain clause",
}
_PATTERNS = {re.compile(pattern, re.IGNORECASE): advice for pattern, advice in DIALECT.items()}

_SUFFIXES = (
    ".md",
    ".py",
    ".json",
    ".lua",
    ".toml",
    ".yml",
    ".yaml",
    ".conf",
    ".sh",
    "Makefile",
    "Dockerfile",
)
#: this list, data that others wrote, and locks
_SKIPPED = re.compile(
    r"plain_english\.py$|\.lock$|^tests/vectors/|^risk_tasks/sample/LICENSE|requirements\.(in|txt)$"
)
_CODE = re.compile(r"`[^`]*`")
#: what people read in a dashboard, an alert or a contract
_LABELLED = re.compile(r'^\s*"?(?:title|description|summary)"?: "(.+)",?$')


@dataclass(frozen=True, slots=True)
class Finding:
    """A phrase, where it stands, and what to write instead."""

    path: str
    line: int
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text!r}: {self.advice}"


def findings(path: str, source: str) -> Iterator[Finding]:
    """Yield what is found in the prose of one file."""
    for line, text in _prose(path, source):
        plain = _CODE.sub("`code`", text)
        for pattern, advice in _PATTERNS.items():
            for match in pattern.finditer(plain):
                around = plain[max(0, match.start() - 30) : match.end() + 30]
                yield Finding(path, line, " ".join(around.split()), advice)


def _prose(path: str, source: str) -> Iterator[tuple[int, str]]:
    if path.endswith(".md"):
        yield from _markdown(source)
    elif path.endswith(".py"):
        yield from _python(source)
    else:
        mark = "--" if path.endswith(".lua") else "#"
        for line, text in enumerate(source.splitlines(), start=1):
            if labelled := _LABELLED.match(text):
                yield line, labelled[1]
            elif mark in text:
                yield line, text.split(mark, 1)[1]


def _markdown(source: str) -> Iterator[tuple[int, str]]:
    """Yield paragraphs, so that a phrase that is wrapped is found; code blocks are left out."""
    start, lines, fenced = 1, [], False
    for number, line in enumerate([*source.splitlines(), ""], start=1):
        is_fence = line.lstrip().startswith("```")
        fenced ^= is_fence
        if is_fence or fenced or not line.strip():
            if lines:
                yield start, " ".join(lines)
            lines = []
            continue
        if not lines:
            start = number
        lines.append(line)


def _python(source: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.count(" ") > 1
        ):
            yield node.lineno, " ".join(node.value.split())
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test_"
        ):
            yield node.lineno, node.name.replace("_", " ")
    run: list[str] = []
    start = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if run and token.start[0] != last + 1:
            yield start, " ".join(run)
            run = []
        if not run:
            start = token.start[0]
        run.append(token.string.lstrip("#: "))
        last = token.start[0]
    if run:
        yield start, " ".join(run)


def tracked(paths: list[str]) -> list[str]:
    """Return the tracked files under `paths` that hold prose."""
    command = ["git", "ls-files", "--", *paths]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()  # noqa: S603
    return [path for path in listed if path.endswith(_SUFFIXES) and not _SKIPPED.search(path)]


def main(paths: list[str]) -> int:
    found = [
        finding
        for path in tracked(paths)
        for finding in findings(path, Path(path).read_text(encoding="utf-8"))
    ]
    for finding in found:
        print(finding)  # noqa: T201 - a command
    print(f"{len(found)} findings")  # noqa: T201 - a command
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
