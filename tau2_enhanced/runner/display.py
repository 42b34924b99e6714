"""What is seen while a run runs. A display only shows: it reads the tally and the running simulations."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Protocol

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tau2_enhanced.logging.context import TaskContext
from tau2_enhanced.models.adaptive import AdaptiveLimit
from tau2_enhanced.models.spread import Server
from tau2_enhanced.runner import words
from tau2_enhanced.runner.jobs import Outcome, Status
from tau2_enhanced.runner.tally import Count, Tally

_REFRESH_EVERY_S, _REFRESH_SHARE = 0.25, 0.005
"""How often the screen is drawn anew at most, and how much of a core that may take."""
_STATUS_EVERY_S = 30.0
_ROWS_BESIDE_TASKS = 6
_FEWEST_TASK_ROWS = 3
_COLUMNS_BESIDE_TASKS = 52
_SHORTEST_TASK, _LONGEST_TASK = 16, 56
_SHORTEST_BAR, _LONGEST_BAR = 5, 30
_LEVEL_STYLES = {"WARNING": "yellow", "ERROR": "red"}

Running = Mapping[str, TaskContext]
"""The simulations running now, by id."""
Limits = Sequence[AdaptiveLimit]
"""How many calls each server is given now."""
Servers = Sequence[Server]
"""The servers that are watched."""


class Display(Protocol):
    """Shows a run from `start` to `close`; every method may be called from any thread."""

    def start(self, tally: Tally, running: Running, limits: Limits = (), servers: Servers = ()) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...

    def record(self, record: logging.LogRecord, line: str) -> None:
        """Show a log record."""

    def close(self) -> None: ...


def make_display(kind: str | None, stream: IO[str]) -> Display:
    """The display of this name; without a name rich on a terminal, else plain."""
    if kind is None:
        kind = "rich" if stream.isatty() else "plain"
    if kind == "rich":
        return RichDisplay(Console(file=stream))
    return PlainDisplay(stream) if kind == "plain" else NoDisplay()


class NoDisplay:
    """Shows nothing."""

    def start(self, tally: Tally, running: Running, limits: Limits = (), servers: Servers = ()) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...

    def record(self, record: logging.LogRecord, line: str) -> None: ...

    def close(self) -> None: ...


class PlainDisplay:
    """A line for each simulation that ended, and every half minute a line on all."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._tally = Tally()
        self._running: Running = {}
        self._limits: Limits = ()
        self._servers: Servers = ()

    def start(self, tally: Tally, running: Running, limits: Limits = (), servers: Servers = ()) -> None:
        self._tally, self._running, self._limits, self._servers = tally, running, limits, servers
        threading.Thread(target=self._report, name="status", daemon=True).start()

    def ended(self, outcome: Outcome) -> None:
        done = self._tally.all
        width = len(str(done.planned))
        self._print(f"[{done.ended:{width}}/{done.planned}] {describe(outcome)}")

    def record(self, record: logging.LogRecord, line: str) -> None:
        self._print(_on_screen(line))

    def close(self) -> None:
        self._closed.set()

    def _report(self) -> None:
        while not self._closed.wait(_STATUS_EVERY_S):
            oldest = max(list(self._running.values()), key=_age_s, default=None)
            waits = f", oldest: {_describe_running(oldest)}" if oldest is not None else ""
            busy = "".join(f", {describe_limit(limit)}" for limit in self._limits if limit.reduced)
            self._print(f"{_describe_tally(self._tally)}, {len(self._running)} running{waits}{busy}")
            for line in describe_servers(self._servers):
                self._print(line)

    def _print(self, line: str) -> None:
        # who watched may have gone; that must not end the run
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()


class RichDisplay:
    """Progress bars for all and for each domain, and a line for each running simulation."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = Tally()
        self._running: Running = {}
        self._limits: Limits = ()
        self._servers: Servers = ()
        self._live = Live(console=console, get_renderable=self._render, auto_refresh=False, transient=True)
        self._closed = threading.Event()
        self._refreshing = threading.Thread(target=self._refresh, name="display", daemon=True)

    def start(self, tally: Tally, running: Running, limits: Limits = (), servers: Servers = ()) -> None:
        self._tally, self._running, self._limits, self._servers = tally, running, limits, servers
        self._live.start()
        self._refreshing.start()

    def ended(self, outcome: Outcome) -> None:
        """Nothing of its own: the bars move."""

    def record(self, record: logging.LogRecord, line: str) -> None:
        with suppress(OSError):
            self._console.print(Text(_on_screen(line), style=_LEVEL_STYLES.get(record.levelname, "")), soft_wrap=True)

    def close(self) -> None:
        self._closed.set()
        if self._refreshing.is_alive():
            self._refreshing.join(_REFRESH_EVERY_S)
        with suppress(OSError):
            self._live.stop()

    def _refresh(self) -> None:
        pause_s = _REFRESH_EVERY_S
        while not self._closed.wait(pause_s):
            began_s = time.thread_time()
            with suppress(OSError):  # who watched may have gone
                self._live.refresh()
            pause_s = max((time.thread_time() - began_s) / _REFRESH_SHARE, _REFRESH_EVERY_S)

    def _render(self) -> RenderableType:
        busy = [Text(describe_limit(limit), style="yellow") for limit in self._limits if limit.reduced]
        lines = describe_servers(self._servers)
        return Group(self._bars(), *busy, *map(_dim, lines), *self._tasks(len(busy) + len(lines)))

    def _bars(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        # the bars alone give way where there is little room
        table.add_column(min_width=_SHORTEST_BAR, max_width=_LONGEST_BAR)
        for _ in range(5):
            table.add_column(justify="right", no_wrap=True)
        tally = self._tally
        rate = f"{tally.per_second:.1f}/s" if tally.ended_here else ""
        eta = f"eta {words.duration(tally.eta_s)}" if tally.eta_s is not None else ""
        table.add_row("all", *_bar(tally.all), rate, eta)
        for domain, count in tally.domains.items():
            table.add_row(domain, *_bar(count))
        return table

    def _tasks(self, rows_above: int) -> list[Text]:
        oldest_first = sorted(self._running.values(), key=_age_s, reverse=True)
        room = self._console.size.height - _ROWS_BESIDE_TASKS - len(self._tally.domains) - rows_above
        shown = oldest_first[: max(room, _FEWEST_TASK_ROWS)]
        width = min(max(self._console.size.width - _COLUMNS_BESIDE_TASKS, _SHORTEST_TASK), _LONGEST_TASK)
        rows = [_task_cells(context, width) for context in shown]
        widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for name, *figures, waits in rows:
            beside = "".join(f"  {cell:>{room}}" for cell, room in zip(figures, widths[1:-1], strict=True))
            # where there is little room, what is waited for gives way
            line = Text(set_cell_size(name, widths[0]) + beside, overflow="ellipsis", no_wrap=True)
            lines.append(line.append("  " + waits, "dim"))
        if len(oldest_first) > len(shown):
            lines.append(_dim(f"… and {len(oldest_first) - len(shown)} more running"))
        return lines


def _task_cells(context: TaskContext, width: int) -> tuple[str, ...]:
    """A running simulation's task in that width, trial, step, age and what it waits for."""
    task = words.short(f"{context.domain} {context.task}", width)
    return task, f"#{context.trial}", _step(context), f"{_age_s(context):.1f} s", _waiting(context)


def _dim(line: str) -> Text:
    return Text(line, style="dim", overflow="ellipsis", no_wrap=True)


def _on_screen(line: str) -> str:
    """The first line of a record. A stack for each of a hundred stalled simulations is for the log alone."""
    first, more, _ = line.partition("\n")
    return f"{first} (more in the log)" if more else first


def describe(outcome: Outcome) -> str:
    """An outcome in one line."""
    if outcome.reward is None:
        # tau2's reason stands for any fault there
        verdict = f"no verdict: {outcome.error_type}"
    else:
        fault = outcome.error_type if outcome.status is Status.VERDICT else None
        verdict = f"reward {outcome.reward:g} ({fault or outcome.termination_reason})"
    cost = words.money(outcome.cost_usd())
    took = words.duration(outcome.duration_ms / 1000)
    return f"{outcome.domain} {words.short(outcome.task)} #{outcome.trial}: {verdict}, {took}, {cost}"


def describe_limit(limit: AdaptiveLimit) -> str:
    """A busy server in one line."""
    pause = f", none for {words.duration(limit.pause_s)} as it asks" if limit.pause_s else ""
    return f"{limit.name} is busy: {limit.limit} of {limit.most} calls at once{pause}, {limit.refused} refused so far"


def describe_servers(servers: Servers) -> list[str]:
    """A line for each server that says something of itself, has fallen silent, or is one of several."""
    shown = [server for server in servers if server.sample or server.out or len(servers) > 1]
    rows = [_server_cells(server) for server in shown]
    # a figure that grows a digit moves no other, and one that no server has takes no room
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for server, (name, *cells) in zip(shown, rows, strict=True):
        beside = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True) if width]
        beside = [beside[0], f"taken out: {server.out}"] if server.out else beside
        lines.append("  ".join([name.ljust(widths[0]), *beside]).rstrip())
    return lines


def _server_cells(server: Server) -> tuple[str, ...]:
    """A server's name, its simulations, and what it says of its work; empty where it does not."""
    tasks = f"{server.simulations} task{'' if server.simulations == 1 else 's'}"
    said = server.sample
    if said is None or server.out:
        return (server.name, tasks, *[""] * 6)
    return (
        server.name,
        tasks,
        f"{said.running or 0:.0f} running",
        f"{said.waiting or 0:.0f} waiting",
        f"{said.preemptions:.0f} preempted" if said.preemptions else "",
        f"KV {100 * said.kv_cache_usage:.0f} %" if said.kv_cache_usage is not None else "",
        f"prefix {100 * said.prefix_cache_hit_rate:.0f} %" if said.prefix_cache_hit_rate is not None else "",
        f"{said.generation_tokens_per_s:.0f} tok/s" if said.generation_tokens_per_s is not None else "",
    )


def _bar(count: Count) -> tuple[RenderableType, ...]:
    return (
        ProgressBar(total=max(count.planned, 1), completed=count.ended),
        f"{count.ended}/{count.planned}",
        words.money(count.cost_usd, at_least=count.unpriced),
        f"pass {words.percent(count.pass_rate)}",
    )


def _describe_tally(tally: Tally) -> str:
    done = tally.all
    eta = f", eta {words.duration(tally.eta_s)}" if tally.eta_s is not None else ""
    cost = words.money(done.cost_usd, at_least=done.unpriced)
    return (
        f"{done.ended}/{done.planned} done, {tally.per_second:.2f}/s{eta}, {cost}, pass {words.percent(done.pass_rate)}"
    )


def _describe_running(context: TaskContext) -> str:
    task = f"{context.domain} {words.short(context.task or '')} #{context.trial}"
    return f"{task} {_step(context)}, {_waiting(context)}"


def _step(context: TaskContext) -> str:
    return f"step {context.step}" if context.step is not None else "starting"


def _waiting(context: TaskContext) -> str:
    if not context.waiting_for:
        return "working"
    return f"waits {(context.clock.ms() - context.waiting_since_ms) / 1000:.1f} s for {context.waiting_for}"


def _age_s(context: TaskContext) -> float:
    """Seconds since the simulation's last event."""
    return context.age_ms() / 1000
