"""What tau2 reads again and again is read once, and is what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tau2_enhanced import tau2_versions


@pytest.mark.parametrize("domain", ["mock", "retail", "airline", "telecom"])
def test_a_policy_is_read_once(domain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    construct = tau2_versions.load().get_env_constructor(domain)
    policy = construct().policy
    opened: list[Path] = []
    original = Path.open

    def watched(path: Path, *args: Any, **options: Any) -> Any:
        opened.append(path)
        return original(path, *args, **options)

    monkeypatch.setattr(Path, "open", watched)
    monkeypatch.setattr("builtins.open", lambda path, *_: pytest.fail(f"{path} was opened"))
    assert construct().policy == policy
    assert not opened


def test_other_files_are_opened_as_ever() -> None:
    from tau2.domains.mock import environment

    tasks = tau2_versions.load().get_tasks_loader("mock")
    assert tasks()[0] is not tasks()[0]
    with pytest.raises(FileNotFoundError):
        vars(environment)["open"]("nowhere.md")
    with pytest.raises(FileNotFoundError):
        vars(environment)["open"]("nowhere.json", "rb")
