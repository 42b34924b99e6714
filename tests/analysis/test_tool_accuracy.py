from __future__ import annotations

from typing import Any

from tau2_enhanced.analysis.tool_accuracy import tool_accuracy


def call(name: str, requestor: str = "assistant", **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments, "requestor": requestor}


def test_golden_shares() -> None:
    gold = [call("get_user", id="1"), call("cancel", id="A"), call("cancel", id="B")]
    done = [call("get_user", id="1"), call("cancel", id="A"), call("cancel", id="A"), call("find", zip="x")]
    assert tool_accuracy([(gold, done)]) == {
        "gold": 3,
        "called": 4,
        "matched": 2,
        "precision": 0.5,
        "recall": 2 / 3,
        "by_tool": [
            {"tool": "cancel", "gold": 2, "called": 2, "matched": 1, "precision": 0.5, "recall": 0.5},
            {"tool": "find", "gold": 0, "called": 1, "matched": 0, "precision": 0.0, "recall": None},
            {"tool": "get_user", "gold": 1, "called": 1, "matched": 1, "precision": 1.0, "recall": 1.0},
        ],
    }


def test_only_the_arguments_that_tau2_compares_matter() -> None:
    gold = call("transfer", summary="gold's words", to="human") | {"compare_args": ["to"]}
    assert tool_accuracy([([gold], [call("transfer", summary="other words", to="human")])])["matched"] == 1
    assert tool_accuracy([([gold], [call("transfer", summary="gold's words", to="desk")])])["matched"] == 0


def test_as_many_gold_actions_as_can_be_are_matched() -> None:
    # tau2 takes a call with fewer arguments for the whole action
    gold = [call("pay", a=1, b=2), call("pay", a=1)]
    done = [call("pay", a=1), call("pay", a=1, b=2)]
    for actions in (gold, gold[::-1]):
        for calls in (done, done[::-1]):
            assert tool_accuracy([(actions, calls)])["matched"] == 2
    chain = [call("pay", a=1, b=2, c=3), call("pay", a=1, b=2), call("pay", a=1)]
    assert tool_accuracy([(chain, [call("pay", a=1), call("pay", a=1, b=2), call("pay", a=1)])])["matched"] == 3
    assert tool_accuracy([(chain, [call("pay", a=1), call("pay", b=9)])])["matched"] == 1


def test_agent_and_user_are_told_apart() -> None:
    assert tool_accuracy([([call("reboot", "user")], [call("reboot", "assistant")])])["matched"] == 0


def test_simulations_do_not_lend_each_other_calls() -> None:
    found = tool_accuracy([([call("a")], []), ([], [call("a")])])
    assert (found["matched"], found["precision"], found["recall"]) == (0, 0.0, 0.0)


def test_nothing_has_no_shares() -> None:
    found = tool_accuracy([])
    assert (found["precision"], found["recall"], found["by_tool"]) == (None, None, [])
