"""What is put is written, in its order, however long it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from tau2_enhanced.logging.batches import BatchThread


def test_what_was_put_before_a_flush_is_written_after_it() -> None:
    written: list[int] = []
    batches: BatchThread[int] = BatchThread("writer", written.extend)
    for number in range(1200):
        batches.put(number)
    batches.flush(timeout_s=10.0)
    assert written == list(range(1200))
    assert batches.close(timeout_s=10.0)
    assert batches.close(timeout_s=10.0)


def test_a_close_lasts_as_long_as_something_is_written() -> None:
    written: list[int] = []

    def slowly(batch: Sequence[int]) -> None:
        time.sleep(0.3)
        written.extend(batch)

    batches: BatchThread[int] = BatchThread("writer", slowly)
    for number in range(2600):
        batches.put(number)
    assert batches.close(timeout_s=1.0)
    assert written == list(range(2600))


def test_a_write_that_hangs_is_given_up() -> None:
    released = threading.Event()

    def hang(_: Sequence[int]) -> None:
        released.wait(60)

    batches: BatchThread[int] = BatchThread("writer", hang)
    batches.put(1)
    assert not batches.close(timeout_s=0.01)
    released.set()
    assert batches.close(timeout_s=10.0)
