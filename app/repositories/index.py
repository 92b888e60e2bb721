"""Which records have which values, so that finding some of them does not mean reading all."""

from array import array
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

Fields = tuple[str, ...]
Ids = array

EVERY: Fields = ()


@dataclass(frozen=True)
class Rows:
    """What the index knows of some records: their ids, and for each group of fields the key of each record."""

    ids: Ids
    keys: tuple[tuple[Hashable, ...], ...]


NO_ROWS = Rows(array("q"), ())


class Index:
    """The ids of records, in order, by the values of some of their fields.

    Args:
        groups: the groups of fields whose values are searched for together; that of no field finds every record.
    """

    def __init__(self, groups: Iterable[Fields]):
        self._groups = tuple(dict.fromkeys([EVERY, *(tuple(sorted(group)) for group in groups)]))
        self._ids: tuple[dict[Hashable, Ids], ...] = tuple({} for _ in self._groups)
        self._known: dict[Hashable, Hashable] = {}  # equal keys are one object in memory

    def rows(self, records: Mapping[int, Mapping[str, Any]]) -> Rows:
        """Return what the index would keep of these records."""
        return Rows(array("q", records), tuple(self._keys(records.values(), group) for group in self._groups))

    def replace(self, before: Rows, after: Rows) -> None:
        """Put what a part holds now in place of what it held."""
        for number, ids_by_key in enumerate(self._ids):
            old = set(zip(before.ids, before.keys[number], strict=True)) if before.keys else set()
            new = set(zip(after.ids, after.keys[number], strict=True)) if after.keys else set()
            for record_id, key in old - new:
                _remove(ids_by_key, key, record_id)
            for record_id, key in sorted(new - old, key=_first):
                _add(ids_by_key, key, record_id)

    def find(self, equals: Mapping[str, Any]) -> tuple[Ids, bool]:
        """Return ids of records and whether these are exactly those whose fields have these values.

        Else they are the fewest that are known to be among them.
        """
        names = tuple(sorted(equals))
        if names in self._groups:
            return self._found(names, equals), True
        usable = [group for group in self._groups if set(group) <= set(names)]
        return min((self._found(group, equals) for group in usable), key=len), False

    def _found(self, group: Fields, equals: Mapping[str, Any]) -> Ids:
        (key,) = self._keys([equals], group)
        return self._ids[self._groups.index(group)].get(key, NO_ROWS.ids)

    def _keys(self, records: Iterable[Mapping[str, Any]], group: Fields) -> tuple[Hashable, ...]:
        """Return the key of each record; a service with many reads them all when it starts, so each step counts."""
        if len(group) == 1:
            (name,) = group
            keys = [record.get(name) for record in records]
        else:
            keys = [tuple([record.get(name) for name in group]) for record in records]
        known = self._known
        try:
            return tuple([known.setdefault(key, key) for key in keys])
        except TypeError:  # a list or an object, which a person wrote there
            return tuple([_hashable(key) for key in keys])


def _hashable(key: Any) -> Hashable:
    if isinstance(key, tuple):
        return tuple(_hashable(value) for value in key)
    return orjson.dumps(key) if isinstance(key, list | dict) else key


def _first(row: Sequence) -> int:
    return row[0]


def _add(ids_by_key: dict[Hashable, Ids], key: Hashable, record_id: int) -> None:
    ids = ids_by_key.setdefault(key, array("q"))
    if not ids or ids[-1] < record_id:
        ids.append(record_id)
    else:
        insort(ids, record_id)


def _remove(ids_by_key: dict[Hashable, Ids], key: Hashable, record_id: int) -> None:
    ids = ids_by_key[key]
    del ids[bisect_left(ids, record_id)]
    if not ids:
        del ids_by_key[key]
