"""The one family of exceptions of this project.

Tau2EnhancedError
├── UserMistake            a flag, a file or a name that can't be used: one line, exit code 2
├── RunStopped             a run from Python ended before its plan did (`tau2_enhanced.runner.enhanced_run`)
└── ModelCallError         a model's server did not give an answer (`tau2_enhanced.models.failures`)
"""

from __future__ import annotations


class Tau2EnhancedError(Exception):
    """Base of everything this project raises on purpose."""

    exit_code = 1
    """Of a process that it ends."""


class UserMistake(Tau2EnhancedError):
    """Something the user can put right. Its text is one line that says what and how."""

    exit_code = 2
