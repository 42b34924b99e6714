from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_enhanced.logging.logfmt import parse_pairs, quote, unquote

usual = settings(max_examples=200, deadline=None, database=None)
texts = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from('\n\r\t"=\\ \x00\x1b\x7f\x85\xa0\u2028\u2029\udfff')
)
keys = st.from_regex(r"[a-z_][a-z0-9_.\-]{0,8}", fullmatch=True)


@usual
@given(texts)
def test_unquote_gives_back_what_quote_took(value: str) -> None:
    assert unquote(quote(value)) == value


@usual
@given(texts)
def test_a_quoted_value_stays_on_one_line_and_can_be_encoded(value: str) -> None:
    text = quote(value)
    assert text.splitlines() == [text]
    assert text.encode().decode() == text
    assert "Cc" not in map(unicodedata.category, text)


@usual
@given(texts.filter(lambda value: not value.startswith('"')))
def test_an_unquoted_value_holds_nothing_that_ends_it(value: str) -> None:
    text = quote(value)
    if not text.startswith('"'):
        assert text == value != ""
        assert len(text.split()) == 1
        assert "=" not in text


@usual
@given(st.dictionaries(keys, texts, max_size=5))
def test_pairs_read_back_as_they_were_written(pairs: dict[str, str]) -> None:
    line = " ".join(f"{key}={quote(value)}" for key, value in pairs.items())
    assert parse_pairs(line) == pairs


@usual
@given(st.text(st.characters() | st.sampled_from(' ="\\u0')))
def test_any_text_is_pairs_or_a_value_error(text: str) -> None:
    try:
        pairs = parse_pairs(text)
    except ValueError:
        return
    assert all(isinstance(value, str) for value in pairs.values())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("gpt-4.1", "gpt-4.1"),
        ("Qwen/Qwen3-32B", "Qwen/Qwen3-32B"),
        ("{a:[1,2]}", "{a:[1,2]}"),
        ("back\\slash", "back\\slash"),
        ("größe→τ²", "größe→τ²"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("back\\slash and space", r'"back\\slash and space"'),
        ("a\nb\tc\rd", r'"a\nb\tc\rd"'),
        ("\x00\x1b", r'"\u0000\u001b"'),
        ("\x7f\x85\xa0", r'"\u007f\u0085\u00a0"'),
        ("\x86\x9b", r'"\u0086\u009b"'),
        ("\u2028\u2029", r'"\u2028\u2029"'),
        ("\ud800", r'"\ud800"'),
        ("größe τ", '"größe τ"'),
    ],
)
def test_quoting(value: str, text: str) -> None:
    assert quote(value) == text
    assert unquote(text) == value


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a= b=2", {"a": "", "b": "2"}),
        ('a="x y=z" b=2', {"a": "x y=z", "b": "2"}),
        (r'a="\"" b="\\"', {"a": '"', "b": "\\"}),
        ("a=1  b=2 ", {"a": "1", "b": "2"}),
        ("a=1 a=2", {"a": "1"}),
    ],
)
def test_reading_pairs(text: str, pairs: dict[str, str]) -> None:
    assert parse_pairs(text) == pairs


@pytest.mark.parametrize(
    "text", ["a", "a=1 b", "=1", "a b=2", 'a="x', 'a="x"y', 'a="x"b=2', 'a=x"y"', '"a"=1', r'a="\q"']
)
def test_what_is_no_pair_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the message differs between regex and JSON
        parse_pairs(text)


@pytest.mark.parametrize("text", ['"', '"x', r'"\q"', '"a" b', '"a\nb"'])
def test_a_broken_quotation_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the message is JSON's
        unquote(text)
