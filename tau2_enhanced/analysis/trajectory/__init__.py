"""One simulation, turn by turn: found in a results file or a run's record, joined with what was logged of it."""
