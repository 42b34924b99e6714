"""The stand-in alone: an endpoint at which any τ² harness can be tried without a key."""

from __future__ import annotations

from collections.abc import Sequence

from tau2_enhanced.commands.parser import CommandParser


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser("serve", str(__doc__))
    parser.add_argument("--port", type=int, default=18080, help="default: 18080")
    parser.add_argument("--domains", nargs="+", default=["retail", "airline", "telecom", "mock"], metavar="DOMAIN")
    parser.add_argument("--task-ids", nargs="+", metavar="ID", help="DOMAIN:ID, or ID with one domain (default: all)")
    from tau2_enhanced.models.stand_in.server import add_flags, faults_of, pace_of

    add_flags(parser)
    options = parser.parse_args(arguments)
    from tau2_enhanced.serve import serve_alone

    serve_alone(options.domains, options.port, pace_of(options), faults_of(options), options.task_ids)
    return 0
