"""A wall clock that is wrong by CHAOS_SKEW_S seconds, for a whole process; monotonic clocks stay right."""

import datetime
import os
import time

SKEW_S = float(os.environ.get("CHAOS_SKEW_S", "0"))
RIGHT_TIME, RIGHT_TIME_NS, RightDatetime = time.time, time.time_ns, datetime.datetime


class _Kind(type):
    """Values made by C code are of the original class: they count as ours."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, RightDatetime)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, RightDatetime)


class SkewedDatetime(RightDatetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz=None):
        return RightDatetime.now(tz) + datetime.timedelta(seconds=SKEW_S)

    @classmethod
    def utcnow(cls):
        return RightDatetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(seconds=SKEW_S)

    @classmethod
    def today(cls):
        return cls.now()


if SKEW_S:
    SkewedDatetime.__name__ = SkewedDatetime.__qualname__ = "datetime"
    SkewedDatetime.__module__ = "datetime"
    datetime.datetime = SkewedDatetime
    time.time = lambda: RIGHT_TIME() + SKEW_S
    time.time_ns = lambda: RIGHT_TIME_NS() + int(SKEW_S * 1e9)
