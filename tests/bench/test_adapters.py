"""docs/adapters.md: a row for every type that peft registers, and a few cells made again."""

from pathlib import Path

import pytest

from bench import adapters

ROWS = {
    cells[0].strip(): [cell.strip() for cell in cells[1:3]]
    for line in adapters.PAGE.read_text("utf-8").splitlines()
    if line.startswith("| ") and (cells := line.strip("|").split("|"))
}


def test_every_type_has_a_row() -> None:
    assert {*ROWS} - {"type"} == {*adapters.kinds()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("title", ["IA3", "LORA, DoRA", "LORA, PiSSA", "PROMPT_TUNING", "VERA"])
@pytest.mark.parametrize("family", [*adapters.TARGETS])
def test_a_cell_is_what_comes_of_the_type(tmp_path: Path, title: str, family: str) -> None:
    peft_type, options = adapters.kinds()[title]
    base = adapters.save_base(family, tmp_path / "base")
    cell = ROWS[title][[*adapters.TARGETS].index(family)]
    assert adapters.outcome(peft_type, options, family, base) == cell
