from __future__ import annotations

import pytest

from tau2_enhanced.errors import UserMistake
from tau2_enhanced.models.vllm.commands import served_name, server_commands


def test_one_server_a_gpu_at_most_four() -> None:
    made = server_commands("m", gpus=["0", "1", "2", "3", "4", "5"])
    assert [command.port for command in made] == [1900, 1901, 1902, 1903]
    assert [command.environment["CUDA_VISIBLE_DEVICES"] for command in made] == ["0", "1", "2", "3"]
    assert made[1].base_url == "http://127.0.0.1:1901/v1"
    assert made[1].arguments == [
        *("vllm", "serve", "m", "--port", "1901", "--host", "127.0.0.1"),
        *("--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--enable-prompt-tokens-details"),
    ]


def test_each_server_has_as_many_gpus_as_asked_for() -> None:
    made = server_commands("m", gpus=["0", "2", "4", "6", "7"], tensor_parallel=2)
    assert [command.environment["CUDA_VISIBLE_DEVICES"] for command in made] == ["0,2", "4,6"]
    assert all(command.arguments[-2:] == ["--tensor-parallel-size", "2"] for command in made)


def test_without_gpus_a_number_of_servers_is_enough() -> None:
    (command,) = server_commands("m", gpus=[], num_servers=1, tool_call_parser="", vllm_args="--host 0.0.0.0 --seed 1")
    assert command.environment == {}
    assert command.arguments == [
        *("vllm", "serve", "m", "--port", "1900", "--enable-prompt-tokens-details"),
        *("--host", "0.0.0.0", "--seed", "1"),
    ]


@pytest.mark.parametrize(
    ("vllm_args", "base_url"),
    [
        ("--host 10.1.2.3", "http://10.1.2.3:1900/v1"),
        ("--host=gpu-7 --seed 1", "http://gpu-7:1900/v1"),
        ("--host fe80::1", "http://[fe80::1]:1900/v1"),
        ("--host 0.0.0.0", "http://127.0.0.1:1900/v1"),
        ("--host ::", "http://127.0.0.1:1900/v1"),
    ],
)
def test_a_server_is_asked_where_it_listens(vllm_args: str, base_url: str) -> None:
    (command,) = server_commands("m", gpus=["0"], vllm_args=vllm_args)
    assert command.base_url == base_url
    assert command.arguments.count("--host") + vllm_args.count("--host=") == 1


def test_a_command_can_be_typed_as_it_is_shown() -> None:
    (command,) = server_commands("my model", gpus=["3"], vllm_command="python -m 'my vllm'", tool_call_parser="")
    assert str(command) == (
        "CUDA_VISIBLE_DEVICES=3 CUDA_DEVICE_ORDER=PCI_BUS_ID python -m 'my vllm' 'my model' --port 1900 "
        "--host 127.0.0.1 --enable-prompt-tokens-details"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gpus": []}, "no GPU is found"),
        ({"gpus": ["0"], "num_servers": 2}, "2 servers with 1 GPU each: there is 1"),
        ({"gpus": ["0", "1"], "tensor_parallel": 4}, "1 server with 4 GPUs each: there are 2"),
        ({"gpus": ["0"], "num_servers": 0}, "at least 1"),
        ({"gpus": ["0"], "start_port": 65536}, "no 1 ports"),
        ({"gpus": ["0"], "vllm_args": "--port 8000"}, "--port is set by --start-port"),
        ({"gpus": ["0"], "vllm_args": "--api-key=secret"}, "--api-key is set by VLLM_API_KEY"),
        ({"gpus": ["0"], "vllm_args": "--api_key secret"}, "--api-key is set by VLLM_API_KEY"),
        ({"gpus": ["0"], "vllm_args": "--tensor_parallel_size=2"}, "is set by --tensor-parallel"),
        ({"gpus": ["0"], "vllm_args": "--seed 'one"}, "--vllm-args can't be read"),
        ({"gpus": ["0"], "vllm_command": " "}, "--vllm-command names no command"),
    ],
)
def test_what_can_not_be_is_said(options: dict[str, object], said: str) -> None:
    with pytest.raises(UserMistake, match=said) as mistake:
        server_commands("m", **options)  # type: ignore[arg-type]  # one wrong value each
    assert "secret" not in str(mistake.value)


def test_the_name_of_the_model_is_the_one_that_vllm_is_told() -> None:
    assert served_name("/ckpt", "") == served_name("/ckpt", "--seed 1") == "/ckpt"
    assert served_name("/ckpt", "--served-model-name mine other") == "mine"
    assert served_name("/ckpt", "--served-model-name=mine") == "mine"
    assert served_name("/ckpt", "--served_model_name my_own") == "my_own"
