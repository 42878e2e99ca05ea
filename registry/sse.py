"""Server-sent events: from pieces of a byte stream to the data of whole events."""


class EventLines:
    """Feed bytes, get the data of the events they complete. Comments and other fields are skipped."""

    __slots__ = ("_data", "_open")

    def __init__(self) -> None:
        self._open = b""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        *lines, self._open = (self._open + chunk).split(b"\n")
        events = []
        for line in lines:
            line = line.rstrip(b"\r")
            if not line:
                events += self._finish()
            elif line.startswith(b"data:"):
                self._data.append(line[5:].decode("utf-8", "replace").removeprefix(" "))
        return events

    def rest(self) -> list[str]:
        """An event that the end of the stream cut short of its blank line."""
        return self.feed(b"\n\n")

    def _finish(self) -> list[str]:
        events = ["\n".join(self._data)] if self._data else []
        self._data.clear()
        return events
