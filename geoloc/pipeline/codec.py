"""A state as bytes and back: numbers, texts, arrays, containers, and objects of the engine's own classes.

The bytes are a JSON head, which says what there is, and after it the arrays as they lie in memory, so that every
number comes back exactly. Nothing in them is ever executed: a class is known by being one of the engine's modules',
and its objects get their attributes without any of its code being run. What is shared stays shared, but for frozen
dataclasses. What a class works out once and keeps (`cached_property`) is left out.
"""

import json
import struct
import sys
from collections import Counter, deque
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from geoloc.errors import InputError
from geoloc.scene.columns import Coded, Table

HOMES = ("geoloc.pipeline.", "geoloc.scene.columns", "geoloc.scene.tables")  # modules whose classes are known
ALIGN = 16  # bytes; arrays begin at multiples of it, as numpy's own do
LENGTH = struct.Struct("<I")
KINDS = "biufUS"  # of arrays
PLAIN = (bool, int, float, str, type(None))


def encode(value: object, given: Mapping[str, object]) -> bytes:
    """`value` as bytes. Objects of `given` are left out, and called by their names there.

    InputError, with the way to it, for what is neither plain, nor an array, nor an object of the engine.
    """
    writer = _Writer({id(one): name for name, one in given.items()})
    head = json.dumps(writer.form(value, "state"), separators=(",", ":")).encode()
    head = LENGTH.pack(len(head)) + head
    return b"".join([head, bytes(-len(head) % ALIGN), *writer.blobs])


def decode(data: bytes, given: Mapping[str, object]) -> Any:
    """What `encode` made bytes of, with `given` objects of the same names put in their places."""
    try:
        (length,) = LENGTH.unpack_from(data)
        form = json.loads(data[LENGTH.size : LENGTH.size + length])
        start = LENGTH.size + length
        return _Reader(memoryview(data)[start + -start % ALIGN :], given).value(form)
    except (struct.error, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise InputError(f"does not hold what geoloc writes ({type(error).__name__}: {error})") from error


class _Writer:
    """Forms are JSON: plain values as they are, all else a list that begins with a letter, see `_Reader`."""

    def __init__(self, given: dict[int, str]) -> None:
        self.blobs: list[bytes] = []
        self._given = given
        self._size = 0
        self._met: dict[int, int] = {}
        self._alive: list[object] = []  # an id stays an object's own while that is alive

    def form(self, value: Any, where: str) -> Any:
        """The form of a value, which lies at `where`."""
        kind: Any = type(value)
        if kind in PLAIN:
            return value
        if id(value) in self._given:
            return ["G", self._given[id(value)]]
        if isinstance(value, np.generic):
            return ["S", value.dtype.str, value.item()]
        if isinstance(value, tuple):
            return self._tuple(value, where)
        if _is_value(kind):
            return self._object(value, where, "V")
        if id(value) in self._met:
            return ["R", self._met[id(value)]]
        self._met[id(value)] = len(self._met)
        self._alive.append(value)
        if kind is np.ndarray:
            return self._array(value, where)
        if kind is list:
            return ["L", *(self.form(item, f"{where}[{i}]") for i, item in enumerate(value))]
        if kind in (dict, Counter):
            pairs = [[self.form(k, where), self.form(v, f"{where}[{k!r}]")] for k, v in value.items()]
            return ["D" if kind is dict else "C", *pairs]
        if kind in (set, frozenset):
            return ["Z" if kind is set else "F", *(self.form(item, where) for item in sorted(value))]
        if kind is deque:
            return ["Q", value.maxlen, *(self.form(item, f"{where}[{i}]") for i, item in enumerate(value))]
        if isinstance(value, Table):
            return self._table(value)
        return self._object(value, where, "O")

    def _tuple(self, value: tuple[Any, ...], where: str) -> list[Any]:
        items = [self.form(item, f"{where}[{i}]") for i, item in enumerate(value)]
        return ["T", *items] if type(value) is tuple else ["N", _name_of(type(value), where), *items]

    def _array(self, array: np.ndarray, where: str) -> list[Any]:
        if array.dtype == object:
            return ["U", list(array.shape), *(self.form(item, where) for item in array.ravel().tolist())]
        if array.dtype.kind not in KINDS and array.dtype.names is None:
            raise InputError(f"{where}: an array of {array.dtype} cannot be stored")
        fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        data = array.tobytes("F" if fortran else "C")
        start = self._size
        self.blobs += [data, bytes(-len(data) % ALIGN)]
        self._size += len(data) + len(self.blobs[-1])
        dtype = np.lib.format.dtype_to_descr(array.dtype)
        return ["A", dtype, list(array.shape), start, 2 * fortran + array.flags.writeable]

    def _table(self, table: Table) -> list[Any]:
        """Names as codes, and the columns that are not missing."""
        columns: dict[str, Any] = {}
        for name, column in table.columns.items():
            if column.dtype is str:
                names, code = _in_order(table.coded(name))
                small = np.uint8 if len(names) < 256 else np.uint32
                columns[name] = [list(names), self._array(code.astype(small), name)]
            elif not _is_missing(getattr(table, name), column.missing):
                columns[name] = self._array(getattr(table, name), name)
        return ["K", _name_of(type(table), ""), len(table), columns]

    def _object(self, value: object, where: str, letter: str) -> list[Any]:
        kind: Any = type(value)
        name = _name_of(kind, where)
        if not hasattr(value, "__dict__"):
            raise InputError(f"{where}: a {kind.__qualname__} has no attributes that could be stored")
        left_out = _worked_out(kind)
        items = {k: v for k, v in vars(value).items() if k not in left_out}
        return [letter, name, {k: self.form(v, f"{where}.{k}") for k, v in items.items()}]


def _in_order(coded: Coded) -> Coded:
    """The names that are there, in order: the same table gives the same bytes, whatever it was taken from."""
    used = np.flatnonzero(np.bincount(coded.code, minlength=len(coded.names))).tolist()
    used.sort(key=coded.names.__getitem__)
    if used == list(range(len(coded.names))):
        return coded
    place = np.zeros(len(coded.names), int)
    place[used] = np.arange(len(used))
    return Coded(tuple(coded.names[k] for k in used), place[coded.code])


class _Reader:
    """Values of the forms that `_Writer` makes."""

    def __init__(self, blobs: memoryview, given: Mapping[str, object]) -> None:
        self._blobs = blobs
        self._given = given
        self._met: list[object] = []

    def value(self, form: Any) -> Any:
        """The value of a form."""
        if not isinstance(form, list):
            return form
        letter, rest = form[0], form[1:]
        return getattr(self, "read_" + READERS[letter])(*rest)

    def _values(self, forms: tuple[Any, ...]) -> list[Any]:
        return [self.value(form) for form in forms]

    def _meet(self, value: Any) -> Any:
        self._met.append(value)
        return value

    def read_given(self, name: str) -> Any:
        return self._given[name]

    def read_met(self, number: int) -> Any:
        return self._met[number]

    def read_scalar(self, dtype: str, value: Any) -> Any:
        return np.dtype(dtype).type(value)

    def read_tuple(self, *items: Any) -> Any:
        return tuple(self._values(items))

    def read_named(self, name: str, *items: Any) -> Any:
        return tuple.__new__(_class_of(name), self._values(items))

    def read_list(self, *items: Any) -> Any:
        found: list[Any] = self._meet([])
        found.extend(self._values(items))
        return found

    def read_dict(self, *pairs: Any) -> Any:
        return self._fill(self._meet({}), pairs)

    def read_counter(self, *pairs: Any) -> Any:
        return self._fill(self._meet(Counter()), pairs)

    def _fill(self, found: Any, pairs: Any) -> Any:
        for key, value in pairs:
            found[self.value(key)] = self.value(value)
        return found

    def read_set(self, *items: Any) -> Any:
        found = self._meet(set())
        found.update(self._values(items))
        return found

    def read_frozenset(self, *items: Any) -> Any:
        return self._meet(frozenset(self._values(items)))

    def read_deque(self, maxlen: int | None, *items: Any) -> Any:
        found: deque[Any] = self._meet(deque(maxlen=maxlen))
        found.extend(self._values(items))
        return found

    def read_objects(self, shape: Any, *items: Any) -> Any:
        found = self._meet(np.empty(shape, dtype=object))
        found.ravel()[:] = self._values(items)
        return found

    def read_array(self, dtype: Any, shape: Any, start: int, flags: int) -> Any:
        return self._meet(self._plain(dtype, shape, start, flags))

    def _plain(self, dtype: Any, shape: Any, start: int, flags: int) -> np.ndarray:
        kind = np.lib.format.descr_to_dtype(_tuples(dtype))
        count = int(np.prod(shape, dtype=np.int64))
        if kind.hasobject or count < 0 or (count and not kind.itemsize):
            raise ValueError(f"array of {kind}")
        flat = np.frombuffer(self._blobs, kind, count, start) if count else np.zeros(0, kind)
        found = flat.reshape(shape, order="F" if flags & 2 else "C")
        return found.copy("K") if flags & 1 else found

    def read_table(self, name: str, n: int, columns: Any) -> Any:
        kind = _class_of(name)
        found: Any = {}
        for key, column in kind.columns.items():
            if key not in columns:
                found[key] = column.filled(n)
            elif column.dtype is str:
                names, (_, *code) = columns[key]
                found[key] = Coded(tuple(names), self._plain(*code).astype(np.intp))
            else:
                found[key] = self._plain(*columns[key][1:])
        return self._meet(kind._wrap(found))

    def read_value(self, name: str, attributes: Any) -> Any:
        found = object.__new__(_class_of(name))
        found.__dict__.update({key: self.value(form) for key, form in attributes.items()})
        return found

    def read_object(self, name: str, attributes: Any) -> Any:
        found = self._meet(object.__new__(_class_of(name)))
        found.__dict__.update({key: self.value(form) for key, form in attributes.items()})
        return found


READERS = {
    "G": "given",
    "R": "met",
    "S": "scalar",
    "T": "tuple",
    "N": "named",
    "L": "list",
    "D": "dict",
    "C": "counter",
    "Z": "set",
    "F": "frozenset",
    "Q": "deque",
    "U": "objects",
    "A": "array",
    "K": "table",
    "V": "value",
    "O": "object",
}


def _is_missing(array: np.ndarray, missing: object) -> bool:
    if missing is not None or array.dtype.kind == "i":
        return bool((array == (-1 if missing is None else missing)).all())
    return not array.size or bool(np.isnan(array).all())


def _name_of(kind: type, where: str) -> str:
    if not kind.__module__.startswith(HOMES):
        raise InputError(f"{where}: a {kind.__module__}.{kind.__qualname__} cannot be stored")
    return f"{kind.__module__}:{kind.__qualname__}"


@lru_cache(maxsize=256)
def _class_of(name: str) -> Any:
    module, _, kind = name.partition(":")
    found = getattr(sys.modules.get(module), kind, None) if module.startswith(HOMES) else None
    if not isinstance(found, type) or found.__module__ != module:
        raise ValueError(f"unknown class {name}")
    return found


@lru_cache(maxsize=256)
def _is_value(kind: Any) -> bool:
    """Whether a class is a frozen dataclass: whether two of its objects are one does not matter."""
    params: Any = getattr(kind, "__dataclass_params__", None)
    return params is not None and bool(params.frozen)


@lru_cache(maxsize=256)
def _worked_out(kind: type) -> frozenset[str]:
    """Names of the attributes that a class works out once."""
    return frozenset(k for base in kind.__mro__ for k, v in vars(base).items() if isinstance(v, cached_property))


def _tuples(descr: Any) -> Any:
    """A dtype's description as JSON gives it back, with tuples where numpy wants them."""
    if not isinstance(descr, list):
        return descr
    return [(field[0], _tuples(field[1]), *(tuple(shape) for shape in field[2:])) for field in descr]
