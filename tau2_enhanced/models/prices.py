"""What a call costs: genai-prices for the providers' models, the user's own word for others."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.logging import get_logger
from tau2_enhanced.models.client import Usage

_logger = get_logger(__name__)


class Price(NamedTuple):
    """US dollars per million tokens."""

    input_usd: float
    output_usd: float


FREE = Price(0.0, 0.0)
_THOUSAND = 1000


def parse_price(text: str) -> tuple[str, Price]:
    """`MODEL=IN/OUT` as a name and its price. Raises UserMistake."""
    model, _, prices = text.rpartition("=")
    try:
        per_input, per_output = (float(part) for part in prices.split("/"))
        if not (model and 0 <= per_input < float("inf") and 0 <= per_output < float("inf")):
            raise ValueError
    except ValueError:
        raise UserMistake(
            f"--price {text}: expected MODEL=IN/OUT in USD per million tokens, like my-model=0.5/1.5"
        ) from None
    return model, Price(per_input, per_output)


def priced_as(provider: str, model: str) -> tuple[str, str]:
    """The names by which a price can be a model's."""
    return f"{provider}/{model}", model


@dataclass
class PriceBook:
    """Prices by model; a model without one is named once and its cost left out."""

    own: Mapping[str, Price]
    """The user's prices, by the model's name with or without its provider."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._unpriced: set[str] = set()

    def price(self, provider: str, model: str) -> Price | None:
        """The price of short calls (some are dearer where the prompt is long); None where it is unknown."""
        try:
            # some cost something for each call too, which a thousand tokens more do not change
            per_input, per_output = (
                self._cost_usd(provider, model, double) - self._cost_usd(provider, model, once)
                for once, double in (
                    (Usage(_THOUSAND, 0), Usage(2 * _THOUSAND, 0)),
                    (Usage(0, _THOUSAND), Usage(0, 2 * _THOUSAND)),
                )
            )
        except LookupError:
            return None
        return Price(round(per_input * _THOUSAND, 6), round(per_output * _THOUSAND, 6))

    def cost_usd(self, provider: str, model: str, usage: Usage) -> float | None:
        """US dollars of one call; None where the price or the tokens are unknown."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        try:
            return self._cost_usd(provider, model, usage)
        except LookupError:
            self.name_unpriced(provider, model)
            return None

    def _cost_usd(self, provider: str, model: str, usage: Usage) -> float:
        """Raises LookupError where the price is unknown."""
        own = next((self.own[name] for name in priced_as(provider, model) if name in self.own), None)
        if own is not None:
            return ((usage.input_tokens or 0) * own.input_usd + (usage.output_tokens or 0) * own.output_usd) / 1e6
        if provider == "vllm":
            raise LookupError(model)

        import genai_prices

        # OpenAI's count of what was written is "unadjusted", and more than the rest of the prompt has no price
        read = min(usage.cached_tokens or 0, usage.input_tokens or 0)
        written = min(usage.cache_write_tokens or 0, (usage.input_tokens or 0) - read)
        try:
            tokens = genai_prices.Usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=read or None,
                cache_write_tokens=written or None,
                cache_write_1h_tokens=min(usage.cache_write_1h_tokens or 0, written) or None,
            )
            priced = genai_prices.calc_price(tokens, model, provider_id=provider, price_context=usage.service)
            return float(priced.total_price)
        except ValueError as error:
            raise LookupError(model) from error

    def name_unpriced(self, provider: str, model: str) -> None:
        """Say, once for each model, that its price is unknown."""
        # a checkpoint's path is what its user calls it
        name = model if model.startswith("/") else f"{provider}/{model}"
        with self._lock:
            if name in self._unpriced:
                return
            self._unpriced.add(name)
        _logger.warning("no price is known for %s: its cost is left blank; give --price %s=IN/OUT", name, name)
