"""Images from data URLs and files: checked by content, never by what the upload says they are."""

import base64
import binascii
import hashlib
import re
import warnings
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, UnidentifiedImageError

MAX_IMAGE_BYTES = 10_000_000
MAX_PIXELS = 40_000_000
DECODED_PIXELS = 4_000_000  # up to here the whole picture is decoded, so that a torn one is found
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"),
)  # fmt: skip
DATA_URL = re.compile(r"data:image/[a-z0-9.+-]+;base64,", re.IGNORECASE)


class BadImage(ValueError):
    """Not an image that we keep; the message says why."""


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """An image that passed; `media_type` is what its bytes are."""

    data: bytes
    media_type: str
    width_px: int
    height_px: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def kind_of(data: bytes) -> str:
    """The media type by the first bytes, or nothing for what is none of our images."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in MAGIC if data.startswith(magic)), "")


def from_data_url(text: str) -> CheckedImage:
    """The image in `data:image/…;base64,…`. Raises BadImage."""
    head = DATA_URL.match(text[:100])
    if not head:
        raise BadImage("not an image as a data URL (data:image/png;base64,…)")
    if (len(text) - head.end()) * 3 // 4 > MAX_IMAGE_BYTES + 2:
        raise BadImage(f"larger than {MAX_IMAGE_BYTES // 1_000_000} MB")
    try:
        data = base64.b64decode(text[head.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadImage("its base64 is not valid") from error
    return check_image(data)


def check_image(data: bytes) -> CheckedImage:
    """Type, size and pixels by the bytes themselves. Raises BadImage; decodes at most DECODED_PIXELS."""
    if len(data) > MAX_IMAGE_BYTES:
        raise BadImage(f"larger than {MAX_IMAGE_BYTES // 1_000_000} MB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return _opened(data)
    except UnidentifiedImageError as error:
        raise BadImage("not a PNG, JPEG, WebP or GIF image") from error
    except Image.DecompressionBombError as error:
        raise BadImage(_too_many_pixels()) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, BadImage):
            raise
        raise BadImage("the image is damaged") from error


def _opened(data: bytes) -> CheckedImage:
    with Image.open(BytesIO(data), formats=list(MEDIA_TYPES)) as image:
        kind, (width, height) = str(image.format), image.size
        if width * height > MAX_PIXELS:
            raise BadImage(_too_many_pixels())
        if getattr(image, "n_frames", 1) > 1:
            return _first_frame(image)
        image.verify()
    if width * height <= DECODED_PIXELS:
        with Image.open(BytesIO(data), formats=[kind]) as image:
            image.load()
    return CheckedImage(data=data, media_type=MEDIA_TYPES[kind], width_px=width, height_px=height)


def _first_frame(image: Image.Image) -> CheckedImage:
    """Of an animation, as PNG; that is what models and pages are shown."""
    image.seek(0)
    file = BytesIO()
    image.convert("RGBA" if image.has_transparency_data else "RGB").save(file, "PNG")
    if file.tell() > MAX_IMAGE_BYTES:
        raise BadImage(f"its first frame is larger than {MAX_IMAGE_BYTES // 1_000_000} MB")
    return CheckedImage(file.getvalue(), "image/png", *image.size)


def _too_many_pixels() -> str:
    return f"more than {MAX_PIXELS // 1_000_000} million pixels"
