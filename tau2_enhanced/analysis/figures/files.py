"""Pictures on the disk: each is there whole, or as it was before."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from tau2_enhanced.errors import UserMistake

_DPI = 150
# without a date, the same events make the same file
_METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def write_figure(figure: Figure, output_dir: Path, name: str) -> list[Path]:
    """Write `name` as PNG and SVG; their paths. Raises UserMistake where that can't be."""
    targets = [output_dir / f"{name}.{form}" for form in _METADATA]
    temporary = [target.with_name(f".{target.name}.tmp") for target in targets]
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        for path, (form, metadata) in zip(temporary, _METADATA.items(), strict=True):
            figure.savefig(path, format=form, dpi=_DPI, metadata=metadata)
        for path, target in zip(temporary, targets, strict=True):
            path.replace(target)
    except OSError as error:
        raise UserMistake(f"{output_dir} can't be written: {error.strerror or error}") from None
    finally:
        if output_dir.is_dir():
            for path in temporary:
                path.unlink(missing_ok=True)
    return targets
