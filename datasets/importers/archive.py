"""What all zip-based formats share: members that stay inside, and limits on what they unpack to."""

import stat
import zipfile
from pathlib import PurePosixPath
from typing import BinaryIO

MAX_MEMBERS = 200_000
MAX_UNPACKED_BYTES = 8 << 30
SMALL_BYTES = 64 << 20  # a member up to here is taken whatever it was compressed from
MAX_RATIO = 100


class BadArchive(ValueError):
    """A zip that is not opened; the message says why."""


def opened(file: BinaryIO) -> zipfile.ZipFile:
    """The zip, after its table of contents was checked. Raises BadArchive."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadArchive("the zip is damaged; is it cut off?") from error
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise BadArchive(f"the zip holds more than {MAX_MEMBERS:,} files")
    for member in members:
        _check(member)
    if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise BadArchive(f"the zip unpacks to more than {MAX_UNPACKED_BYTES >> 30} GB")
    return archive


def _check(member: zipfile.ZipInfo) -> None:
    name = member.filename
    path = PurePosixPath(name.replace("\\", "/"))
    shown = name[:80]
    if path.is_absolute() or ".." in path.parts or name[1:2] == ":" or "\0" in name:
        raise BadArchive(f"the zip holds {shown!r}, a path that leads outside of it")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise BadArchive(f"the zip holds {shown!r}, a link; put the file itself there")
    if member.flag_bits & 1:
        raise BadArchive("the zip has a password; send it without")
    unpacked = member.file_size
    if unpacked > SMALL_BYTES and unpacked > MAX_RATIO * max(1, member.compress_size):
        raise BadArchive(f"{shown!r} in the zip unpacks to {unpacked >> 20:,} MB; it is a bomb")
