"""`file:labels.jsonl`: human labels, or verdicts that another program gave, by the prompt's id.

A row has `id`, `verdict` and, where the same prompt has more than one answer, the labelled `answer` (or its sha256 as
`answer_sha256`). An answer whose prompt has only labels of other answers is UNSCORED.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recover.errors import InputError, first_problem
from recover.judges.protocol import Item, Judge, Judgement, Verdict, unscored
from recover.judges.spec import file_digest, split_options
from recover.prompts.prompt_set import text_digest
from recover.prompts.table_files import read_rows


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)
    id: str
    verdict: Verdict
    answer: str | None = None
    answer_sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$")] = None
    raw: str = ""
    p_harmful: Annotated[float | None, Field(ge=0, le=1)] = None


LabelKey = tuple[str, str | None]  # the prompt's id, and the sha256 of the answer if the row has one


def from_argument(argument: str) -> Judge:
    """Labels in a file, by the prompt's id, `file:labels.jsonl`."""
    path, _ = split_options("file", argument)
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{path}: no such file; 'file:' takes the path of a file of labels.")
    return LabelsFromFile(path, file_digest(file), _read(file))


@dataclass(frozen=True)
class LabelsFromFile:
    """A judge that looks verdicts up. An answer without a label is UNSCORED."""

    source: str
    fingerprint: str
    rows: dict[LabelKey, Judgement]

    @property
    def name(self) -> str:
        return f"file:{self.source}"

    def __call__(self, items: Sequence[Item]) -> list[Judgement]:
        """Look each answer up. A label that names its answer is preferred to one that does not."""
        return [self._find(prompt.id, text_digest(answer.text)) for prompt, answer in items]

    def _find(self, id_: str, answer: str) -> Judgement:
        missing = unscored("no label for this answer")
        return self.rows.get((id_, answer)) or self.rows.get((id_, None)) or missing


def _read(file: Path) -> dict[LabelKey, Judgement]:
    judgements: dict[LabelKey, Judgement] = {}
    for number, cells in enumerate(read_rows(file, str(file), set(_Row.model_fields)), 1):
        where = f"{file}, row {number}"
        try:
            row = _Row.model_validate({name: cell for name, cell in cells.items() if cell is not None})
        except ValidationError as error:
            raise InputError(f"{where}: {first_problem(error)}; correct the row or leave it out.") from error
        blank = "answer" in cells and row.answer_sha256 is None  # the row labels an empty answer
        answer = row.answer or ("" if blank else None)
        key = (row.id, text_digest(answer) if answer is not None else row.answer_sha256)
        if key in judgements:
            raise InputError(f"{where}: {row.id} has two labels for the same answer; leave one out.")
        judgements[key] = Judgement(row.verdict, row.verdict is Verdict.REFUSED, row.raw, row.p_harmful)
    return judgements
