"""What a run does not need is not imported, and is all there for those who use it: each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT, TAU2_1

HEAVY = ("litellm", "deepdiff", "pandas")


def told_by(script: str, folder: Path, **environment: str) -> Any:
    """What a script prints on its last line, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys\n{script}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_a_whole_run_imports_nothing_of_it(tmp_path: Path) -> None:
    script = f"""
from tau2_enhanced.runner.main import main
code = main(["--domains", "mock", "--num-tasks", "1", "--display", "none"])
print(json.dumps([code, "tau2.utils.llm_utils" in sys.modules, [name for name in {HEAVY} if name in sys.modules]]))
"""
    assert told_by(script, tmp_path) == [0, True, []]


def test_tau2_itself_asks_a_model_through_litellm_as_ever(tmp_path: Path) -> None:
    script = """
from tau2_enhanced import tau2_versions
tau2_versions.load()
from tau2.data_model.message import UserMessage
from tau2.utils import llm_utils
before = "litellm" in sys.modules
asked = [UserMessage(role="user", content="Hi")]
answer = llm_utils.generate("gpt-4o", asked, mock_response="from litellm")
import litellm
try:
    llm_utils.generate("gpt-4o", asked, mock_response=litellm.RateLimitError("slow", "openai", "gpt-4o"))
    caught = None
except llm_utils.litellm.RateLimitError as error:
    caught = type(error).__name__
print(json.dumps([
    before, answer.content, answer.usage, answer.cost > 0, caught,
    litellm.drop_params, litellm.cache,
    llm_utils.litellm.completion is litellm.completion,
]))
"""
    usage = {"completion_tokens": 20, "prompt_tokens": 10}
    assert told_by(script, tmp_path) == [False, "from litellm", usage, True, "RateLimitError", True, None, True]


def test_who_imports_litellm_finds_what_tau2_has_set(tmp_path: Path) -> None:
    script = """
from tau2_enhanced import tau2_versions
tau2_versions.load()
from litellm import completion
from litellm.exceptions import AuthenticationError
import litellm, types
print(json.dumps([type(litellm) is types.ModuleType, litellm.completion is completion, litellm.drop_params,
                  litellm.AuthenticationError is AuthenticationError]))
"""
    assert told_by(script, tmp_path) == [True, True, True, True]


@pytest.mark.skipif(TAU2_1, reason="tau2 1.0 has no setting for its cache")
def test_tau2s_cache_is_litellms_own(tmp_path: Path) -> None:
    script = """
from tau2_enhanced import tau2_versions
tau2_versions.load()
import litellm
print(json.dumps([type(litellm.cache).__module__, litellm.drop_params]))
"""
    told = told_by(script, tmp_path, LLM_CACHE_ENABLED="true", CACHE_TYPE="local")
    assert told == ["litellm.caching.caching", True]


def test_tau2s_tables_and_differences_are_there(tmp_path: Path) -> None:
    script = """
from tau2_enhanced import tau2_versions
tau2_versions.load()
from tau2.data_model.simulation import Results
from tau2.utils.utils import show_dict_diff
results = Results.model_construct(info=None, tasks=[], simulations=[])
print(json.dumps([type(results.to_df()).__name__, show_dict_diff({"a": 1}, {"a": 2}) is not None]))
"""
    assert told_by(script, tmp_path) == ["DataFrame", True]
