"""A small database of tau2's, and all that can be done to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

STATE = {
    "users": {
        "u1": {"user_id": "u1", "name": "Ada", "tasks": ["t1", "t2"]},
        "ü 2\n": {"user_id": "ü 2\n", "name": "", "tasks": []},
    },
    "tasks": {
        f"t{n}": {"task_id": f"t{n}", "title": f"T{n}", "description": None, "status": "pending"} for n in range(9)
    },
}


def mock_database() -> Any:
    from tau2.domains.mock.data_model import MockDB

    return MockDB.model_validate(STATE)


def new_task(number: int) -> Any:
    from tau2.domains.mock.data_model import Task

    return Task(task_id=f"n{number}", title='"', description=None, status="completed")


WRITES: dict[str, Callable[[Any, int], Any]] = {
    "write": lambda db, n: setattr(db.tasks[f"t{n}"], "status", "completed"),
    "write back": lambda db, n: setattr(db.tasks[f"t{n}"], "status", "pending"),
    "nested": lambda db, n: db.users["u1"].tasks.append(f"t{n}"),
    "add": lambda db, n: db.tasks.update({f"n{n}": new_task(n)}),
    "replace": lambda db, n: db.tasks.update({f"t{n}": new_task(n)}),
    "delete": lambda db, n: db.tasks.pop(f"t{n}", None),
    "move": lambda db, n: db.tasks.update({"m": db.tasks[f"t{n}"]}),
    "wrong type": lambda db, n: db.users.update({f"u{n}": {"name": {"b": n, "a": None}}}),
    "wrong type within": lambda db, n: setattr(db.users["u1"], "tasks", {"b": n, "a": 1}),
    "a whole collection": lambda db, n: setattr(db, "users", dict(list(db.users.items())[:n])),
    "read": lambda db, n: [user.name for user in db.users.values()],
    "dump": lambda db, n: db.users["u1"].model_dump(),
    "dump all": lambda db, n: db.model_dump(),
}
