"""Finding the number that a text gives as its answer, and saying which rule found it."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

READ = 100_000  # characters from the end of a text that are read
MARKS = 50  # marked answers that are tried, from the last one
DIGITS = 200  # a longer number is noise, not an answer

# 18 · 1,234.50 · .5 · 1e-3 · 3/4 · 1 3/4 · $5 · -$5 · $-5 · 50% · 50\% · \frac{1}{2}
NUMBER = re.compile(
    r"""
    (?<![\w./])                                    # not inside a word, a date or another number
    (?P<sign>(?<![\w.)\]}])[-+\u2212\u2013\u2010\u2011])?\ ?+
    (?:\\?[$€£¥₹]\s?)?
    (?P<sign2>[-\u2212])?
    (?:
      \\[dt]?frac\{(?P<top>[0-9]{1,50})\}\{(?P<bottom>[0-9]{1,50})\}
    |
      (?P<whole>[0-9]{1,3}(?:(?:,|\{,\}|\\,|[\ \u2009\u202f\u00a0])[0-9]{3})++(?![0-9/])|[0-9]++|(?=\.[0-9]))
      (?P<rest>\.[0-9]++)?
      (?P<power>[eE][-+]?[0-9]{1,3}(?![0-9]))?
      (?:
        (?P<mixed>\ [0-9]{1,50}/[0-9]{1,50})(?![0-9/.])
      | /(?P<under>[0-9]{1,50})(?![0-9/.])
      )?
    )
    (?P<percent>\s?\\?%|\spercent\b)?
    """,
    re.VERBOSE,
)
# "- 3" in running text is a subtraction or a list mark; a sign touches its number or currency.
LOOSE_SIGN = re.compile(r"[-+\u2212\u2013\u2010\u2011] ")

BOXED = re.compile(r"\\boxed\s*\{((?:[^{}\n]|\{[^{}\n]*\}){1,200})\}")
# What follows a mark is looked at, not consumed: a line may hold several marks.
HASHES = re.compile(r"####[ \t]{0,6}(?=([^\n]{1,200}))")
MARKER = re.compile(
    r"(?:^[ \t*_>#]{0,8}A|\b(?:ANSWER|Answer|answer))[*_ \t]{0,4}[:=][*_ \t]{0,6}(?=([^\n]{1,200}))",
    re.MULTILINE,
)
PHRASE = re.compile(r"\b(?:answer|result|total)\s(?:is|equals|=)\s*:?(?=([^\n]{1,200}))", re.IGNORECASE)

# The rule, what must stand in a text for it to fit (quick to see), and its mark.
RULES = (
    ("the number in \\boxed{…}", "\\boxed", BOXED),
    ("the number after ####", "####", HASHES),
    ("the number after the answer marker", "", MARKER),
    ("the number after “the answer is”", "", PHRASE),
)
WHOLE, LAST = "the whole text", "the last number"


@dataclass(frozen=True, slots=True)
class Found:
    """A number, the text it was written as, and the rule that found it."""

    value: Decimal
    text: str
    rule: str
    is_percent: bool = False


def read_number(text: str, *, fallback: bool = True) -> Found | None:
    """By the first rule that fits: the whole text, a marked answer (its last mark), the last number."""
    tail = text[-READ:]
    bare = tail.strip()
    if len(bare) <= DIGITS and bare.isascii() and bare.isdigit():
        return Found(Decimal(bare), bare, WHOLE)
    if len(bare) < 2 * DIGITS and (match := NUMBER.fullmatch(bare.rstrip("."))):
        return _found(match, WHOLE)
    for rule, needed, pattern in RULES:
        if needed not in tail:
            continue
        for marked in reversed(deque(pattern.finditer(tail), maxlen=MARKS)):
            if found := _marked(marked.group(1), rule):
                return found
    return last_number(tail) if fallback else None


def last_number(text: str) -> Found | None:
    """Wherever it stands; of the last READ characters."""
    last = deque(_numbers(text[-READ:], LAST), maxlen=1)
    return last[0] if last else None


def _marked(text: str, rule: str) -> Found | None:
    """The first number of a marked answer; after its last equals sign if it is a calculation."""
    return next(_numbers(text.rpartition("=")[2], rule), None) or next(_numbers(text, rule), None)


def _numbers(text: str, rule: str) -> Iterator[Found]:
    for match in NUMBER.finditer(text):
        if found := _found(match, rule):
            yield found


def _found(match: "re.Match[str]", rule: str) -> Found | None:
    if len(match.group()) > DIGITS:
        return None
    try:
        value = _value(match)
    except ArithmeticError:  # a fraction over 0
        return None
    written = LOOSE_SIGN.sub("", match.group()) if match["sign"] else match.group()
    return Found(value, written.strip(), rule, bool(match["percent"]))


def _value(match: "re.Match[str]") -> Decimal:
    if match["top"]:
        value = Decimal(match["top"]) / Decimal(match["bottom"])
    else:
        whole = match["whole"]
        whole = whole if whole.isdigit() else re.sub(r"[^0-9]", "", whole) or "0"
        value = Decimal(f"{whole}{match['rest'] or ''}{match['power'] or ''}")
        if match["mixed"]:
            top, _, bottom = match["mixed"].strip().partition("/")
            value += Decimal(top) / Decimal(bottom)
        elif match["under"]:
            value /= Decimal(match["under"])
    touching = match["sign"] and not LOOSE_SIGN.match(match.group())
    negative = (match["sign"] if touching else "") in ("-", "\u2212", "\u2013", "\u2010", "\u2011")
    return -value if negative != bool(match["sign2"]) else value
