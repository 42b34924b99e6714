"""The hash of a copy is tau2's own, whatever became of the copy."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from database_writes import WRITES, mock_database
from hypothesis import given, settings
from hypothesis import strategies as st

from tau2_enhanced.environments.shared_database import SharedDatabase

pytestmark = pytest.mark.usefixtures("registry")


def tau2s_hash(database: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's, of values that do not fit
        text: str = database.model_copy(deep=True).get_hash()
    return text


def test_the_hash_of_an_untouched_copy() -> None:
    shared = SharedDatabase(mock_database())
    assert shared.hash == shared.hash_of(shared.copy()) == tau2s_hash(mock_database())


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@settings(deadline=None, database=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(WRITES)), st.integers(0, 8)), max_size=8))
def test_the_hash_after_any_writes(writes: list[tuple[str, int]]) -> None:
    shared = SharedDatabase(mock_database())
    copied, loaded = shared.copy(), mock_database()
    for name, number in writes:
        raised = []
        for database in (copied, loaded):
            try:
                WRITES[name](database, number)
            except (KeyError, AttributeError) as error:  # an earlier write took it away
                raised.append(str(error))
        assert len(set(raised)) * 2 == len(raised)
        assert shared.hash_of(copied) == tau2s_hash(loaded), name
    assert json.dumps(copied.model_dump()) == json.dumps(loaded.model_dump())
    assert shared.hash_of(shared.copy()) == tau2s_hash(mock_database())


def test_copies_of_one_state_have_one_hash_and_others_another() -> None:
    shared = SharedDatabase(mock_database())
    copies = [shared.copy() for _ in range(3)]
    for copied in copies[:2]:
        copied.tasks["t3"].title = "changed"
    assert shared.hash_of(copies[0]) == shared.hash_of(copies[1]) != shared.hash_of(copies[2])
    assert copies[2].tasks["t3"].title == "T3"


def test_lists_and_dates_as_telecom_has_them() -> None:
    from tau2.domains.telecom.data_model import TelecomDB
    from tau2.domains.telecom.user_data_model import TelecomUserDB
    from tau2.domains.telecom.utils import TELECOM_DB_PATH, TELECOM_USER_DB_PATH

    shared, loaded = SharedDatabase(TelecomDB.load(TELECOM_DB_PATH)), TelecomDB.load(TELECOM_DB_PATH)
    copied = shared.copy()
    for database in (copied, loaded):
        database.lines[1].roaming_enabled = not database.lines[1].roaming_enabled
        database.bills.append(database.bills[0].model_copy(update={"bill_id": "B"}))
    assert shared.hash_of(copied) == tau2s_hash(loaded) != shared.hash
    user, loaded_user = (
        SharedDatabase(TelecomUserDB.load(TELECOM_USER_DB_PATH)),
        TelecomUserDB.load(TELECOM_USER_DB_PATH),
    )
    phone = user.copy()
    for database in (phone, loaded_user):
        database.device.airplane_mode = not database.device.airplane_mode
    assert user.hash_of(phone) == tau2s_hash(loaded_user) != user.hash


def test_what_is_no_copy_is_left_to_tau2(tmp_path: Path) -> None:
    from tau2.domains.retail.data_model import RetailDB

    shared = SharedDatabase(mock_database())
    assert shared.hash_of(RetailDB(products={}, users={}, orders={})) is None
    copied = shared.copy()
    copied.tasks[1] = copied.tasks.pop("t1")
    assert shared.hash_of(copied) is None
    copied = shared.copy()
    copied.users = [1]
    assert shared.hash_of(copied) is None
    # a database of the same class that is no copy is hashed all the same
    other = mock_database()
    other.tasks["t1"].title = "other"
    assert shared.hash_of(other) == tau2s_hash(other)
