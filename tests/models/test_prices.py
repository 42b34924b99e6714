from __future__ import annotations

import pytest

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.anthropic_messages import read_usage
from tau2_enhanced.models.client import Usage
from tau2_enhanced.models.openai_client import read_reply
from tau2_enhanced.models.prices import FREE, Price, PriceBook, parse_price


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        # USD per million tokens of gpt-4.1: input 2, cached input 0.5, output 8
        (Usage(1_000_000, 0), 2.0),
        (Usage(0, 1_000_000), 8.0),
        (Usage(1_000_000, 100_000, 200_000), 2.5),
        (Usage(1234, 56, 1000), 0.001416),
        (Usage(1234, 56, 0), 0.002916),
        (Usage(1234, 56, 1234), 0.001065),
        (Usage(0, 0), 0.0),
    ],
)
def test_a_call_of_gpt_4_1_costs_what_openai_charges(usage: Usage, usd: float) -> None:
    assert PriceBook({}).cost_usd("openai", "gpt-4.1", usage) == pytest.approx(usd, abs=1e-12)


def test_what_is_written_to_the_cache_has_its_own_price() -> None:
    # USD per million tokens of Claude Opus 4.6: input 5, read from the cache 0.5, written to it 6.25
    usage = Usage(100_000, 0, 60_000, 30_000)
    assert PriceBook({}).cost_usd("anthropic", "claude-opus-4-6", usage) == pytest.approx(0.05 + 0.03 + 0.1875)


def test_what_openai_writes_to_its_cache_has_its_own_price() -> None:
    # GPT-6 Sol: input 2, read from the cache 0.2, written to it 2.5, output 10
    body = {
        "choices": [{"message": {"role": "assistant", "content": "Hi"}}],
        "usage": {
            "prompt_tokens": 10_000,
            "completion_tokens": 1_000,
            "total_tokens": 11_000,
            "prompt_tokens_details": {"cached_tokens": 2_000, "cache_write_tokens": 5_000},
        },
    }
    expected = (3_000 * 2 + 2_000 * 0.2 + 5_000 * 2.5 + 1_000 * 10) / 1e6
    assert PriceBook({}).cost_usd("openai", "gpt-6-sol", read_reply(body).usage) == pytest.approx(expected)


def test_more_written_to_the_cache_than_the_prompt_has_is_still_priced() -> None:
    book, usage = PriceBook({}), Usage(10_000, 0, 8_000, 9_000, 9_000)
    assert book.cost_usd("openai", "gpt-6-sol", usage) == pytest.approx((8_000 * 0.2 + 2_000 * 2.5) / 1e6)
    assert book.cost_usd("anthropic", "claude-opus-5", usage) == pytest.approx((8_000 * 0.5 + 2_000 * 10) / 1e6)


@pytest.mark.parametrize(
    ("tier", "usd"),
    # GPT-6 Sol: input 2 and output 10; flex half of it, priority twice; a tier nobody knows is the usual one
    [(None, 0.030), ("default", 0.030), ("flex", 0.015), ("priority", 0.060), ("on_demand", 0.030)],
)
def test_a_service_tier_has_prices_of_its_own(tier: str | None, usd: float) -> None:
    body = {
        "choices": [{"message": {"role": "assistant", "content": "Hi"}}],
        "service_tier": tier,
        "usage": {"prompt_tokens": 10_000, "completion_tokens": 1_000},
    }
    assert PriceBook({}).cost_usd("openai", "gpt-6-sol", read_reply(body).usage) == pytest.approx(usd)


@pytest.mark.parametrize(("speed", "usd"), [(None, 0.075), ("standard", 0.075), ("fast", 0.150)])
def test_claude_in_fast_mode_has_a_price_of_its_own(speed: str | None, usd: float) -> None:
    # Claude Opus 5: input 5 and output 25, fast 10 and 50
    usage = read_usage({"input_tokens": 10_000, "output_tokens": 1_000, "speed": speed})
    assert PriceBook({}).cost_usd("anthropic", "claude-opus-5", usage) == pytest.approx(usd)


def test_what_is_kept_for_an_hour_is_dearer_to_write() -> None:
    # Claude Sonnet 4.5: input 3, written for five minutes 3.75, for an hour 6
    usage = Usage(10_000, 0, None, 4_000, 3_000)
    expected = (6_000 * 3 + 1_000 * 3.75 + 3_000 * 6) / 1e6
    assert PriceBook({}).cost_usd("anthropic", "claude-sonnet-4-5", usage) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("model", "usd"),
    # USD per million tokens: o3 input 2, cached 0.5, output 8; gpt-5 1.25, 0.125, 10
    [("o3", (6_000 * 2 + 4_000 * 0.5 + 3_000 * 8) / 1e6), ("gpt-5", (6_000 * 1.25 + 4_000 * 0.125 + 3_000 * 10) / 1e6)],
)
def test_reasoning_is_paid_as_output_and_once(model: str, usd: float) -> None:
    body = {
        "choices": [{"message": {"role": "assistant", "content": "Hi"}}],
        "usage": {
            "prompt_tokens": 10_000,
            "completion_tokens": 3_000,
            "prompt_tokens_details": {"cached_tokens": 4_000},
            "completion_tokens_details": {"reasoning_tokens": 2_500},
        },
    }
    assert PriceBook({}).cost_usd("openai", model, read_reply(body).usage) == pytest.approx(usd)


def test_a_long_prompt_has_the_price_of_its_tier() -> None:
    # Gemini 2.5 Pro: up to 200,000 tokens of prompt 1.25 and 10, above 2.5 and 15
    book = PriceBook({})
    assert book.cost_usd("gemini", "gemini-2.5-pro", Usage(100_000, 1000)) == pytest.approx(0.125 + 0.010)
    assert book.cost_usd("gemini", "gemini-2.5-pro", Usage(300_000, 1000)) == pytest.approx(0.75 + 0.015)


@pytest.mark.parametrize(
    ("provider", "model", "price"),
    [
        ("openai", "gpt-4.1", Price(2, 8)),
        ("gemini", "gemini-2.5-pro", Price(1.25, 10)),
        # and 12 USD for a thousand calls
        ("perplexity", "sonar", Price(1, 1)),
        ("vllm", "m", None),
        ("vllm", "own", Price(0.25, 0.75)),
        ("openai", "no-such-model", None),
    ],
)
def test_a_price_per_million_tokens_can_be_told(
    provider: str, model: str, price: Price | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert PriceBook({"own": Price(0.25, 0.75)}).price(provider, model) == price
    assert caplog.records == []


def test_a_dated_name_has_the_price_of_its_model() -> None:
    cost = PriceBook({}).cost_usd("openai", "gpt-4.1-2025-04-14", Usage(1000, 1000))
    assert cost == pytest.approx(0.010)


@pytest.mark.parametrize("name", ["vllm/own/model", "own/model"])
def test_an_own_price_counts_with_and_without_the_provider(name: str) -> None:
    book = PriceBook({name: Price(0.5, 1.5)})
    assert book.cost_usd("vllm", "own/model", Usage(3000, 1000)) == pytest.approx(0.003)


def test_an_own_price_goes_before_the_known_one() -> None:
    assert PriceBook({"gpt-4.1": Price(10, 20)}).cost_usd("openai", "gpt-4.1", Usage(1000, 100)) == pytest.approx(0.012)


def test_the_name_with_its_provider_goes_before_the_name_alone() -> None:
    book = PriceBook({"m": Price(1, 1), "vllm/m": Price(4, 4)})
    assert book.cost_usd("vllm", "m", Usage(1_000_000, 0)) == pytest.approx(4.0)


def test_free_is_a_price() -> None:
    assert PriceBook({"gold": FREE}).cost_usd("gold", "gold", Usage(1000, 100)) == 0.0


@pytest.mark.parametrize(("provider", "model"), [("vllm", "gpt-4.1"), ("vllm", "m"), ("openai", "no-such-model")])
def test_an_unknown_price_is_none_and_named_once(caplog: pytest.LogCaptureFixture, provider: str, model: str) -> None:
    book = PriceBook({})
    assert [book.cost_usd(provider, model, Usage(10, 10)) for _ in range(3)] == [None] * 3
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert f"no price is known for {provider}/{model}" in record.getMessage()


def test_each_unpriced_model_is_named(caplog: pytest.LogCaptureFixture) -> None:
    book = PriceBook({})
    for model in ("a", "b", "a"):
        book.cost_usd("vllm", model, Usage(1, 1))
    assert len(caplog.records) == 2


def test_a_checkpoint_is_named_by_its_path_which_then_takes_a_price(caplog: pytest.LogCaptureFixture) -> None:
    assert PriceBook({}).cost_usd("vllm", "/models/mine", Usage(1, 1)) is None
    assert "no price is known for /models/mine: " in caplog.text
    said = caplog.text.partition("--price ")[2].partition("=")[0]
    name, price = parse_price(f"{said}=1/2")
    assert PriceBook({name: price}).cost_usd("vllm", "/models/mine", Usage(1_000_000, 1_000_000)) == 3


@pytest.mark.parametrize("usage", [Usage(), Usage(10, None), Usage(None, 10)])
def test_unknown_tokens_have_an_unknown_cost(usage: Usage) -> None:
    assert PriceBook({"m": Price(1, 1)}).cost_usd("vllm", "m", usage) is None


@pytest.mark.parametrize(
    ("text", "model", "price"),
    [
        ("m=0.5/1.5", "m", Price(0.5, 1.5)),
        ("vllm/org/m=0/0", "vllm/org/m", Price(0, 0)),
        ("odd=name=1/2", "odd=name", Price(1, 2)),
    ],
)
def test_a_price_is_read(text: str, model: str, price: Price) -> None:
    assert parse_price(text) == (model, price)


@pytest.mark.parametrize(
    "text", ["", "m", "m=", "m=1", "m=1/", "m=/1", "m=1/2/3", "m=a/b", "=1/2", "m=-1/2", "m=1/-2", "m=nan/1", "m=1/inf"]
)
def test_a_bad_price_is_the_users_mistake(text: str) -> None:
    with pytest.raises(UserMistake, match=r"--price .*: expected MODEL=IN/OUT"):
        parse_price(text)
