from __future__ import annotations

import threading

from tau2_enhanced.models.per_thread import PerThread


def test_each_thread_has_its_own_and_all_are_closed() -> None:
    closed: list[object] = []
    own = PerThread(object, closed.append)
    seen: list[list[object]] = []

    def ask() -> None:
        seen.append([own.mine(), own.mine()])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen.append([own.mine(), own.mine()])
    assert all(first is second for first, second in seen)
    assert len({id(first) for first, _ in seen}) == 4
    own.close()
    assert {id(made) for made in closed} == {id(first) for first, _ in seen}
