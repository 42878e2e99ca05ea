"""Opening a zip that somebody sent: by name, within limits, never onto a path."""

import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any
from zipfile import BadZipFile, LargeZipFile, ZipFile, ZipInfo

import yaml

MOST_MEMBERS = 500
MOST_YAML = 1 << 20
MOST_NESTED = 64 << 20
MOST_RATIO = 200
MOST_DEPTH = 20


class BadBundle(ValueError):
    """Why the bundle cannot be taken, in words for people."""


class Archive:
    """The members of a zip by their name; a folder that holds everything is left out of the names."""

    def __init__(self, file: IO[bytes] | Path, *, most_bytes: int) -> None:
        try:
            self.zip = ZipFile(file)
        except (BadZipFile, LargeZipFile, OSError) as error:
            raise BadBundle("This is not a zip file.") from error
        self.most_bytes = most_bytes
        self.members = self._checked()

    def _checked(self) -> dict[str, ZipInfo]:
        found = [info for info in self.zip.infolist() if not info.is_dir()]
        if len(found) > MOST_MEMBERS:
            raise BadBundle(f"It holds more than {MOST_MEMBERS} files.")
        if sum(info.file_size for info in found) > self.most_bytes:
            raise BadBundle(f"Unpacked it is larger than {self.most_bytes >> 20} MB.")
        for info in found:
            if info.file_size > MOST_RATIO * max(1, info.compress_size) and info.file_size > 1 << 20:
                raise BadBundle(f"{info.filename} is packed more than {MOST_RATIO} times smaller.")
            if info.flag_bits & 1:
                raise BadBundle(f"{info.filename} is encrypted.")
        names = [PurePosixPath(info.filename.replace("\\", "/")) for info in found]
        tops = {name.parts[0] for name in names if name.parts}
        shared = 1 if len(tops) == 1 and all(len(name.parts) > 1 for name in names) else 0
        return {
            str(PurePosixPath(*name.parts[shared:])): info for name, info in zip(names, found, strict=True)
        }

    def chunks(self, name: str) -> Iterator[bytes]:
        """A member piece by piece; its declared size was checked, and it may not be longer."""
        info = self.members[name]
        left = info.file_size
        try:
            with self.zip.open(info) as member:
                while piece := member.read(min(1 << 20, left + 1)):
                    left -= len(piece)
                    if left < 0:
                        raise BadBundle(f"{name} is longer than it says.")
                    yield piece
        except (BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
            raise BadBundle(f"{name} cannot be unpacked.") from error

    def read(self, name: str, most: int) -> bytes:
        if self.members[name].file_size > most:
            raise BadBundle(f"{name} is larger than {most >> 20} MB.")
        return b"".join(self.chunks(name))

    def nested(self, name: str) -> "Archive":
        """A zip within the zip, in memory."""
        return Archive(io.BytesIO(self.read(name, MOST_NESTED)), most_bytes=self.most_bytes)

    def document(self, name: str) -> dict[str, Any]:
        """A YAML mapping, by safe_load; no aliases, which could make a small text large."""
        text = self.read(name, MOST_YAML)
        try:
            decoded = text.decode("utf-8-sig")
            if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(decoded)):
                raise BadBundle(f"{name} uses YAML aliases (*name); write the values out.")
            found = yaml.safe_load(decoded)
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
            if isinstance(error, BadBundle):
                raise
            raise BadBundle(f"{name} is not readable YAML: {str(error)[:200]}") from error
        if not isinstance(found, dict):
            raise BadBundle(f"{name} is not a mapping of names to values.")
        return found
