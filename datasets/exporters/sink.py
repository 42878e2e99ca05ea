"""A file that writers write to while what they wrote is sent on."""


class Sink:
    """Holds what was written since the last `taken`; cannot go back."""

    closed = False

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        piece = bytes(data)
        self.held.append(piece)
        self.size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def taken(self) -> bytes:
        piece, self.held = b"".join(self.held), []
        return piece
