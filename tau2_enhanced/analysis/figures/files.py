"""Pictures on the disk."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from matplotlib.figure import Figure

from tau2_enhanced.analysis.output import written_whole

_DPI = 150
# without a date, the same events make the same file
_METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def write_figure(figure: Figure, output_dir: Path, name: str) -> list[Path]:
    """Write `name` as PNG and SVG; their paths. Raises UserMistake where that can't be."""
    targets = [output_dir / f"{name}.{form}" for form in _METADATA]
    with ExitStack() as both:
        paths = [both.enter_context(written_whole(target)) for target in targets]
        for path, (form, metadata) in zip(paths, _METADATA.items(), strict=True):
            figure.savefig(path, format=form, dpi=_DPI, metadata=metadata)
            # laid out once, which takes longer than drawing it
            figure.set_layout_engine(None)
    return targets
