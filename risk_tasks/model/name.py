"""Names as they come from outside."""

from __future__ import annotations


def is_name(name: object) -> bool:
    """Whether `name` is a text, not empty, that a message can carry: no lone surrogate."""
    return isinstance(name, str) and bool(name) and is_utf8(name)


def is_utf8(text: str) -> bool:
    """Whether `text` can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
