"""A hash of a state that depends on the state alone, and that a change can bring up to date.

A state is taken as its entries: members or items of members (`users/mia_li_3668`, `lines/0`), and members that
hold none.
Each entry is hashed with its place (SHA-256 of canonical JSON), and the hashes are added modulo 2**256.
The sum does not depend on an order, so after a change of one entry its old hash is subtracted and its new
one added, however large the rest is. It tells states apart; against someone who looks for two states of one
hash it is no proof (an `audit` is).
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from tau2_enhanced.logging.plain import JSON, canonical

_MODULUS = 1 << 256
Key = str | int
"""A member's name, or an item's index."""


def state_hash(state: JSON) -> str:
    """The hash of a JSON value, 64 hexadecimal digits."""
    return hash_of_weight(weight(state))


def weight(state: JSON) -> int:
    """What a state, or an object with some of its members and entries, adds to the hash of all.

    A whole's weight is the sum of its parts' only where none of its collections is empty: an empty one is an entry
    itself.
    """
    return sum(_hash(place, value) for place, value in _entries(state)) % _MODULUS


def hash_of_weight(total: int) -> str:
    """The hash of a state of this weight."""
    return f"{total % _MODULUS:064x}"


def _entries(state: JSON) -> Iterator[tuple[tuple[Key, ...], JSON]]:
    if not isinstance(state, dict):
        yield (), state
        return
    for key, member in state.items():
        if isinstance(member, dict) and member:
            for inner, value in member.items():
                yield (key, inner), value
        elif isinstance(member, list) and member:
            for index, value in enumerate(member):
                yield (key, index), value
        else:
            yield (key,), member


def _hash(place: tuple[Key, ...], value: JSON) -> int:
    text = canonical([list(place), value])
    return int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest(), "big")
