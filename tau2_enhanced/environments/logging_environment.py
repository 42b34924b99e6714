"""A tau2 environment, watched: each tool call of the live simulation becomes an event.

The *instance* that tau2's constructor made is wrapped, so its subclass, its `sync_tools`, its tools and
its policy stay what they are. Only `get_response`, called from outside, is a live call; replays go
through `set_state` and `make_tool_call`, which pass through unseen.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from tau2_enhanced.logging import current_context, emit, get_logger
from tau2_enhanced.logging.events import ToolCallEvent

if TYPE_CHECKING:
    from tau2.data_model.message import ToolCall, ToolMessage
    from tau2.environment.environment import Environment

_logger = get_logger(__name__)
_OWN = ("_environment", "_raised", "get_response")


class LoggingEnvironment:
    """Stands in for `environment`, of whose class it also claims to be."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._raised: BaseException | None = None
        # tau2 turns a tool's exception into text; to know it, the instance's own steps are listened to
        for name in ("make_tool_call", "sync_tools"):
            setattr(environment, name, self._listen(getattr(environment, name)))

    def get_response(self, message: ToolCall) -> ToolMessage:
        """tau2's answer to a tool call, recorded with its time, its sizes and its outcome."""
        context = current_context()
        self._raised = None
        before = self._hash_of_state()
        with context.waiting(f"tool {message.name}"):
            start_ms = context.clock.ms()
            response = self._environment.get_response(message)
            duration_ms = context.clock.ms() - start_ms
        emit(
            ToolCallEvent(
                function=message.name,
                start_ms=start_ms,
                duration_ms=duration_ms,
                error=response.error,
                error_type=self._error_type() if response.error else None,
                requestor=message.requestor,
                tool_call_id=message.id or None,
                args_size=len(json.dumps(message.arguments, default=str)),
                result_size=len((response.content or "").encode("utf-8", "replace")),
            )
        )
        if _logger.isEnabledFor(10):
            self._describe(message, response, before)
        return response

    def _error_type(self) -> str:
        # nothing was raised in there: the call itself did not fit the method's own parameters
        return type(self._raised or TypeError()).__name__

    def _listen(self, method: Any) -> Any:
        @functools.wraps(method)
        def listened(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except Exception as error:  # whatever a tool raises is tau2's to answer; here it is only noted
                self._raised = error
                raise

        return listened

    def _describe(self, message: ToolCall, response: ToolMessage, before: tuple[object, ...]) -> None:
        arguments = json.dumps(message.arguments, ensure_ascii=False, default=str)
        _logger.debug("tool %s(%s) by the %s", message.name, arguments, message.requestor)
        if response.error and self._raised is not None:
            _logger.debug("tool %s raised", message.name, exc_info=self._raised)
        _logger.debug("tool %s returned %s", message.name, response.content)
        after = self._hash_of_state()
        if after != before:
            _logger.debug("state changed by %s: %s -> %s", message.name, _short(before), _short(after))

    def _hash_of_state(self) -> tuple[object, ...]:
        """The agent's and the user's database, in words; hashing is slow and done at DEBUG alone."""
        if not _logger.isEnabledFor(10):
            return ()
        return (self._environment.get_db_hash(), self._environment.get_user_db_hash())

    @property  # type: ignore[misc]  # claiming the wrapped class is the point
    def __class__(self) -> type:
        wrapped: type = self._environment.__class__
        return wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environment, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self._environment, name, value)


def _short(hashes: tuple[object, ...]) -> str:
    return "/".join(str(value)[:12] for value in hashes)
