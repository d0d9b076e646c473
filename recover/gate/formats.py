"""A decision as lines, JSON, JUnit XML, Markdown and step outputs. None of them holds a prompt or an answer."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import groupby
from xml.etree import ElementTree

from recover.gate.decide import Chance, Decision, Finding, Status
from recover.report.numbers import NONE, percent, sanitise
from recover.report.render import md, md_table

DECISION_SCHEMA = "recover-align/decision/1"
STATUS_WORDS = {Status.PASS: "passed", Status.FAIL: "failed", Status.INCONCLUSIVE: "could not decide"}
JUNIT_ELEMENTS = {
    Status.FAIL: "failure",
    Status.INCONCLUSIVE: "error",
    Status.WAIVED: "skipped",
    Status.WARN: "system-out",
}


def headline(decision: Decision) -> str:
    """The decision in one line, with the number of findings of each status."""
    statuses = [finding.status for finding in decision.findings]
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in Status if status in statuses)
    return f"The gate {STATUS_WORDS[decision.status]} on {clean(decision.judged)}: {counts}"


def lines(decision: Decision) -> str:
    """The decision for a terminal: a line for each finding, then the headline."""
    rows = [(f.status, clean(f.rule), clean(f.place or NONE), clean(f.sentence)) for f in decision.findings]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    texts = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows
    ]
    return "\n".join([*texts, headline(decision)]) + "\n"


def dumps(decision: Decision) -> str:
    """The decision as JSON."""
    data = {
        "schema": DECISION_SCHEMA,
        "decision": decision.status,
        "exit_code": decision.exit_code,
        "judged": decision.judged,
        "date": decision.today.isoformat(),
        "findings": [asdict(finding) for finding in decision.findings],
    }
    return json.dumps(data, indent=1, allow_nan=False) + "\n"  # ASCII: it holds any text from outside


def junit(decision: Decision) -> str:
    """JUnit XML: a suite is a prompt set or task, a case is a rule, an error is a rule that could not be decided."""
    root = ElementTree.Element("testsuites", {"name": "recover-align gate", **_totals(decision.findings)})
    for name, group in groupby(sorted(decision.findings, key=_suite_name), key=_suite_name):
        findings = tuple(group)
        suite = ElementTree.SubElement(root, "testsuite", {"name": name, **_totals(findings)})
        for finding in findings:
            _case(suite, name, finding)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text.decode() + "\n"


def _suite_name(finding: Finding) -> str:
    return clean(finding.place or NONE)


def _totals(findings: tuple[Finding, ...]) -> dict[str, str]:
    elements = [JUNIT_ELEMENTS.get(finding.status) for finding in findings]
    names = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    return {"tests": str(len(elements)), **{name: str(elements.count(element)) for name, element in names.items()}}


def _case(suite: ElementTree.Element, suite_name: str, finding: Finding) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=suite_name, name=clean(finding.rule))
    sentence = clean(finding.sentence)
    match JUNIT_ELEMENTS.get(finding.status):
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


def chances(plan: Iterable[Chance]) -> str:
    """A plan for a terminal: a line for each rule and set."""
    texts = []
    for c in plan:
        allowed = f"{c.allowed} of {c.n} allowed" if c.allowed is not None else f"{c.n} are too few to pass"
        power = ", ".join(f"{percent(chance)} at {percent(rate)}" for rate, chance in c.power.items())
        texts.append(f"{clean(c.rule)}  {clean(c.place)}  limit {percent(c.limit)}: {allowed}; passes {power}\n")
    return "".join(texts) or "the policy has no upper-bound rule on these sets\n"


def outputs(values: Mapping[str, str], delimiter: str) -> str:
    """Lines for $GITHUB_OUTPUT. Values may have several lines; `delimiter` must be a line that no value holds."""
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())


def clean(text: str) -> str:
    """Text from outside on one line, without characters that are unsafe in a terminal or invalid in UTF-8 or XML."""
    return re.sub("[\ud800-\udfff\ufffe\uffff]", "\ufffd", sanitise(text))
