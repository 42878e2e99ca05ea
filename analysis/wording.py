"""A difference in words and figures, for pages, exports and the terminal: never more than was shown."""

from dataclasses import dataclass

from analysis.stats.results import Difference, Interval

MINUS = "−"


@dataclass(frozen=True, slots=True)
class Wording:
    """`figures`: "B − A = +17.4 pts [14.7, 20.0], p < 0.001, 1,319 pairs, 293 fixed, 64 broken";
    `sentence`: the same conclusion in words; `shown`: whether the interval leaves out 0."""

    figures: str
    sentence: str
    shown: bool


def worded(
    difference: Difference,
    p: float | None,
    first: str,
    second: str,
    *,
    share: bool = True,
    names: tuple[str, str] = ("A", "B"),
) -> Wording:
    """`first` and `second` are the runs' names in the sentence, `names` their letters in the figures.

    `p` as it is to be read, usually adjusted. `share`: the unit is points of a percentage.
    """
    interval, n = difference.interval, difference.interval.n
    if interval.value is None:
        return Wording(
            f"{names[1]} {MINUS} {names[0]}: no items in common", "There is nothing to compare.", False
        )
    parts = [f"{names[1]} {MINUS} {names[0]} = {change(interval, share)}"]
    parts += [f"p {p_text(p)}"] if p is not None else []
    parts += [f"{n:,} {'pair' if n == 1 else 'pairs'}"]
    fixed, broken = ("fixed", "broken") if share else ("higher", "lower")
    parts += [f"{difference.fixed:,} {fixed}", f"{difference.broken:,} {broken}"]
    return Wording(", ".join(parts), _sentence(difference, first, second, share), difference.shown)


def change(interval: Interval, share: bool) -> str:
    """The value with its sign and interval: "+17.4 pts [14.7, 20.0]"."""
    value = number(interval.value or 0.0, share, signed=True) + (" pts" if share else "")
    if interval.low is None or interval.high is None:
        return f"{value}, no interval: {interval.reason}"
    return f"{value} [{number(interval.low, share)}, {number(interval.high, share)}]"


def _sentence(difference: Difference, first: str, second: str, share: bool) -> str:
    interval = difference.interval
    if interval.low is None or interval.high is None:
        return f"{second} and {first} cannot be told apart: {interval.reason}."
    few = f" {interval.reason[0].upper()}{interval.reason[1:]}." if interval.reason else ""
    if not difference.shown:
        span = f"[{number(interval.low, share)}, {number(interval.high, share)}]"
        return f"No difference is shown between {second} and {first}: the interval {span} includes 0.{few}"
    more = "more" if interval.low > 0 else "fewer"
    if share:
        return f"{second} answers {more} items correctly than {first}.{few}"
    return f"{second} scores {'higher' if more == 'more' else 'lower'} than {first}.{few}"


def number(value: float, share: bool, *, signed: bool = False) -> str:
    """A share in points to one place, another value to three digits; a true minus sign."""
    text = f"{100 * value:.1f}" if share else f"{value:.3g}"
    bare = text.lstrip("-")
    negative = text.startswith("-") and float(bare) != 0
    return (MINUS if negative else "+" if signed and float(bare) != 0 else "") + bare


def p_text(p: float) -> str:
    """As it is read after "p": "< 0.001" or "= 0.003"."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
