"""The demo dataset's pictures, drawn here: shapes to count, charts and clocks to read."""

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

SIZE = (360, 240)
PAPER, INK = "#ffffff", "#1f2933"
COLOURS = {"blue": "#2f6fdb", "red": "#d64545", "green": "#2f9e62", "amber": "#e0a100"}
Point = tuple[float, float]
Draw = ImageDraw.ImageDraw


def data_url(draw: Callable[[Draw], None]) -> str:
    """A PNG as a data URL."""
    image = Image.new("RGB", SIZE, PAPER)
    draw(ImageDraw.Draw(image))
    file = BytesIO()
    image.quantize(colors=32).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def shapes(places: list[tuple[str, str, int, int]]) -> Callable[[Draw], None]:
    """Circles, squares and triangles: (shape, colour, column 0-5, row 0-3)."""

    def draw(canvas: Draw) -> None:
        for shape, colour, column, row in places:
            x, y, reach = 30 + column * 60, 30 + row * 60, 20
            fill = COLOURS[colour]
            if shape == "circle":
                canvas.ellipse((x - reach, y - reach, x + reach, y + reach), fill=fill)
            elif shape == "square":
                canvas.rectangle((x - reach, y - reach, x + reach, y + reach), fill=fill)
            else:
                canvas.polygon([(x, y - reach), (x - reach, y + reach), (x + reach, y + reach)], fill=fill)

    return draw


def bars(values: dict[str, int], top: int) -> Callable[[Draw], None]:
    """A bar chart with a labelled grid line for every quarter of `top`."""

    def draw(canvas: Draw) -> None:
        font = ImageFont.load_default(13)
        for step in range(5):
            y = 200 - step * 42
            canvas.line((46, y, 346, y), fill="#d5dbe1")
            canvas.text((40, y), str(top * step // 4), fill=INK, font=font, anchor="rm")
        width = 300 / len(values)
        for at, (name, value) in enumerate(values.items()):
            left = 46 + at * width + width * 0.2
            canvas.rectangle((left, 200 - 168 * value / top, left + width * 0.6, 200), fill=COLOURS["blue"])
            canvas.text((left + width * 0.3, 216), name, fill=INK, font=font, anchor="mm")

    return draw


def clock(hour: int, minute: int) -> Callable[[Draw], None]:
    centre, radius = (SIZE[0] / 2, SIZE[1] / 2), 104

    def tip(turns: float, reach: float) -> Point:
        angle = turns * 2 * math.pi
        return centre[0] + math.sin(angle) * reach, centre[1] - math.cos(angle) * reach

    def draw(canvas: Draw) -> None:
        font = ImageFont.load_default(17)
        canvas.ellipse(
            (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius),
            outline=INK,
            width=3,
        )
        for number in range(1, 13):
            canvas.text(tip(number / 12, radius - 18), str(number), fill=INK, font=font, anchor="mm")
        canvas.line((centre, tip((hour % 12 + minute / 60) / 12, 52)), fill=INK, width=7)
        canvas.line((centre, tip(minute / 60, 78)), fill=COLOURS["blue"], width=4)

    return draw


def slices(parts: list[tuple[str, int]]) -> Callable[[Draw], None]:
    """A pie of (colour, quarters)."""

    def draw(canvas: Draw) -> None:
        start = -90
        for colour, quarters in parts:
            canvas.pieslice(
                (90, 30, 270, 210), start, start + 90 * quarters, fill=COLOURS[colour], outline=PAPER
            )
            start += 90 * quarters

    return draw


def scattered(*groups: tuple[str, str, int]) -> list[tuple[str, str, int, int]]:
    """Places for groups of (shape, colour, how many), spread over the grid without overlap."""
    cells = [(at * 7 % 24 % 6, at * 7 % 24 // 6) for at in range(24)]
    wanted = [(shape, colour) for shape, colour, count in groups for _ in range(count)]
    return [(shape, colour, *cell) for (shape, colour), cell in zip(wanted, cells, strict=False)]


SALES = {"Mon": 20, "Tue": 35, "Wed": 15, "Thu": 40, "Fri": 30}
RAIN = {"Jan": 60, "Apr": 40, "Jul": 20, "Oct": 80}
MIXED = scattered(("circle", "blue", 5), ("square", "red", 4), ("triangle", "green", 3))
MANY = scattered(("circle", "red", 7), ("circle", "blue", 4), ("square", "blue", 6))


@dataclass(frozen=True, slots=True)
class Picture:
    """A question about a drawing; `answer` is a number, or the letter of a choice."""

    question: str
    answer: str
    working: str
    draw: Callable[[Draw], None]
    choices: tuple[str, ...] = ()


PICTURES = (
    Picture(
        "How many blue circles are in the picture?",
        "5",
        "Counting the round blue shapes gives 5.",
        shapes(MIXED),
    ),
    Picture(
        "How many shapes in the picture have corners?",
        "7",
        "There are 4 squares and 3 triangles. 4 + 3 = 7.",
        shapes(MIXED),
    ),
    Picture(
        "How many shapes in the picture are blue?",
        "10",
        "There are 4 blue circles and 6 blue squares. 4 + 6 = 10.",
        shapes(MANY),
    ),
    Picture(
        "How many more red circles than blue circles are in the picture?",
        "3",
        "There are 7 red circles and 4 blue ones. 7 − 4 = 3.",
        shapes(MANY),
    ),
    Picture(
        "The chart shows the sales of a week. On which day were they highest?",
        "C",
        "The tallest bar stands over Thu.",
        bars(SALES, 40),
        ("Monday", "Tuesday", "Thursday", "Friday"),
    ),
    Picture(
        "The chart shows the sales of a week. How many were sold on Monday and Friday together?",
        "50",
        "Monday shows 20 and Friday 30. 20 + 30 = 50.",
        bars(SALES, 40),
    ),
    Picture(
        "The chart shows rain in millimetres. By how many millimetres is October wetter than July?",
        "60",
        "October shows 80 and July 20. 80 − 20 = 60.",
        bars(RAIN, 80),
    ),
    Picture(
        "What time does the clock show?",
        "B",
        "The short hand points to 9 and the long one to 12. It is 9 o'clock.",
        clock(9, 0),
        ("3:00", "9:00", "12:15", "12:45"),
    ),
    Picture(
        "Which of these times does the clock show?",
        "A",
        "The long hand points to 6, so it is half past. The short hand is between 1 and 2.",
        clock(1, 30),
        ("1:30", "6:10", "2:30", "6:05"),
    ),
    Picture(
        "How many minutes are left until four o'clock?",
        "20",
        "The clock shows 3:40. 60 − 40 = 20.",
        clock(3, 40),
    ),
    Picture(
        "Which part of the circle is red?",
        "B",
        "Two of four quarters are red. That is a half.",
        slices([("red", 2), ("blue", 1), ("green", 1)]),
        ("A quarter", "A half", "Three quarters", "All of it"),
    ),
)
