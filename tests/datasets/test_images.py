"""Images are told by their bytes; bombs are refused before they are decoded."""

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image

from datasets.images import BadImage, check_image, from_data_url
from tests.datasets.files import data_url, png


def encoded(kind: str) -> bytes:
    file = BytesIO()
    Image.new("RGB", (5, 6), "blue").save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_four_types_are_taken(kind: str) -> None:
    image = check_image(encoded(kind))
    assert (image.media_type, image.width_px, image.height_px) == (f"image/{kind.lower()}", 5, 6)


def test_the_type_is_what_the_bytes_are() -> None:
    assert from_data_url(data_url(encoded("GIF"), "image/png")).media_type == "image/gif"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a",
        encoded("BMP"),
        encoded("TIFF"),
        png()[:-20],
    ],
)
def test_whatever_else_is_refused(data: bytes) -> None:
    with pytest.raises(BadImage):
        check_image(data)


def pixel_bomb(side: int) -> bytes:
    """A PNG of a few kB that says it has side × side pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [7000, 20_000, 100_000])
def test_a_pixel_bomb_is_refused_by_its_header(side: int) -> None:
    with pytest.raises(BadImage, match="40 million pixels"):
        check_image(pixel_bomb(side))


def test_size_is_limited_before_decoding() -> None:
    with pytest.raises(BadImage, match="larger than 10 MB"):
        from_data_url("data:image/png;base64," + "A" * 14_000_000)


@pytest.mark.parametrize(
    "text",
    ["http://example.com/a.png", "data:text/html;base64,AAAA", "data:image/png;base64,###", "image.png"],
)
def test_only_data_urls_of_images(text: str) -> None:
    with pytest.raises(BadImage):
        from_data_url(text)
