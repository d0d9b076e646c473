"""A gate's decision as lines, JSON, JUnit XML, Markdown and step outputs. None of them holds a prompt or an answer."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import groupby
from xml.etree import ElementTree

from recover.gate.decide import Chance, Decision, Finding, Status
from recover.report.numbers import NONE, percent, sanitise
from recover.report.render import md, md_table

SCHEMA = "recover-align/decision/1"
WORDS = {Status.PASS: "passed", Status.FAIL: "failed", Status.INCONCLUSIVE: "could not decide"}
ELEMENTS = {Status.FAIL: "failure", Status.INCONCLUSIVE: "error", Status.WAIVED: "skipped", Status.WARN: "system-out"}


def headline(decision: Decision) -> str:
    """What was decided, and how many rules ended how."""
    found = [finding.status for finding in decision.findings]
    counts = ", ".join(f"{found.count(status)} {status}" for status in Status if status in found)
    return f"The gate {WORDS[decision.status]} on {clean(decision.judged)}: {counts}"


def lines(decision: Decision) -> str:
    """The decision for a terminal: one line a finding, then what follows from them."""
    rows = [(f.status, clean(f.rule), clean(f.place or NONE), clean(f.sentence)) for f in decision.findings]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    told = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows]
    return "\n".join([*told, headline(decision)]) + "\n"


def dumps(decision: Decision) -> str:
    """The decision as JSON."""
    data = {
        "schema": SCHEMA,
        "decision": decision.status,
        "exit_code": decision.exit_code,
        "judged": decision.judged,
        "date": decision.today.isoformat(),
        "findings": [asdict(finding) for finding in decision.findings],
    }
    return json.dumps(data, indent=1, allow_nan=False) + "\n"  # ASCII, so that any text from outside can be written


def junit(decision: Decision) -> str:
    """JUnit XML: a suite is a prompt set or task, a case is a rule; what could not be decided is an error."""
    root = ElementTree.Element("testsuites", {"name": "recover-align gate", **_totals(decision.findings)})
    for place, found in groupby(sorted(decision.findings, key=_place), key=_place):
        findings = tuple(found)
        suite = ElementTree.SubElement(root, "testsuite", {"name": place, **_totals(findings)})
        for finding in findings:
            _case(suite, place, finding)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text.decode() + "\n"


def _place(finding: Finding) -> str:
    return clean(finding.place or NONE)


def _totals(findings: tuple[Finding, ...]) -> dict[str, str]:
    found = [ELEMENTS.get(finding.status) for finding in findings]
    names = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    return {"tests": str(len(found)), **{name: str(found.count(element)) for name, element in names.items()}}


def _case(suite: ElementTree.Element, place: str, finding: Finding) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=place, name=clean(finding.rule))
    sentence = clean(finding.sentence)
    match ELEMENTS.get(finding.status):
        case None:
            return
        case "system-out":
            ElementTree.SubElement(case, "system-out").text = f"warning: {sentence}"
        case element:
            ElementTree.SubElement(case, element, message=sentence)


def markdown(decision: Decision) -> str:
    """The decision as Markdown, for a file, a pull request or the summary of a CI step."""
    rows = [[f.status, clean(f.rule), clean(f.place or NONE), clean(f.sentence)] for f in decision.findings]
    table = md_table(["ended", "rule", "on", "why"], rows, left=4)
    return f"## Release gate\n\n**{md(headline(decision))}**\n\n{table}\n"


def chances(found: Iterable[Chance]) -> str:
    """A plan for a terminal: one line a rule and set."""
    told = []
    for c in found:
        allowed = f"{c.allowed} of {c.n} allowed" if c.allowed is not None else f"{c.n} are too few to pass"
        power = ", ".join(f"{percent(chance)} at {percent(rate)}" for rate, chance in c.power.items())
        told.append(f"{clean(c.rule)}  {clean(c.place)}  limit {percent(c.limit)}: {allowed}; passes {power}\n")
    return "".join(told) or "no rule of the policy is about an upper bound on these sets\n"


def outputs(values: Mapping[str, str], delimiter: str) -> str:
    """Lines for $GITHUB_OUTPUT that keep values of several lines; `delimiter` is a line that no value holds."""
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())


def clean(text: str) -> str:
    """Text from outside on one line, without characters that no terminal, no UTF-8 file or no XML may hold."""
    return re.sub("[\ud800-\udfff\ufffe\uffff]", "\ufffd", sanitise(text))
