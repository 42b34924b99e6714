"""The comparison from runs to files: what `--compare` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tau2_enhanced.analysis.compare import tables
from tau2_enhanced.analysis.compare.comparison import compare
from tau2_enhanced.analysis.compare.markdown import HOW, markdown
from tau2_enhanced.analysis.compare.runs import read_runs
from tau2_enhanced.analysis.output import write_index, written_whole
from tau2_enhanced.analysis.table import Choice
from tau2_enhanced.analysis.terminal import print_sentences, print_text_table, saying


def compare_runs(given: Sequence[str], choice: Choice, output_dir: Path, *, figures: bool = True) -> None:
    """Compare runs and write `compare.json`, `compare.md` and pictures. Raises UserMistake before anything is written.

    `given` are PATH or NAME=PATH, the baseline first.
    """
    with saying() as say:
        runs = read_runs(given, choice, say)
        say("comparing")
        found = compare(runs)
        pictures: list[Path] = []
        left_out: list[str] = []
        if figures:
            from tau2_enhanced.analysis.compare.figures import draw_comparison

            pictures, left_out = draw_comparison(runs, found, output_dir, say)
        shown = [path.name for path in pictures if path.suffix == ".png"]
        with written_whole(output_dir / "compare.md") as path:
            path.write_text(markdown(found, shown), encoding="utf-8")
        pages = [output_dir / "compare.md", *pictures]
        written = [write_index(output_dir / "compare.json", found, pages), *pages]
    print_text_table(tables.overview(found))
    print_sentences(tables.notes(found))
    for pair in found["comparisons"]:
        print_text_table(tables.measures(pair))
        print_sentences(tables.sentences(pair))
        if changed := tables.changes(pair):
            print_text_table(changed, most=_MOST_CHANGES)
    print(HOW)
    for sentence in left_out:
        print(f"not drawn: {sentence}")
    print(f"written to {output_dir}: {' '.join(path.name for path in written)}")


_MOST_CHANGES = 20
"""How many tasks the terminal lists; `compare.md` has all."""
