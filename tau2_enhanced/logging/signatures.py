"""Which parameters a tool has, and how a call's arguments fit them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Parameters(NamedTuple):
    """A tool's parameters by name."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    open: bool = False
    """Takes any other name too."""


Description = inspect.Signature | Mapping[str, Any] | Parameters
"""A signature; `{"required": […], "optional": […]}`; a JSON schema of parameters, as models are given it; or what
was made of one of these before."""


class Fit(NamedTuple):
    """How arguments fit parameters; names in the order of the parameters, unexpected ones as they were given."""

    required: list[str]
    optional: list[str]
    missing: list[str]
    unexpected: list[str]


def parameters_of(description: Description) -> Parameters:
    """The parameters that a description names; `self` and `*args` are none."""
    if isinstance(description, Parameters):
        return description
    if isinstance(description, inspect.Signature):
        return _of_signature(description)
    if "properties" in description:
        required = tuple(description.get("required") or ())
        optional = tuple(name for name in description["properties"] if name not in required)
        return Parameters(required, optional, description.get("additionalProperties") not in (None, False))
    return Parameters(
        tuple(description.get("required") or ()),
        tuple(description.get("optional") or ()),
        bool(description.get("open")),
    )


def _of_signature(signature: inspect.Signature) -> Parameters:
    named = [
        parameter
        for index, parameter in enumerate(signature.parameters.values())
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and not (index == 0 and parameter.name == "self")
    ]
    return Parameters(
        tuple(parameter.name for parameter in named if parameter.default is parameter.empty),
        tuple(parameter.name for parameter in named if parameter.default is not parameter.empty),
        any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values()),
    )


def fit(parameters: Parameters, given: Iterable[str]) -> Fit:
    """Which of the given names are required or optional parameters or none, and which required ones are missing."""
    names = list(given)
    known = {*parameters.required, *parameters.optional}
    return Fit(
        [name for name in parameters.required if name in names],
        [name for name in parameters.optional if name in names],
        [name for name in parameters.required if name not in names],
        [] if parameters.open else [name for name in names if name not in known],
    )
