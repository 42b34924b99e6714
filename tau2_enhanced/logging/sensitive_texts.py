"""Sensitive data in a text, by its form and by the words before it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tau2_enhanced.logging.credentials import credentials
from tau2_enhanced.logging.sensitive_keys import DATE, Kind, kind_of_key, looks_like


class Span(NamedTuple):
    """A part of a text, and what it is."""

    start: int
    end: int
    kind: Kind


# every part that repeats at each place of a text is bounded: without, a long text takes hours
_EMAIL = re.compile(r"[A-Za-z0-9][\w.+-]{0,63}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
_CARD = re.compile(r"(?<![\w#.+-])\d(?:[ -]?\d){12,18}(?![\w-])")
_CARD_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|64[4-9]\d|65\d\d|62\d\d)\d{12,15}"  # Discover, UnionPay
    r"|3(?:0[0-5]|[68]\d)\d{11}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
)
_PHONE = re.compile(
    r"(?<![\w#.+*/-])(?:"
    r"\+\d(?:[ .()-]{0,2}\d){7,14}"  # E.164, with or without separators
    r"|(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[.-]\d{4}"  # North America
    r"|\d{3} \d{3} \d{4}"
    r")(?![\w-]|\.\d)"
)
_SSN = re.compile(r"(?<![\w#.+-])(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])")
_STREET = re.compile(
    r"(?<![\w#.,-])\d{1,5}[A-Za-z]? (?:(?!One |[KMGT]B |[AP]M )[A-Z][\w'.]* |\d+(?:st|nd|rd|th) ){1,4}"
    r"(?<!Flash )(?<!Hard )(?<!State )"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Place|Pl|Terrace|Way|Parkway|Pkwy"
    r"|Circle|Square|Highway|Hwy|Trail)\b\.?(?:,? (?:Apt|Apartment|Suite|Ste|Unit|#)\.? ?\w+)?"
)
_BORN = re.compile(
    rf"\b(?:born|birthday|birth ?date|date of birth|dob),? {{0,2}}(?P<date>{DATE.pattern})(?!\w)", re.IGNORECASE
)
"""A date right after the word; `born on` and `dob:` are `_NAMED`'s."""
_TELLING = (
    *("dob", "birth", "born", "ssn", "social sec", "social_sec", "passport", "national", "tax", "licen", "aadhaar"),
    *("passw", "passcode", "passphrase", "pwd", "secret", "token", "key", "credential", "auth", "pin", "otp", "cookie"),
    *("phone", "mobile", "tel", "fax", "cell", "contact", "card", "cvv", "cvc", "mail"),
    *("address", "street", "zip", "postcode", "postal"),
)
"""Without any of these words, a text names nothing sensitive."""
_NAMED = re.compile(
    r"(?<!\w)(?<!\w-)(?P<key>[A-Za-z][\w-]{0,63}(?: [A-Za-z][\w-]{0,63}){0,2}?)"
    r"[\"'\\]{0,2}\s?(?P<sign>[:=]|\bis\b|\bon\b)\s{0,2}"
    r"(?:\\?\"(?P<double>[^\"\\]*)|'(?P<single>[^']*)|(?P<bare>[^\s\"'{}\[\](),;]{1,256}(?:,?[ -]\d[\d-]{0,31}){0,15}))"
)
"""`key: value`, `key=value`, `"key": "value"`, `the key is value`; a quoted value may be cut off."""

_BARE_REST = re.compile(r"[^\s\"'{}\[\](),;]*")


def spans_in(text: str) -> list[Span]:
    """All sensitive parts of a text in their order, none inside another."""
    found = sorted(_all(text), key=lambda span: (span.start, -span.end))
    kept: list[Span] = []
    for span in found:
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def _all(text: str) -> Iterator[Span]:
    if len(text) < 4:
        return
    for start, end in credentials(text):
        yield Span(start, end, "credential")
    if "@" in text:
        yield from _by(_EMAIL, text, "email")
    lowered = text.lower()
    if any(word in lowered for word in _TELLING):
        yield from _named(text)
        for born in _BORN.finditer(text):
            yield Span(*born.span("date"), "birth_date")
    if any(character.isdigit() for character in text):
        yield from _cards(text)
        yield from _by(_SSN, text, "national_id")
        yield from _by(_PHONE, text, "phone")
        yield from _by(_STREET, text, "address")


def _by(pattern: re.Pattern[str], text: str, kind: Kind) -> Iterator[Span]:
    for found in pattern.finditer(text):
        yield Span(*found.span(), kind)


def _cards(text: str) -> Iterator[Span]:
    for found in _CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if _CARD_ISSUERS.fullmatch(digits) and passes_luhn(digits):
            yield Span(*found.span(), "payment_card")


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it (ISO/IEC 7812-1, annex B)."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + index % 2)
        total += doubled - 9 * (doubled > 9)
    return total % 10 == 0


def _named(text: str) -> Iterator[Span]:
    position = 0
    while (found := _NAMED.search(text, position)) is not None:
        group = next(name for name in ("double", "single", "bare") if found[name] is not None)
        kind = kind_of_key(found["key"])
        value = found[group].rstrip(".!?") if group == "bare" else found[group]
        prose = found["sign"] in ("is", "on") or group == "bare"
        if kind is not None and looks_like(kind, value, in_prose=prose):
            end = found.start(group) + len(value)
            if group == "bare" and end == found.end():
                # a value longer than the pattern looks
                end += len(_BARE_REST.match(text, end)[0].rstrip(".!?"))  # type: ignore[index]  # matches anything
            yield Span(found.start(group), end, kind)
            position = max(end, found.end())
        else:
            # the value may be the key of the next pair
            position = found.start(group)
