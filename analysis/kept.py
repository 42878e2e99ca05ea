"""What a process keeps of runs that did not change: arrays, up to a bound in bytes; the longest unused go."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from threading import Lock
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
MOST_BYTES = 128 << 20


class Keeper:
    """`of(key, make)`: the value under a key, made once. A value larger than the bound is not kept."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes, self.bytes = most_bytes, 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def of(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                found: T = self._kept[key][0]
                return found
        made = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = (made, size := size_of(made))
                self.bytes += size
            while self.bytes > self.most_bytes:
                self.bytes -= self._kept.popitem(last=False)[1][1]
        return made

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()
            self.bytes = 0


def size_of(value: Any) -> int:
    """Bytes of the arrays within dataclasses and tuples; an array that is there twice counts once."""
    return sum(array.nbytes for array in {id(each): each for each in _arrays(value)}.values())


def _arrays(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return [value]
    if is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in fields(value)]
    return [array for each in value for array in _arrays(each)] if isinstance(value, list | tuple) else []


kept = Keeper()
