"""Some records of a table, read only when they are asked for."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

Record = dict[str, Any]
Read = Callable[[Sequence[int]], list[Record]]


class Selection(Sequence[Record]):
    """Records in the order of their ids; a slice reads those in it and no others.

    Args:
        ids: of the records.
        read: returns the records of some ids; one that was deleted meanwhile is left out.
    """

    def __init__(self, ids: Sequence[int], read: Read):
        self.ids = ids
        self._read = read

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...

    def __getitem__(self, place: int | slice) -> Record | list[Record]:
        if isinstance(place, slice):
            return self._read(list(self.ids[place]))
        (record,) = self._read([self.ids[place]])
        return record

    def __iter__(self) -> Iterator[Record]:
        return iter(self[:])

    def map(self, function: Callable[[Record], Record]) -> "Selection":
        """Return the selection of what the function makes of each record."""
        return Selection(self.ids, lambda ids: [function(record) for record in self._read(ids)])
