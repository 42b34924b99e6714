"""A tau2 environment, watched: each tool call of the live simulation becomes an event.

The *instance* that tau2's constructor made is wrapped, so its subclass, its `sync_tools`, its tools and
its policy stay what they are. Only `get_response`, called from outside, is a live call. What `set_state` plays
is a replay, and a `make_tool_call` from outside is one of the evaluator's gold actions: neither is counted, and
both are recorded only where that is asked for.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tau2_enhanced.environments.recorder import EnvironmentRecorder, MadeCall, Result
from tau2_enhanced.logging import current_context, emit, get_logger
from tau2_enhanced.logging.events import ToolCallEvent

if TYPE_CHECKING:
    from tau2.data_model.message import ToolCall, ToolMessage
    from tau2.environment.environment import Environment

    from tau2_enhanced.logging.recording import EventSink
    from tau2_enhanced.logging.state_tracker import StateTracker

_logger = get_logger(__name__)
_JSON = json.JSONEncoder(default=str)


class LoggingEnvironment:
    """Stands in for `environment`, of whose class it also claims to be.

    Each live call is emitted as a `tool_call`. Where there are `events` to put them into, or a `log_file`, it is
    recorded as a `tool_execution` too, with `state_snapshot`s around it and a `state_change` where it changed a
    database; a `state_tracker` gets the snapshots. A thread of its own writes the file, which `flush` waits for.
    With `record_replays`, replays and gold actions are recorded too, with their `phase` and without states. An
    `environment` that is watched already is watched from here on by this one alone, which goes on recording where
    that one did. Raises OSError or ValueError where `log_file` can't be used.

    Recording a call costs what it touched of an enhanced domain's databases, and two looks at all of any other's.
    """

    def __init__(
        self,
        environment: Environment,
        log_file: Path | str | None = None,
        *,
        events: EventSink | None = None,
        state_tracker: StateTracker | None = None,
        record_replays: bool = False,
    ) -> None:
        recorders: tuple[EnvironmentRecorder, ...] = ()
        of_replays: tuple[EnvironmentRecorder, ...] = ()
        if type(environment) is LoggingEnvironment:
            # two that watch one would tell each call twice
            environment._stop_listening()
            recorders, of_replays = environment._recorders, environment._of_replays
            environment = environment._environment
        own = _recorders(environment, log_file, events, state_tracker)
        self._environment: Environment = environment
        self._answer = environment.get_response
        self._recorders: tuple[EnvironmentRecorder, ...] = recorders + own
        self._of_replays: tuple[EnvironmentRecorder, ...] = of_replays + own if record_replays else of_replays
        self._raised: BaseException | None = None
        self._result_type = ""
        self._call_ids: set[str] = set()
        # tau2 turns a tool's exception into text; to know it, the instance's own steps are listened to
        for name in ("make_tool_call", "sync_tools"):
            setattr(environment, name, self._listen(getattr(environment, name)))
        if self._of_replays:
            # `set_state` calls the instance's own
            environment.get_response = self._replay

    def get_response(self, message: ToolCall) -> ToolMessage:
        """tau2's answer to a tool call, recorded with its time, its sizes and its outcome."""
        context = current_context()
        before = [recorder.before() for recorder in self._recorders]
        hashes = self._hash_of_state()
        self._forget()
        with context.waiting(f"tool {message.name}"):
            start_ms = context.clock.ms()
            response = self._answer(message)
            duration_ms = context.clock.ms() - start_ms
        context.called_ms += duration_ms
        call = self._made(message, start_ms, duration_ms)
        emit(
            ToolCallEvent(
                function=message.name,
                start_ms=start_ms,
                duration_ms=duration_ms,
                error=response.error,
                error_type=self._error_type() if response.error else None,
                requestor=message.requestor,
                tool_call_id=call.id,
                args_size=len(call.arguments),
                result_size=len((response.content or "").encode("utf-8", "replace")),
            )
        )
        for recorder, looks in zip(self._recorders, before, strict=True):
            recorder.called(call, self._result(response), looks)
        if hashes:
            self._describe(message, response, hashes)
        return response

    def set_state(self, *args: Any, **kwargs: Any) -> None:
        """tau2's own; what it plays of a message history is a replay."""
        self._environment.set_state(*args, **kwargs)
        for recorder in self._recorders:
            recorder.prepared()

    def make_tool_call(self, tool_name: str, requestor: str = "assistant", **arguments: Any) -> Any:
        """tau2's own; called from outside, it is a gold action."""
        make = functools.partial(self._environment.make_tool_call, tool_name, requestor=requestor, **arguments)
        if not self._of_replays:
            return make()
        from tau2.data_model.message import ToolCall

        with self._evaluators_call("gold", ToolCall(name=tool_name, arguments=arguments, requestor=requestor)) as ended:
            result = make()
            ended.append(Result(self._environment.to_json_str(result), self._result_type))
        return result

    def flush(self) -> None:
        """Return when what was recorded so far can be read in its file, and the state tracker has its snapshots."""
        for recorder in self._recorders:
            recorder.flush()

    @contextmanager
    def to_its_end(self) -> Iterator[None]:
        """Inside the block the simulation runs: when it is over, or breaks off, its last snapshot is taken.

        Afterwards the instance is no longer listened to.
        """
        try:
            yield
        except BaseException:  # a simulation that ^C ends has a last state too
            self._end("error")
            raise
        finally:
            self._stop_listening()
        self._end("end")

    def _stop_listening(self) -> None:
        """Give the instance its own methods back: with ours it holds itself, and its databases outlive it."""
        for name in _LISTENED:
            vars(self._environment).pop(name, None)

    def _end(self, how: str) -> None:
        for recorder in self._recorders:
            recorder.snapshot(how)

    def _replay(self, message: ToolCall) -> ToolMessage:
        """In the place of the instance's own `get_response`, which `set_state` calls."""
        with self._evaluators_call("replay", message) as ended:
            response = self._answer(message)
            ended.append(self._result(response))
        return response

    @contextmanager
    def _evaluators_call(self, phase: str, message: ToolCall) -> Iterator[list[Result]]:
        """Record what is called inside the block, which puts its result into the list."""
        clock = current_context().clock
        ended: list[Result] = []
        self._forget()
        start_ms = clock.ms()
        try:
            yield ended
        finally:
            took_ms = clock.ms() - start_ms
            call = self._made(message, start_ms, took_ms, phase)
            result = ended[0] if ended else Result(None, "", self._raised, failed=True)
            for recorder in self._of_replays:
                recorder.called(call, result)

    def _made(self, message: ToolCall, start_ms: float, took_ms: float, phase: str = "live") -> MadeCall:
        arguments = _JSON.encode(message.arguments)
        call_id = self._unique_id(message.id)
        return MadeCall(message.name, message.requestor, call_id, arguments, start_ms, took_ms, phase)

    def _result(self, response: ToolMessage) -> Result:
        return Result(response.content, self._result_type, self._raised, failed=bool(response.error))

    def _forget(self) -> None:
        self._raised, self._result_type = None, ""

    def _unique_id(self, given: str) -> str:
        """The call's id, with a number where it was there before or is none."""
        made, number = given or f"call_{len(self._call_ids)}", 1
        while made in self._call_ids:
            number += 1
            made = f"{given or 'call'}_{number}"
        self._call_ids.add(made)
        return made

    def _error_type(self) -> str:
        # nothing was raised in there: the call itself did not fit the method's own parameters
        return type(self._raised or TypeError()).__name__

    def _listen(self, method: Any) -> Any:
        @functools.wraps(method)
        def listened(*args: Any, **kwargs: Any) -> Any:
            try:
                result = method(*args, **kwargs)
            except Exception as error:  # whatever a tool raises is tau2's to answer; here it is only noted
                self._raised = error
                raise
            if method.__name__ == "make_tool_call":
                self._result_type = type(result).__name__
            return result

        return listened

    def _describe(self, message: ToolCall, response: ToolMessage, before: tuple[object, ...]) -> None:
        arguments = json.dumps(message.arguments, ensure_ascii=False, default=str)
        _logger.debug("tool %s(%s) by the %s", message.name, arguments, message.requestor)
        if response.error and self._raised is not None:
            _logger.debug("tool %s raised", message.name, exc_info=self._raised)
        _logger.debug("tool %s returned %s", message.name, response.content)
        after = self._hash_of_state()
        # the level may have been raised meanwhile
        if after and after != before:
            changes = ", ".join(_changes(before, after))
            _logger.debug("state changed by %s: %s", message.name, changes)

    def _hash_of_state(self) -> tuple[object, ...]:
        """The agent's and the user's database, in words; hashing is slow and done at DEBUG alone."""
        if not _logger.isEnabledFor(logging.DEBUG):
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


_LISTENED = ("make_tool_call", "sync_tools", "get_response")
_OWN = {
    *("_environment", "_answer", "_recorders", "_of_replays", "_raised", "_result_type", "_call_ids"),
    *("get_response", "set_state", "make_tool_call"),
}


def _recorders(
    environment: Environment, log_file: Path | str | None, events: EventSink | None, tracker: StateTracker | None
) -> tuple[EnvironmentRecorder, ...]:
    if log_file is None and events is None and tracker is None:
        return ()
    # what a plain run does not need is not imported for it
    from tau2_enhanced.logging.event_stream import AtOnce, stream_to

    if events is None:
        events = stream_to(log_file) if log_file is not None else AtOnce()
    return (EnvironmentRecorder(environment, events, tracker),)


def _changes(before: tuple[object, ...], after: tuple[object, ...]) -> Iterator[str]:
    """Of each database that changed its name and the beginnings of its hashes."""
    for name, old, new in zip(("database", "user database"), before, after, strict=True):
        if old != new:
            yield f"{name} {str(old)[:12]} -> {str(new)[:12]}"
