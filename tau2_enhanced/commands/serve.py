"""Run the stand-in model by itself: an endpoint for trying any τ² harness without a key."""

from __future__ import annotations

from collections.abc import Sequence

from tau2_enhanced.commands.parser import CommandParser

_DOMAINS = ["retail", "airline", "telecom", "mock"]


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("serve", str(__doc__))
    parser.add_argument("--port", type=int, default=18080, help="default: 18080")
    played = parser.add_mutually_exclusive_group()
    played.add_argument(
        "--domains",
        nargs="+",
        default=_DOMAINS,
        metavar="DOMAIN",
        help=f"play the gold actions of these (default: {' '.join(_DOMAINS)})",
    )
    played.add_argument(
        "--replay", nargs="+", metavar="FILE", help="answer as recorded in tau2 results files, one for each domain"
    )
    parser.add_argument(
        "--task-ids", nargs="+", metavar="ID", help="tasks by DOMAIN:ID, or by ID if there is one domain (default: all)"
    )
    from tau2_enhanced.models.stand_in.server import add_flags, faults_of, pace_of

    add_flags(parser)
    options = parser.parse_args(arguments)
    if options.replay and options.no_calls:
        parser.error("--no-calls: a recording is played as it is")
    from tau2_enhanced.models.ports import check_port
    from tau2_enhanced.serve import gold, replayed, serve_alone

    # before the tasks are loaded
    check_port(options.port, "--port")
    player = (
        replayed(options.replay, options.task_ids)
        if options.replay
        else gold(options.domains, options.task_ids, no_calls=options.no_calls)
    )
    serve_alone(player, options.port, pace_of(options), faults_of(options))
    return 0
