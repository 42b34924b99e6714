"""Show a simulation turn by turn: messages, tool calls, answers, changes, times and cost, and its verdict."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tau2_enhanced.commands.parser import CommandParser
from tau2_enhanced.errors import UserMistake

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tau2_enhanced.analysis.trajectory.listed import Listed

_PIPE_WIDTH = 120


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("show", str(__doc__))
    parser.add_argument(
        "simulation", nargs="?", metavar="SIMULATION",
        help="DOMAIN:TASK, DOMAIN:TASK:TRIAL or its id, or the beginning of one; … in it stands for any text "
        "(default: list all)",
    )  # fmt: skip
    parser.add_argument(
        "--from", dest="source", metavar="PATH",
        help="a tau2 results file, or a run's folder, record or id (default: the newest run)",
    )  # fmt: skip
    parser.add_outputs("--output-dir")
    parser.add_argument("--logs", nargs="+", type=Path, metavar="PATH", help="logs or event files with its times")
    parser.add_argument("--full", action="store_true", help="do not shorten arguments, answers and changes")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument("--no-pager", action="store_true", help="print directly, even what is longer than the screen")
    options = parser.parse_args(arguments)
    from tau2_enhanced.analysis.trajectory.listed import choose, list_simulations

    files = _files(options.source, options.outputs)
    listed = list_simulations(files)
    if not listed:
        raise UserMistake(f"{options.source or files[0]} holds no simulation yet")
    if options.simulation is None:
        if options.json:
            print(json.dumps([one.to_dict() for one in listed], ensure_ascii=False))
            return 0
        from tau2_enhanced.analysis.trajectory.terminal import listing

        return _print(listing(listed), pager=not options.no_pager)
    try:
        chosen = choose(listed, options.simulation)
    except UserMistake:
        _say_if_it_goes_on(options.simulation, files[0])
        raise
    return _show(chosen, options)


def _say_if_it_goes_on(named: str, record: Path) -> None:
    """Raise UserMistake where a simulation of that name has begun and not ended, which a run's record does not hold."""
    from tau2_enhanced.analysis.trajectory.listed import is_called, plain_name
    from tau2_enhanced.runner.folder import RunFolder
    from tau2_enhanced.runner.status import read_status

    record = record.resolve()
    run = record.parent.parent
    folder = RunFolder(run.parent, run.name)
    if record != folder.record or not folder.status.exists():
        return
    status, _ = read_status(run.parent, run.name)
    asked = plain_name(named)
    for one in status.running:
        name = f"{one.domain}:{one.task}"
        names = (one.task, f"{one.task}:{one.trial}", name, f"{name}:{one.trial}")
        if is_called(asked, names) or one.sim.startswith(asked):
            raise UserMistake(f"{name}:{one.trial} has not ended: tau2-enhanced status {run.name} says what it does")


def _show(one: Listed, options: Any) -> int:
    from tau2_enhanced.analysis.trajectory.logged import logged_events
    from tau2_enhanced.analysis.trajectory.trajectory import trajectory

    found = trajectory(one, logged_events(options.logs or _logs(one), one.logged_as))
    if options.json:
        from tau2_enhanced.analysis.trajectory.plain_data import trajectory_data

        print(json.dumps(trajectory_data(found), ensure_ascii=False))
        return 0
    from tau2_enhanced.analysis.trajectory.terminal import shown

    return _print(shown(found, full=options.full), pager=not options.no_pager)


def _files(source: str | None, outputs: Path) -> list[Path]:
    """The record of a run, or else its results files."""
    from tau2_enhanced.runner.folder import RunFolder, newest_run_id

    if source is None:
        run_id = newest_run_id(outputs)
        if run_id is None:
            raise UserMistake(f"no run in {outputs}; name a results file or a run's folder with --from")
        path = outputs / run_id
    else:
        path = Path(source) if Path(source).exists() else outputs / source
    if not path.is_dir():
        if not path.exists():
            raise UserMistake(f"{source} is neither a file, nor a folder, nor a run in {outputs}")
        return [path]
    record = RunFolder(path.parent, path.name).record
    if record.exists():
        return [record]
    results = sorted(file for kind in ("*.json", "*.json.gz") for file in path.glob(kind))
    if not results:
        raise UserMistake(f"{path}: no results there")
    return results


def _logs(one: Listed) -> list[Path]:
    """Where the simulation's times may have been logged: beside its results, or where its run logged to."""
    from tau2_enhanced.analysis.trajectory.logged import logs_of_run
    from tau2_enhanced.runner.folder import RunFolder

    stem = one.path.name.partition(".")[0]
    beside = [one.path.with_name(f"{stem}{end}") for end in ("_enhanced_logs.json", "_events.jsonl")]
    path = one.path.parent.parent if one.path.suffix == ".jsonl" else one.path.parent
    config = RunFolder(path.parent, path.name).config
    log_dir = "logs"
    with suppress(OSError, ValueError, LookupError, TypeError):
        log_dir = json.loads(config.read_text(encoding="utf-8"))["options"]["log_dir"]
    # runs are begun beside their folder of outputs
    places = dict.fromkeys(place.resolve() for place in (Path(log_dir), path.parent.parent / log_dir))
    return [*filter(Path.is_file, beside), *logs_of_run(path, one.domain, list(places))]


def _print(what: RenderableType, *, pager: bool) -> int:
    from rich.console import Console

    screen = Console(highlight=False)
    if not screen.is_terminal:
        _print_plainly(what)
    elif pager and _has_pager() and len(screen.render_lines(what)) >= screen.height:
        # as git has it: with colours
        os.environ.setdefault("LESS", "-FRX")
        with screen.pager(styles=True):
            screen.print(what)
    else:
        screen.print(what)
    return 0


def _print_plainly(what: RenderableType) -> None:
    """Into a pipe: without colours, and without the spaces that fill a screen's lines."""
    from rich.console import Console

    width = int(os.environ["COLUMNS"]) if os.environ.get("COLUMNS", "").isdecimal() else _PIPE_WIDTH
    page = Console(width=width, highlight=False, file=StringIO(), color_system=None)
    page.print(what)
    for line in page.file.getvalue().splitlines():  # type: ignore[attr-defined]  # a StringIO
        print(line.rstrip())


def _has_pager() -> bool:
    return shutil.which((os.environ.get("PAGER") or "less").split()[0]) is not None
