from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_enhanced.logging.plain import canonical, tokens_of
from tau2_enhanced.logging.sensitive import Finding, find_sensitive, redacted
from tau2_enhanced.logging.sensitive_keys import Kind, words_of
from tau2_enhanced.logging.sensitive_texts import passes_luhn

CASES = json.loads((Path(__file__).parent / "sensitive_cases.json").read_text())
KINDS: tuple[str, ...] = get_args(Kind)
LEAST_PRECISION, LEAST_RECALL = 0.93, 0.92
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def kinds(value: Any) -> set[str]:
    return {finding.kind for finding in find_sensitive(value)}


def test_precision_and_recall_on_the_labelled_set() -> None:
    assert len(CASES) >= 150
    print(f"\n{len(CASES)} labelled values, {sum(not case['kinds'] for case in CASES)} of them without a finding")
    print(f"{'kind':<14}{'labelled':>9}{'found':>7}{'precision':>11}{'recall':>8}")
    low = []
    for kind in KINDS:
        labelled = [kind in case["kinds"] for case in CASES]
        found = [kind in kinds(case["value"]) for case in CASES]
        right = sum(a and b for a, b in zip(labelled, found, strict=True))
        precision, recall = right / sum(found), right / sum(labelled)
        print(f"{kind:<14}{sum(labelled):>9}{sum(found):>7}{precision:>11.3f}{recall:>8.3f}")
        if precision < LEAST_PRECISION or recall < LEAST_RECALL:
            low.append(kind)
    assert not low


@pytest.mark.parametrize("key", ["keyboard", "author", "monkey", "authority", "secretary", "spin", "tokenizer"])
def test_words_inside_words_are_no_findings(key: str) -> None:
    assert find_sensitive({key: "value-1234"}) == []


def test_what_is_nested_is_found_where_it_stands() -> None:
    value = {"passengers": [{"first_name": "Mia", "dob": "1990-04-05"}], "a/b": {"login": {"password": "hunter2"}}}
    assert find_sensitive(value) == [
        Finding("birth_date", "/passengers/0/dob"),
        Finding("credential", "/a~1b/login/password"),
    ]
    assert redacted(value) == {
        "passengers": [{"first_name": "Mia", "dob": "[birth_date]"}],
        "a/b": {"login": {"password": "[credential]"}},
    }


def test_only_the_sensitive_part_of_a_text_is_replaced() -> None:
    text = "Write to mia@example.com or call 555-123-2002 about #W1234567."
    assert redacted(text) == "Write to [email] or call [phone] about #W1234567."
    assert redacted("https://bob:hunter22@db.example.com/orders") == "https://[credential]@db.example.com/orders"


@pytest.mark.parametrize(
    "part", ["a-", "a", "a.", "a=", "a ", "key=", "key: '", "a@", "1 A", "a--", "key is ", "4-1 ", "sk-"]
)
def test_a_long_text_of_one_part_is_looked_through(part: str) -> None:
    """It never ends where a pattern looks at all that follows, from every place."""
    text = part * (200_000 // len(part)) + " key @"
    assert len(find_sensitive(text)) <= 1


def test_a_long_value_goes_as_a_whole() -> None:
    assert redacted(f"token={'a1' * 2000} and on") == "token=[credential] and on"
    assert redacted(f"token={'a1' * 2000}. And on") == "token=[credential]. And on"
    assert redacted("tool --api-key=ab12cd34 --password=hunter22") == (
        "tool --api-key=[credential] --password=[credential]"
    )


def test_a_private_key_goes_with_its_lines() -> None:
    text = "before\n-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIB\nAAKC\n-----END RSA PRIVATE KEY-----\nafter"
    assert redacted(text) == "before\n-----[credential]\nafter"
    assert "MIIE" not in redacted(text[:60])


def test_a_text_that_is_json_is_looked_into() -> None:
    text = '{"user": {"dob": "1957-03-21", "address": {"city": "Denver"}, "membership": "gold"}}'
    assert find_sensitive({"result": text}) == [
        Finding("birth_date", "/result/user/dob"),
        Finding("address", "/result/user/address/city"),
    ]
    assert json.loads(redacted(text)) == {
        "user": {"dob": "[birth_date]", "address": {"city": "[address]"}, "membership": "gold"}
    }


def test_a_text_cut_in_its_middle_is_redacted_to_its_end() -> None:
    assert redacted('{"dob": "1957-03-21", "email": "mia.li@example.com", "zip": "787') == (
        '{"dob": "[birth_date]", "email": "[email]", "zip": "[address]'
    )


def test_an_entry_of_a_patch_is_what_stands_at_its_path() -> None:
    change = {"op": "replace", "path": "/users/mia_li_3668/address/city", "old": "Austin", "new": "Denver"}
    assert redacted([change]) == [change | {"old": "[address]", "new": "[address]"}]
    other = change | {"path": "/orders/#W1/city"}
    assert redacted([other]) == [other]


def test_a_card_needs_its_check_digit_unless_its_key_says_it_is_one() -> None:
    assert kinds("4111 1111 1111 1111") == {"payment_card"}
    assert kinds("4111 1111 1111 1112") == set()
    assert kinds({"card_number": "4111 1111 1111 1112"}) == {"payment_card"}


# ISO/IEC 7812-1's own way by hand: 79927398713 sums to 70
@pytest.mark.parametrize(("digits", "passes"), [("79927398713", True), ("79927398710", False), ("0", True)])
def test_check_digits(digits: str, passes: bool) -> None:
    assert passes_luhn(digits) is passes


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("shippingAddress1", ["shipping", "address"]),
        ("APIKey", ["api", "key"]),
        ("date_of_birth", ["date", "of", "birth"]),
        ("#W12", ["w"]),
    ],
)
def test_keys_are_taken_apart_into_words(key: str, words: list[str]) -> None:
    assert words_of(key) == words


def test_the_tasks_of_the_benchmark_hold_what_their_keys_say_and_nothing_else(registry: Any) -> None:
    found: dict[str, set[tuple[str, str]]] = {}
    for domain in ("airline", "retail"):
        for task in registry.get_tasks_loader(domain)():
            for action in task.evaluation_criteria.actions or []:
                of_domain = found.setdefault(domain, set())
                of_domain |= {(f.kind, tokens_of(f.path)[-1]) for f in find_sensitive(action.arguments)}
    assert found == {
        "airline": {("birth_date", "dob")},
        "retail": {("address", "zip"), ("address", "address1"), ("address", "address2"), ("email", "email")},
    }


@settings(max_examples=200, deadline=None)
@given(JSON_VALUES)
def test_a_value_without_findings_is_returned_as_it_is(value: Any) -> None:
    if not find_sensitive(value):
        assert canonical(redacted(value)) == canonical(value)


@settings(max_examples=100, deadline=None)
@given(JSON_VALUES, st.sampled_from([case for case in CASES if case["kinds"]]))
def test_a_finding_is_found_wherever_it_is_put_and_gone_after(around: Any, case: dict[str, Any]) -> None:
    found = kinds(case["value"])
    value = {"x": [around, {"y": case["value"]}]}
    assert found <= kinds(value)
    without = redacted(value)
    assert kinds(without["x"][1]["y"]) == set()
    assert redacted(without) == without


def test_detectors_are_loaded_quietly_and_only_when_a_text_could_hold_a_credential() -> None:
    script = (
        "import sys; from tau2_enhanced.logging.sensitive import find_sensitive\n"
        "find_sensitive({'order_id': '#W1234567', 'note': 'short words only'})\n"
        "assert 'detect_secrets' not in sys.modules\n"
        "assert find_sensitive('AKIAIOSFODNN7EXAMPLE')\n"
        "assert 'detect_secrets' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
