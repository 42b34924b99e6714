"""Runs compared: paired differences by task, with intervals, sentences and pictures."""
