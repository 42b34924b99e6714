"""The colours that pictures and the report share."""

from __future__ import annotations

EVENT_COLOURS = {
    "llm_call": "#0072B2",
    "user_sim": "#E69F00",
    "evaluator": "#F0E442",
    "expert_call": "#CC79A7",
    "tool_call": "#56B4E9",
}
"""One colour for each event type, of Okabe and Ito's palette. Other types are grey."""
OTHER_COLOUR = "#999999"
OUTCOME_COLOURS = {"passed": "#8FCFB9", "failed": "#D55E00", "no verdict": "#FFFFFF", "unfinished": "#EAD9A2"}
"""As far apart in lightness as in hue, so that they are told apart in grey too."""
