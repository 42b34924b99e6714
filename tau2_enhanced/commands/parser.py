"""How commands parse their flags."""

from __future__ import annotations

from pathlib import Path

from tau2_enhanced.command_line import Parser

PROGRAM = "tau2-enhanced"


class CommandParser(Parser):
    """Of the command's own flags."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"{PROGRAM} {command}", description=description, allow_abbrev=False)

    def add_paths(self) -> None:
        """Add the paths of what was recorded, as `run_paths` takes them."""
        self.add_argument(
            "paths", nargs="*", metavar="PATH",
            help="event files, enhanced logs, logs, tau2 results files, folders, or run ids "
            "(default: the newest run)",
        )  # fmt: skip

    def add_output_dir(self) -> None:
        """Add the flag that says where the command writes."""
        self.add_argument(
            "--output_dir", "--output-dir", type=Path, default=Path("analysis_results"), metavar="DIR",
            help="where files are written (default: analysis_results)",
        )  # fmt: skip

    def add_outputs(self, *other_names: str) -> None:
        """Add the flag that says where runs are."""
        self.add_argument(
            "--outputs", *other_names, type=Path, default=Path("outputs"), metavar="DIR",
            help="where runs are (default: outputs)",
        )  # fmt: skip
