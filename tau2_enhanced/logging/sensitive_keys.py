"""What a key says of its value: `dob` stands before a birth date, `keyboard` before nothing sensitive.

Keys are taken apart into words (`shippingAddress1` is shipping, address), and a key tells a kind by the words
it ends in. The value has to look the part as well: a telephone number has digits, a `token` is a text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, get_args

Kind = Literal["credential", "payment_card", "email", "phone", "birth_date", "national_id", "address"]
"""What sensitive data can be."""

_ENDINGS: dict[str, Kind] = {
    **dict.fromkeys(
        (
            *("password", "passwords", "passwd", "pwd", "passphrase", "passcode", "pin", "otp", "one time code"),
            *("secret", "secrets", "credential", "credentials", "token", "bearer", "authorization", "auth", "cookie"),
            *("api key", "apikey", "access key", "private key", "secret key", "encryption key", "signing key"),
            *("client secret", "access token", "security answer", "recovery code"),
        ),
        "credential",
    ),
    **dict.fromkeys(
        (
            *("card number", "credit card", "debit card", "card", "cc", "cc number", "pan"),
            *("cvv", "cvv2", "cvc", "cvc2", "card security code", "card verification"),
        ),
        "payment_card",
    ),
    **dict.fromkeys(("email", "emails", "mail", "email address", "e mail", "e mail address"), "email"),
    **dict.fromkeys(
        (
            *("phone", "phones", "telephone", "tel", "mobile", "cell", "cellphone", "fax", "msisdn", "whatsapp"),
            *("phone number", "mobile number", "cell number", "contact number", "caller", "phone numbers"),
        ),
        "phone",
    ),
    **dict.fromkeys(("dob", "birth date", "birthdate", "birthday", "date of birth", "birth day", "born"), "birth_date"),
    **dict.fromkeys(
        (
            *(
                "ssn",
                "social security",
                "social security number",
                "national id",
                "national identity",
                "national number",
            ),
            *(
                "passport",
                "passport number",
                "tax id",
                "tin",
                "itin",
                "nino",
                "national insurance",
                "aadhaar",
                "passport id",
            ),
            *("driver license", "drivers license", "driving licence", "driver licence", "identity card", "id card"),
        ),
        "national_id",
    ),
    **dict.fromkeys(
        (
            "address",
            "addresses",
            "address line",
            "street",
            "street address",
            "zip",
            "zip code",
            "postcode",
            "postal code",
        ),
        "address",
    ),
}
_LONGEST = 4
"""Words of the longest ending."""
_TRAILING = {"number", "numbers", "no", "num", "nr", "value", "code", "full", "raw", "text", "hash", "line"}
"""Words after an ending that do not change what it is: `passport_no`, `password_hash`."""
_NOT_AFTER: dict[str, set[str]] = {
    "address": {"ip", "ipv4", "ipv6", "mac", "web", "url", "wallet", "memory", "bus"},
    "token": {"page", "next", "continuation", "sync", "max", "min", "stop", "end", "pad", "first", "last"},
    "auth": {"two", "requires", "needs"},
    "pin": {"map", "gpio", "connector"},
    "card": {"sim", "sd", "gift", "graphics", "video", "memory", "business", "report", "boarding"},
}
"""Words before the last one that make it something else."""
_DESCRIBING = {"id", "type", "kind", "label", "status"}
"""Last words of keys that tell nothing of an address around them."""

_REPLACED = re.compile(rf"\[(?:{'|'.join(get_args(Kind))}|redacted)\]")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d\d)|\d{8}"
    r"|(?:\d{1,2}\.? )?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?,? (?:\d{1,2},? )?\d{4}",
    re.IGNORECASE,
)
"""A day in figures, or with the month's name."""


def words_of(key: str) -> list[str]:
    """The words of a key, in small letters, without numbers: `shippingAddress1` → shipping, address."""
    return [word.lower() for word in _WORD.findall(key) if not word.isdigit()]


@lru_cache(maxsize=4096)
def kind_of_place(names: tuple[str, ...]) -> Kind | None:
    """What is said of a value by the keys it stands under, from the outermost to its own.

    The key before its own helps (`card`, `number`); all that stands inside an address belongs to it.
    """
    if not names:
        return None
    kind = kind_of_key(names[-1], names[-2] if len(names) > 1 else "")
    if kind is None and not _DESCRIBING.intersection(words_of(names[-1])[-1:]):
        kind = next(("address" for name in names[:-1] if kind_of_key(name) == "address"), None)
    return kind


def kind_of_key(key: str, before: str = "") -> Kind | None:
    """What a key says of its value, alone or together with the key `before` it."""
    own = words_of(key)
    return _kind_of_words(own) or (_kind_of_words(words_of(before) + own) if own else None)


def _kind_of_words(words: list[str]) -> Kind | None:
    for end in range(len(words), 0, -1):
        kind = _kind_of_ending(words[:end])
        if kind is not None or words[end - 1] not in _TRAILING:
            return kind
    return None


def _kind_of_ending(words: list[str]) -> Kind | None:
    for length in range(min(_LONGEST, len(words)), 0, -1):
        kind = _ENDINGS.get(" ".join(words[-length:]))
        if kind is not None:
            before = words[-length - 1] if len(words) > length else ""
            return None if before in _NOT_AFTER.get(words[-1], ()) else kind
    return None


def looks_like(kind: Kind, text: str, *, in_prose: bool = False) -> bool:
    """Whether a text under a telling key can be of its kind. In prose, words after `password is` are none."""
    digits = sum(character.isdigit() for character in text)
    if _REPLACED.fullmatch(text):
        return False
    if kind == "email":
        return "@" in text
    if kind == "phone":
        return 7 <= digits <= 15 and not re.search(r"[A-Za-z]{4}", text)
    if kind == "birth_date":
        return DATE.search(text) is not None
    if kind == "payment_card":
        return (12 <= digits <= 19 or digits == len(text) in (3, 4)) and not re.search(r"[A-Za-z]", text)
    if kind == "national_id":
        return digits >= 4 and len(text) >= 5
    if in_prose:
        return digits > 0 and len(text) >= 4
    if kind == "address":
        return len(text.strip()) >= 2
    return len(text) >= 4
