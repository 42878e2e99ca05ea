"""A gate report as JUnit XML: fail is a failure, inconclusive an error, so that CI shows both."""

import re
from xml.etree.ElementTree import Element, SubElement, tostring

from analysis.stats.noninferiority import Outcome
from benchmarks.selectors_gates import Report

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
KINDS = {Outcome.FAIL: "failure", Outcome.INCONCLUSIVE: "error"}


def junit_xml(report: Report) -> bytes:
    """One test suite, one test case a gate."""
    outcomes = [each.ruling.outcome for each in report.rulings]
    suite = Element(
        "testsuite",
        name=storable(f"gates of {report.title}"),
        tests=str(len(outcomes)),
        failures=str(outcomes.count(Outcome.FAIL)),
        errors=str(outcomes.count(Outcome.INCONCLUSIVE)),
    )
    for each in report.rulings:
        case = SubElement(suite, "testcase", classname=storable(report.title), name=storable(each.rule))
        told = each.ruling.figures
        if each.ruling.still_needed:
            told += f"; {each.ruling.still_needed}"
        kind = KINDS.get(Outcome(each.ruling.outcome))
        if kind:
            SubElement(case, kind, type=str(each.ruling.outcome), message=storable(told))
        else:
            SubElement(case, "system-out").text = storable(told)
    return (HEAD + str(tostring(suite, encoding="unicode")) + "\n").encode()


FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def storable(text: str) -> str:
    """Without what XML 1.0 cannot hold."""
    return FORBIDDEN.sub("\ufffd", text)
