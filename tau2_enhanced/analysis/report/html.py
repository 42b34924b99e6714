"""A report as one HTML file that needs nothing else: data, style and script are in it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from tau2_enhanced.analysis.colours import EVENT_COLOURS, OTHER_COLOUR, OUTCOME_COLOURS

_SCRIPTS = (
    "format.js", "data.js", "state.js", "tables.js", "simulations.js",
    "details.js", "view.js", "canvas.js", "gantt.js", "gantt_input.js", "overview.js", "main.js",
)  # fmt: skip
"""In this order; each knows those before it."""


def html_page(title: str, data: Mapping[str, Any], pictures: Sequence[Path] = ()) -> str:
    """The page that shows `data`, and holds `pictures` (PNG)."""
    script = "\n".join(_part(name) for name in _SCRIPTS)
    return Template(_part("template.html")).substitute(
        title=html.escape(title),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=_colours() + _part("report.css"),
        data=embedded(data),
        script=script,
        pictures="\n".join(map(_picture, pictures)),
    )


def _picture(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    name = html.escape(path.stem.replace("_", " "))
    return f'<img alt="{name}" src="data:image/png;base64,{data}">'


def embedded(data: Mapping[str, Any]) -> str:
    """JSON that stays inside a script element, whatever its texts hold: only ASCII, and no `<`."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _colours() -> str:
    named = {**EVENT_COLOURS, "other": OTHER_COLOUR, **OUTCOME_COLOURS}
    return ":root {" + " ".join(f"--{name.replace(' ', '-')}: {colour};" for name, colour in named.items()) + "}\n"


def _part(name: str) -> str:
    return (files("tau2_enhanced.analysis.report") / "page" / name).read_text(encoding="utf-8")
