"""A lazy copy behaves as a deep copy, whatever is done to it, and its original never changes."""

from __future__ import annotations

import copy
import json
import operator
import pickle
import random
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from enum import StrEnum
from typing import Any, Literal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, PrivateAttr, TypeAdapter
from pydantic_core import PydanticSerializationError

from tau2_enhanced.environments.lazy_copy import copied_fields, lazy_copy, share_entries
from tau2_enhanced.environments.lazy_entries import UNREAD, LazyEntries, SharedEntries
from tau2_enhanced.environments.unchanged import unchanged

# a tool that writes a value of another type than the field's makes pydantic warn, with and without us
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Item(BaseModel):
    name: str
    price: float
    tags: list[str]
    options: dict[str, int]


class Card(BaseModel):
    source: Literal["card"]
    last_four: str


class Voucher(BaseModel):
    source: Literal["voucher"]
    amount: float


class Box(BaseModel):
    owner: str
    size: Size
    packed: date | None = None
    items: list[Item] = []
    payments: dict[str, Card | Voucher]
    label: Item | None = None

    def total(self) -> float:
        return sum(item.price for item in self.items)


class Store(BaseModel):
    model_config = ConfigDict(extra="forbid")
    boxes: dict[str, Box]
    shelves: list[Box]
    main: Box


def item(number: int) -> Item:
    return Item(name=f"item {number}", price=number / 4, tags=["a", "b"][:number], options={"x": 1, "y": number})


def box(number: int) -> Box:
    payments = {"c": Card(source="card", last_four="1234"), "v": Voucher(source="voucher", amount=number)}
    given = {"owner": f"o{number}", "size": Size.LARGE, "items": [item(n) for n in range(number)]}
    return Box(**given, payments=dict(list(payments.items())[:number]), label=item(3) if number % 2 else None)


def store() -> Store:
    boxes = {f"b{number}": box(number) for number in range(4)}
    return Store(boxes=boxes, shelves=[box(1), box(2)], main=box(3))


def shared_store() -> Store:
    """A store whose boxes are copied one by one."""
    made = store()
    made.__dict__["boxes"] = share_entries(made.boxes)
    assert type(made.boxes) is SharedEntries
    assert type(lazy_copy(made).boxes) is LazyEntries
    return made


both_stores = pytest.mark.parametrize("make", [store, shared_store])


def children(node: Any) -> list[Callable[[Any], Any]]:
    """Ways from a node to those below it that can be changed, by the means a tool has."""
    if isinstance(node, BaseModel):
        names = [name for name in type(node).model_fields if hasattr(node, name)]
        return [lambda x, n=name: getattr(x, n) for name in names if is_tree(getattr(node, name))]
    if isinstance(node, dict):
        by_key = [lambda x, k=key: x[k] for key, value in node.items() if is_tree(value)]
        return by_key + [lambda x, n=n: list(x.values())[n] for n, value in enumerate(node.values()) if is_tree(value)]
    return [lambda x, n=n: x[n] for n, value in enumerate(node) if is_tree(value)]


def is_tree(value: object) -> bool:
    return isinstance(value, BaseModel | dict | list)


MODEL = {
    "read": lambda x, n: getattr(x, field(x, n)),
    "write": lambda x, n: setattr(x, field(x, n), n),
    "write an enum": lambda x, n: setattr(x, "size", Size.SMALL),
    "add": lambda x, n: setattr(x, "price", x.price + n),
    "delete": lambda x, n: delattr(x, field(x, n)),
    "unknown name": lambda x, n: x.nothing,
    "write an unknown name": lambda x, n: setattr(x, "nothing", n),
    "hasattr": lambda x, n: [hasattr(x, name) for name in ("owner", "nothing", "__pydantic_extra__", "total")],
    "method": lambda x, n: x.total(),
    "dump": lambda x, n: x.model_dump(),
    "change a dump": lambda x, n: overwritten(x.model_dump()),
    "dump as JSON": lambda x, n: x.model_dump_json(),
    "fields set": lambda x, n: sorted(x.model_fields_set),
    "repr": lambda x, n: (repr(x), str(x)),
    "vars": lambda x, n: list(vars(x)),
    "iterate": lambda x, n: [name for name, _ in x],
    "dict": lambda x, n: list(dict(x)),
    "hash": lambda x, n: hash(x),
    "copy": lambda x, n: copy.copy(x),
    "copy and change": lambda x, n: change(x.model_copy(update={field(x, n): n}, deep=n % 2 == 0)),
    "deepcopy and change": lambda x, n: change(copy.deepcopy(x)),
    "pickle": lambda x, n: pickle.loads(pickle.dumps(x)),
    "validate": lambda x, n: type(x).model_validate(x.model_dump()),
    "use as a part": lambda x, n: Box(owner="", size=Size.SMALL, payments={}, label=x),
    "class": lambda x, n: [isinstance(x, kind) for kind in (Item, Card, Voucher, Box, Store)] + [type(x).__name__],
}
MAPPING = {
    "get": lambda x, n: x.get(key(x, n)),
    "in": lambda x, n: key(x, n) in x,
    "set": lambda x, n: x.__setitem__(key(x, n), n),
    "set new": lambda x, n: x.__setitem__(f"new{n}", item(n)),
    "move": lambda x, n: x.__setitem__(key(x, n), x[key(x, n + 1)]),
    "delete": lambda x, n: x.__delitem__(key(x, n)),
    "pop": lambda x, n: x.pop(key(x, n), None),
    "popitem": lambda x, n: x.popitem(),
    "setdefault": lambda x, n: x.setdefault(key(x, n), n),
    "update": lambda x, n: x.update({key(x, n): n, "u": n}),
    "clear": lambda x, n: x.clear() if n == 0 else None,
    "values": lambda x, n: list(x.values()),
    "items": lambda x, n: list(x.items()),
    "write through values": lambda x, n: [change(value) for value in x.values()],
    "dict": lambda x, n: dict(x),
    "spread": lambda x, n: {**x},
    "spread and change": lambda x, n: [change(value) for value in {**x}.values()],
    "or": lambda x, n: x | {"o": n},
    "or, the other way": lambda x, n: {"o": n} | x,
    "or, in its place": lambda x, n: operator.ior(x, {"o": n, key(x, n): n}),
    "call with": lambda x, n: (lambda **given: given)(**x),
    "compare": lambda x, n: (x == dict(x), dict(x) == x, x != dict(x), x == {**x, "o": n}, x == n),
    "views": lambda x, n: (len(x.items()), len(x.values()), x.keys() & {key(x, n)}, n in x.values(), bool(x)),
    "backwards": lambda x, n: (list(reversed(x.items())), [change(value) for value in reversed(x.values())]),
    "write while it is walked": lambda x, n: [x.__setitem__(name, n) for name in x],
    "grow while it is walked": lambda x, n: [x.__setitem__(name * 9, value) for name, value in x.items()],
    "repr": lambda x, n: repr(x),
    "hash": lambda x, n: isinstance(x, Hashable),
    "copy.copy": lambda x, n: copy.copy(x),
    "deepcopy": lambda x, n: [change(value) for value in copy.deepcopy(x).values()],
    "pickle": lambda x, n: pickle.loads(pickle.dumps(x)),
    "keys": lambda x, n: (list(x), list(reversed(x)), len(x)),
    "copy": lambda x, n: [change(value) for value in x.copy().values()],
    "json": lambda x, n: json.dumps(x, default=lambda value: value.model_dump(mode="json")),
}
SEQUENCE = {
    "append": lambda x, n: x.append(n),
    "extend": lambda x, n: x.extend([item(n)]),
    "pop": lambda x, n: x.pop(),
    "remove": lambda x, n: x.remove(x[0]),
    "sort": lambda x, n: x.sort(key=str, reverse=n % 2 == 0),
    "slice": lambda x, n: x[1:n],
    "set": lambda x, n: x.__setitem__(0, n),
    "swap": lambda x, n: x.reverse(),
    "walk": lambda x, n: next((value for value in x if value == x[-1]), None),
    "write through": lambda x, n: [change(value) for value in x],
    "deepcopy": lambda x, n: copy.deepcopy(x),
}


def field(model: BaseModel, number: int) -> str:
    names = list(type(model).model_fields)
    return names[number % len(names)]


def key(mapping: dict[str, Any], number: int) -> str:
    return list(mapping)[number % len(mapping)] if mapping else "none"


def change(value: Any) -> Any:
    if isinstance(value, Item):
        value.price = -1.0
        value.options["changed"] = 1
    elif isinstance(value, Box):
        value.owner = "changed"
        value.items.append(item(9))
    elif isinstance(value, Store):
        value.main.label = None
        del value.boxes["b0"]
    return value


def overwritten(dump: Any) -> Any:
    """A dump of which all that can be changed was."""
    for inner in list(dump.values()) if isinstance(dump, dict) else dump:
        if isinstance(inner, dict | list):
            overwritten(inner)
    dump.clear()
    return dump


def outcome(operation: Callable[[Any, int], Any], node: Any, number: int) -> Any:
    try:
        return plain(operation(node, number))
    except Exception as error:  # what a deep copy raises, a lazy copy raises too
        return type(error), str(error)


def plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        fields = [(name, plain(part)) for name, part in vars(value).items()]
        return type(value).__name__, fields, sorted(value.model_fields_set)
    if isinstance(value, dict):
        return [(name, plain(part)) for name, part in value.items()]
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


def parts(value: Any) -> Iterator[int]:
    """The identities of all that can be changed."""
    if is_tree(value):
        yield id(value)
        below = vars(value).values() if isinstance(value, BaseModel) else value
        for part in below.values() if isinstance(below, dict) else below:
            yield from parts(part)


steps = st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=5), st.integers(0, 99), st.integers(0, 9)), max_size=12)


@both_stores
@settings(deadline=None, database=None)
@given(path_steps=steps)
def test_a_lazy_copy_behaves_as_a_deep_copy(
    make: Callable[[], Store], path_steps: list[tuple[list[int], int, int]]
) -> None:
    original = make()
    lazy, deep = lazy_copy(original), copy.deepcopy(store())
    for path, chosen, number in path_steps:
        nodes = [lazy, deep]
        for turn in path:
            ways = children(nodes[1])
            if not ways:
                break
            nodes = [ways[turn % len(ways)](node) for node in nodes]
        kind = MODEL if isinstance(nodes[1], BaseModel) else MAPPING if isinstance(nodes[1], dict) else SEQUENCE
        name = list(kind)[chosen % len(kind)]
        assert outcome(kind[name], nodes[0], number) == outcome(kind[name], nodes[1], number), name
        assert not unchanged(lazy, original) or deep == original
    assert plain(lazy) == plain(deep)
    assert plain(original) == plain(store())
    assert set(parts(lazy)).isdisjoint(parts(original))


@both_stores
def test_every_operation_on_every_node(make: Callable[[], Store]) -> None:
    original = make()
    for kind, paths in (
        (MODEL, ("", "main", "boxes b1")),
        (MAPPING, ("boxes", "boxes b3 payments")),
        (SEQUENCE, ("shelves", "main items")),
    ):
        for name, operation in kind.items():
            for path in paths:
                for number in range(3):
                    lazy, deep = lazy_copy(original), copy.deepcopy(store())
                    ours, theirs = (below(root, path) for root in (lazy, deep))
                    assert outcome(operation, ours, number) == outcome(operation, theirs, number), (name, path)
                    assert plain(lazy) == plain(deep), (name, path)
                    assert set(parts(lazy)).isdisjoint(parts(original))
    assert plain(original) == plain(store())


def below(root: Any, path: str) -> Any:
    for name in path.split():
        root = root[name] if isinstance(root, dict) else getattr(root, name)
    return root


def test_what_is_not_read_is_not_copied() -> None:
    original = store()
    lazy = lazy_copy(original)
    assert copied_fields(lazy) == {}
    assert lazy.boxes["b3"].owner == "o3"
    assert list(copied_fields(lazy)) == ["boxes"]
    assert list(copied_fields(lazy.boxes["b3"])) == []  # a text needs no copy
    assert lazy.boxes["b3"].items
    assert list(copied_fields(lazy.boxes["b3"])) == ["items"]
    assert list(copied_fields(lazy.boxes["b2"])) == []


@pytest.mark.parametrize("tell", [str, repr, BaseModel.model_dump, BaseModel.model_dump_json], ids=lambda f: f.__name__)
def test_what_only_tells_of_a_plain_model_copies_nothing(tell: Callable[[Any], Any]) -> None:
    original = store()
    lazy = lazy_copy(original)
    told = getattr(lazy, tell.__name__)() if tell.__name__.startswith("model") else tell(lazy)
    assert told == tell(original)
    assert copied_fields(lazy) == {}
    assert unchanged(lazy, original)


def test_what_is_no_field_is_copied_too() -> None:
    """As `model_copy` puts into a model whatever it is given."""
    original = item(1).model_copy(update={"notes": ["a"]})
    lazy: Any = lazy_copy(original)
    lazy.notes.append("b")
    assert original.__dict__["notes"] == ["a"]
    assert not unchanged(lazy, original)


def test_a_field_is_no_attribute_of_the_class_as_with_pydantic() -> None:
    for model in (store(), lazy_copy(store())):
        assert not hasattr(type(model), "main")
        with pytest.raises(AttributeError, match="nothing"):
            model.nothing  # noqa: B018  # reading it is the point


@both_stores
def test_reading_changes_nothing_and_what_was_read_stays_the_same_object(make: Callable[[], Store]) -> None:
    original = make()
    lazy = lazy_copy(original)
    assert [lazy.main.label.name, lazy.boxes["b2"].items[1].options["y"], lazy.shelves[0].total()] == ["item 3", 1, 0.0]
    assert unchanged(lazy, original)
    assert lazy.main is lazy.main
    assert lazy.boxes["b2"].items is lazy.boxes["b2"].items
    lazy.boxes["b2"].items[1].options["y"] = 7
    assert not unchanged(lazy, original)


@pytest.mark.parametrize(
    "write",
    [
        lambda x: setattr(x.main, "owner", "o3"),
        lambda x: x.boxes.pop("b0"),
        lambda x: x.boxes.update(b0=x.boxes["b1"]),
        lambda x: x.shelves.reverse(),
        lambda x: x.shelves.append(x.main),
        lambda x: x.main.items[0].tags.append("c"),
    ],
)
@both_stores
def test_any_write_is_seen(make: Callable[[], Store], write: Callable[[Any], Any]) -> None:
    original = make()
    lazy = lazy_copy(original)
    write(lazy)
    assert not unchanged(lazy, original)


@both_stores
def test_both_sides_of_a_comparison(make: Callable[[], Store]) -> None:
    original = make()
    assert lazy_copy(original).boxes == lazy_copy(original).boxes
    assert lazy_copy(original) == original
    assert original == lazy_copy(original)
    assert lazy_copy(original) == lazy_copy(original)
    assert [*original.shelves] == lazy_copy(original.shelves)
    assert lazy_copy(original.main) != original.shelves[0]


def test_an_entry_that_is_not_read_is_not_copied() -> None:
    lazy = lazy_copy(shared_store())
    assert lazy.boxes["b3"].owner == "o3"
    assert list(lazy.boxes) == ["b0", "b1", "b2", "b3"]
    assert [name for name, entry in lazy.boxes.items() if entry.owner < "o2"] == ["b0", "b1"]
    taken = lazy_copy(shared_store()).boxes
    assert next(iter(taken.values())).owner == "o0"
    assert list(taken.read_or_put()) == ["b0"]
    assert dict.__getitem__(taken, "b1") is UNREAD


def test_who_reads_past_its_methods_fails_and_gets_no_original() -> None:
    boxes = lazy_copy(shared_store()).boxes
    with pytest.raises(TypeError):
        orjson.dumps(boxes, default=lambda value: value.model_dump())
    with pytest.raises(PydanticSerializationError):
        TypeAdapter(dict[str, Box]).dump_json(boxes, warnings="none")
    with pytest.raises(RuntimeError):
        json.dumps(TypeAdapter(dict[str, Box]).dump_python(boxes, warnings="none"), default=str)


def test_models_that_keep_more_than_fields_are_copied_at_once() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    class Counting(BaseModel):
        names: list[str]
        _count: list[int] = PrivateAttr(default_factory=list)

    for original in (Open(more=[1]), Counting(names=["a"])):
        copied = lazy_copy(original)
        assert type(copied) is type(original)
        assert copied == original
    counting = Counting(names=[])
    lazy_copy(counting)._count.append(1)
    assert counting._count == []


@both_stores
def test_threads_copy_one_original(make: Callable[[], Store]) -> None:
    original = make()

    def work(seed: int) -> Any:
        chance = random.Random(seed)
        lazy, deep = lazy_copy(original), copy.deepcopy(store())
        for _ in range(200):
            name, number = chance.choice(["b0", "b1", "b2", "b3"]), chance.randrange(9)
            for root in (lazy, deep):
                root.boxes[name].items.append(item(number))
                change(root.boxes[name].label)
                root.shelves[number % 2].size = Size.SMALL
        return plain(lazy) == plain(deep)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(32)))
    assert plain(original) == plain(store())
