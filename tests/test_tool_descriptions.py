"""Tools are described as tau2 describes them, from the second environment on without making them again."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from tau2.environment.environment import Environment
from tau2.environment.tool import as_tool
from tau2.environment.toolkit import ToolKitBase, ToolType, is_tool

from tau2_enhanced import tau2_versions
from tau2_enhanced.environments.logging_environment import LoggingEnvironment


class Shop(ToolKitBase):
    @is_tool(ToolType.READ)
    def price(self, item: str) -> str:
        """The price of an item.

        Args:
            item: Its name.
        """
        return item


class Grocer(Shop):
    @is_tool(ToolType.READ)
    def weight(self, item: str) -> str:
        """The weight of an item."""
        return item


class Seasonal(Shop):
    """Has other tools in each instance."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def get_tools(self) -> dict[str, Any]:
        def sell() -> str:
            """Sell it."""
            return self.name

        sell.__name__ = self.name
        return {self.name: as_tool(sell)}


def environment_of(tools: Any, user_tools: Any = None) -> Any:
    return Environment("shop", "Be kind.", tools, user_tools)


def names(tools: list[tau2_versions.ToolDescription] | None) -> list[str]:
    return [tool.name for tool in tools or ()]


@pytest.mark.parametrize("domain", ["mock", "retail", "airline", "telecom"])
def test_each_environment_of_a_domain_has_tau2s_own_tools(registry: Any, domain: str) -> None:
    for _ in range(2):
        environment = LoggingEnvironment(registry.get_env_constructor(domain)())
        described = tau2_versions.agent_tools(environment)
        assert [(tool.name, tool.openai_schema) for tool in described] == [
            (tool.name, tool.openai_schema) for tool in environment.get_tools()
        ]
        for_user = tau2_versions.user_tools(environment)
        if environment.user_tools is None:
            assert for_user is None
        else:
            assert for_user is not None
            assert [tool.openai_schema for tool in for_user] == [
                tool.openai_schema for tool in environment.get_user_tools()
            ]


def test_an_environment_without_tools_is_tau2s_error() -> None:
    with pytest.raises(ValueError, match="Tools not available"):
        tau2_versions.agent_tools(environment_of(None))


def test_classes_of_tool_kits_are_not_mixed_up() -> None:
    described = tau2_versions.agent_tools(environment_of(Shop(), Grocer()))
    assert names(described) == ["price"]
    assert names(tau2_versions.user_tools(environment_of(Shop(), Grocer()))) == ["weight", "price"]


def test_a_tool_kit_that_makes_its_own_tools_is_always_asked() -> None:
    assert names(tau2_versions.agent_tools(environment_of(Seasonal("plums")))) == ["plums"]
    assert names(tau2_versions.agent_tools(environment_of(Seasonal("pears")))) == ["pears"]


def test_a_tool_replaced_in_one_instance_is_described_as_it_is_there() -> None:
    usual, special = Shop(), Shop()
    tau2_versions.agent_tools(environment_of(usual))

    def price(item: str, currency: str) -> str:
        """The price in a currency."""
        return item + currency

    special.price = price
    [described] = tau2_versions.agent_tools(environment_of(special))
    assert described.openai_schema["function"]["description"] == "The price in a currency."


def test_an_environment_that_makes_its_own_tools_is_always_asked() -> None:
    class Closed(Environment):  # type: ignore[misc]  # tau2 ships no types
        def get_tools(self) -> list[Any]:
            return []

    tau2_versions.agent_tools(environment_of(Shop()))
    assert tau2_versions.agent_tools(Closed("shop", "Be kind.", Shop())) == []


def test_what_one_agent_adds_to_its_tools_is_not_anothers() -> None:
    mine = tau2_versions.agent_tools(environment_of(Shop()))
    mine.append(tau2_versions.ToolDescription("done", {}))
    assert names(tau2_versions.agent_tools(environment_of(Shop()))) == ["price"]


def test_descriptions_keep_no_environment_alive() -> None:
    class Kiosk(Shop):
        pass

    kit = Kiosk()
    gone = weakref.ref(kit)
    tau2_versions.agent_tools(environment_of(kit))
    del kit
    gc.collect()
    assert gone() is None
