"""A smooth pace: requests or tokens per minute."""

SYNC_S = 1.0  # how long a process may not know of a newcomer


class Bucket:
    """A smooth pace with one second's worth in hand: never more than `per_minute` in any minute.

    An amount larger than the bucket goes when it is full, and the debt is paid before the next.
    """

    __slots__ = ("at", "level", "rate", "size", "smallest")

    def __init__(self, per_minute: float, smallest: float, now: float):
        self.smallest = smallest
        self.rate = self.size = self.level = 0.0
        self.at = now
        self.set_rate(per_minute, now)
        self.level = self.size

    def set_rate(self, per_minute: float, now: float, fresh: bool = False) -> None:
        """A smaller share pays for what the others took of it before this process knew; a fresh one, of
        which nothing was used yet, has the smallest amount in hand."""
        self._refill(now)
        rate = per_minute / 61  # and a second's worth in hand: 60 seconds let 61 seconds' worth pass
        self.level = self.smallest if fresh else self.level - max(0.0, self.rate - rate) * SYNC_S
        self.rate, self.size = rate, max(self.smallest, rate)
        self.level = min(self.level, self.size)

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until so much may pass."""
        self._refill(now)
        short = min(amount, self.size) - self.level
        return short / self.rate if short > 1e-6 else 0.0

    def take(self, amount: float) -> None:
        self.level -= amount

    def _refill(self, now: float) -> None:
        if now > self.at:
            self.level = min(self.size, self.level + (now - self.at) * self.rate)
            self.at = now
