from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_enhanced.logging.audit import AuditFile, State, opened, released, verify

WRITE = '{{"type":"note","n":{}}}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def write(path: Path, *numbers: int, auto_flush: bool = True) -> str:
    file = opened(path, auto_flush)
    for number in numbers:
        file.write(WRITE.format(number))
    released(file)
    return file.head


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_a_line_is_chained_to_the_line_before(path: Path) -> None:
    write(path, 7, 8)
    first = '{"seq":0,"type":"note","n":7'
    digest = sha256(("0" * 64 + "\n" + first).encode()).hexdigest()
    second = '{"seq":1,"type":"note","n":8'
    next_digest = sha256((digest + "\n" + second).encode()).hexdigest()
    assert lines(path)[:2] == [
        f'{first},"digest":"{digest}"}}\n'.encode(),
        f'{second},"digest":"{next_digest}"}}\n'.encode(),
    ]


def test_a_closed_file_is_intact(path: Path) -> None:
    head = write(path, 1, 2, 3)
    verdict = verify(path)
    assert verdict == (State.INTACT, 4, head)
    assert verdict.holds
    assert str(verdict) == "intact: 4 lines"
    assert json.loads(lines(path)[-1])["action"] == "closed"


@pytest.mark.parametrize("number", range(4))
def test_a_changed_line_is_named(path: Path, number: int) -> None:
    write(path, 1, 2, 3)
    changed = lines(path)
    changed[number] = changed[number].replace(b'"type":', b'"type": ')
    path.write_bytes(b"".join(changed))
    verdict = verify(path)
    assert verdict[:2] == (State.CHANGED, number)
    assert not verdict.holds
    assert str(verdict) == f"changed at line {number + 1}"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_goes_unseen(tmp_path_factory: pytest.TempPathFactory, place: int, flipped: int) -> None:
    path = tmp_path_factory.mktemp("audit") / "events.jsonl"
    write(path, 1, 2, 3)
    text = bytearray(path.read_bytes())
    text[place % len(text)] ^= flipped
    path.write_bytes(bytes(text))
    assert verify(path).state is not State.INTACT


@pytest.mark.parametrize("first", [0, 1, 2])
def test_dropped_lines_are_noticed_where_they_were(path: Path, first: int) -> None:
    write(path, 1, 2, 3)
    kept = lines(path)
    del kept[first : first + 1]
    path.write_bytes(b"".join(kept))
    assert verify(path)[:2] == (State.DROPPED, first)
    assert str(verify(path)) == f"lines dropped after line {first}"


def test_swapped_and_inserted_lines_break_the_chain(path: Path) -> None:
    write(path, 1, 2, 3)
    a, b, *rest = lines(path)
    path.write_bytes(b"".join([b, a, *rest]))
    assert not verify(path).holds
    path.write_bytes(b"".join([a, b, b, *rest]))
    assert verify(path)[:2] == (State.CHANGED, 2)
    path.write_bytes(b"".join([a, b"{}\n", b, *rest]))
    assert verify(path)[:2] == (State.CHANGED, 1)


def test_lines_taken_off_the_end_leave_a_file_that_was_not_closed(path: Path) -> None:
    head = write(path, 1, 2, 3)
    kept = lines(path)[:2]
    path.write_bytes(b"".join(kept))
    verdict = verify(path)
    assert verdict[:2] == (State.OPEN, 2)
    assert str(verdict) == "intact so far: 2 lines, not closed"
    assert verify(path, head).state is State.DROPPED


def test_a_line_cut_in_its_middle_is_said_and_what_is_before_it_holds(path: Path) -> None:
    write(path, 1, 2, 3)
    path.write_bytes(path.read_bytes()[:-30])
    verdict = verify(path)
    assert verdict[:2] == (State.CUT, 3)
    assert verdict.holds


def test_a_file_opened_again_goes_on_where_it_stopped(path: Path) -> None:
    write(path, 1)
    head = write(path, 2)
    assert verify(path) == (State.INTACT, 5, head)
    assert [json.loads(line)["seq"] for line in lines(path)] == [0, 1, 2, 3, 4]


def test_what_a_killed_writer_left_unfinished_is_cut_off_and_said(path: Path) -> None:
    write(path, 1, 2)
    whole = lines(path)
    path.write_bytes(b"".join(whole[:2]) + whole[2][:20])
    write(path, 3)
    assert verify(path).state is State.INTACT
    reopened = json.loads(lines(path)[2])
    assert (reopened["action"], reopened["cut_size"]) == ("reopened", 20)


@pytest.mark.parametrize("left", [b"", b"{", b'{"seq":0,', b'{"seq":0,"ty'])
def test_a_file_with_no_whole_line_begins_anew(path: Path, left: bytes) -> None:
    path.write_bytes(left)
    write(path, 1)
    assert verify(path).state is State.INTACT


def test_a_last_line_longer_than_a_block_is_found(path: Path) -> None:
    file = opened(path)
    file.write('{"type":"note","text":"' + "x" * 200_000 + '"}')
    released(file)
    long = lines(path)[0]
    path.write_bytes(long)
    write(path, 2)
    assert verify(path).state is State.INTACT


def test_a_file_that_holds_other_things_is_left_alone(path: Path) -> None:
    path.write_text('{"type":"note"}\n')
    with pytest.raises(ValueError, match="no chained event"):
        opened(path)
    assert path.read_text() == '{"type":"note"}\n'


@pytest.mark.parametrize(
    "foreign", [b"precious, without an end of line", b"{}", b'{"seq":1,"ty', b"\n", b"{" + b"x" * 200_000]
)
def test_a_file_of_other_things_without_an_end_of_line_is_left_alone(path: Path, foreign: bytes) -> None:
    path.write_bytes(foreign)
    with pytest.raises(ValueError, match="no chained event"):
        opened(path)
    assert path.read_bytes() == foreign


@pytest.mark.parametrize("foreign", [b"{}", b"{}\n", b"[\n1\n]\n", b'{"type":"note"}\n' * 2, b"\xff\n\x00"])
def test_a_file_of_other_things_is_not_called_changed_nor_whole(path: Path, foreign: bytes) -> None:
    path.write_bytes(foreign)
    verdict = verify(path)
    assert verdict == (State.FOREIGN, 0, "0" * 64)
    assert not verdict.holds


def test_a_chain_whose_first_line_was_spoilt_is_changed(path: Path) -> None:
    write(path, 1, 2)
    path.write_bytes(b"\n" + path.read_bytes())
    assert verify(path).state is State.CHANGED


def test_many_threads_write_one_chain(path: Path) -> None:
    def work(number: int) -> None:
        file = opened(path, auto_flush=number % 2 == 0)
        for index in range(50):
            file.write(WRITE.format(number * 100 + index))
        released(file)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(path).state is State.INTACT
    written = [json.loads(line) for line in lines(path)]
    assert sorted(line["n"] for line in written if line["type"] == "note") == sorted(
        number * 100 + index for number in range(8) for index in range(50)
    )


def test_another_process_is_kept_out(path: Path) -> None:
    file = opened(path)
    script = (
        "import sys; from tau2_enhanced.logging.audit import opened\n"
        "try: opened(sys.argv[1])\n"
        "except BlockingIOError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert "another process writes to it" in done.stdout
    assert str(path) in done.stdout
    released(file)
    assert verify(path).lines == 1


FORKING = """
import os, sys
from tau2_enhanced.logging import ExecutionLogger
logger = ExecutionLogger(sys.argv[1], auto_flush=False)
logger.log_tool_execution("before", True)
child = os.fork()
if child == 0:
    for attempt in (lambda: logger.log_tool_execution("child", True), lambda: ExecutionLogger(sys.argv[1])):
        try: attempt()
        except OSError as error: print(error.strerror)
    logger.flush()
    logger.close()
    sys.exit()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
logger.log_tool_execution("after", True)
read, write = os.pipe()
if os.fork() == 0:
    os.close(write)
    os.read(read, 1)
    sys.exit()
logger.close()
with ExecutionLogger(sys.argv[1]) as again:
    again.log_tool_execution("again", True)
"""


def test_a_forked_child_leaves_its_parents_file_alone(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORKING, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["opened by another process", "another process writes to it"]
    assert done.stderr == ""
    assert verify(path).state is State.INTACT
    written = [json.loads(line) for line in lines(path)]
    assert [line.get("tool_name", line.get("action")) for line in written] == [
        *("before", "after", "closed", "reopened", "again", "closed"),
    ]


def test_lines_that_gather_are_written_at_the_latest_when_the_file_is_closed(path: Path) -> None:
    file = opened(path, auto_flush=False)
    file.write(WRITE.format(1))
    assert path.read_bytes() == b""
    file.flush()
    assert len(lines(path)) == 1
    file.write(WRITE.format(2))
    released(file)
    assert verify(path)[:2] == (State.INTACT, 3)


def test_what_could_not_be_written_is_written_with_the_next_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AuditFile(path)
    file.write(WRITE.format(1))
    real = os.write

    def full_after_ten_bytes(fd: int, data: memoryview) -> int:
        monkeypatch.setattr(os, "write", refuse)
        return real(fd, data[:10])

    def refuse(fd: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full_after_ten_bytes)
    with pytest.raises(OSError, match="No space"):
        file.write(WRITE.format(2))
    monkeypatch.setattr(os, "write", real)
    assert verify(path)[:2] == (State.OPEN, 1)
    file.write(WRITE.format(3))
    file.close()
    assert verify(path)[:2] == (State.INTACT, 4)


def test_a_file_whose_closing_line_can_not_be_written_is_given_back_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    file = opened(path)
    file.write(WRITE.format(1))
    with monkeypatch.context() as full:
        full.setattr(os, "write", refuse)
        with pytest.raises(OSError, match="No space"):
            released(file)
    assert verify(path)[:2] == (State.OPEN, 1)
    write(path, 2)
    assert verify(path)[:2] == (State.INTACT, 4)


def test_texts_that_are_no_unicode_are_chained_too(path: Path) -> None:
    file = opened(path)
    file.write('{"type":"note","text":"\ud800"}')
    released(file)
    assert verify(path).state is State.INTACT
    assert json.loads(lines(path)[0])["text"] == "\ud800"
