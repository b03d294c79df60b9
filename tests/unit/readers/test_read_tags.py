"""Tags of instruments in TOML."""

from __future__ import annotations

import pytest

from risk_tasks.errors import InputFileError
from risk_tasks.readers import read_tags

BAD_TAGS = {
    "value a number": (
        "[A]\nsector = 5\n",
        "tags.toml, instrument A, tag sector",
        "non-empty text",
    ),
    "value empty": ("[A]\nsector = ''\n", "instrument A, tag sector", "non-empty text"),
    "tag empty": ("[A]\n'' = 'x'\n", "instrument A, tag ", "non-empty text"),
    "name with a dot": ("[BRK.B]\nsector = 'x'\n", "instrument BRK, tag B", "Quote"),
    "no table": ("A = 'technology'\n", "tags.toml, instrument A", "not a table"),
    "nothing": ("# none\n", "tags.toml", "no tags"),
    "not toml": ("[A\n", "tags.toml, line 1", "not TOML"),
}


def test_each_table_is_an_instrument(write):
    """In the order of the file."""
    text = '[AAPL]\nsector = "technology"\ncountry = "us"\n["BRK.B"]\nsector = "finance"\n'

    assert read_tags(write("tags.toml", text)) == {
        "AAPL": {"sector": "technology", "country": "us"},
        "BRK.B": {"sector": "finance"},
    }


@pytest.mark.parametrize(("content", "field", "message"), BAD_TAGS.values(), ids=BAD_TAGS.keys())
def test_an_invalid_file_of_tags_is_refused_at_its_place(write, content, field, message):
    """The error names file, instrument and tag."""
    with pytest.raises(InputFileError) as caught:
        read_tags(write("tags.toml", content))

    assert field in caught.value.field
    assert message in str(caught.value)
