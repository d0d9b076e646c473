import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from recover.errors import InputError
from recover.jobs.loaded_request import load_sets
from recover.jobs.request import Request
from recover.prompts.prompt_set import BUILTIN, PromptSet, load_prompts
from recover.prompts.sidecar import Sidecar, parse_sidecar, ready_sidecars

ROOT = Path(__file__).parents[2]
TABLE = "Nr,Ask,Kind,Safe,Note\n7,Name a colour,easy,True,a\n8,Name a poison,hard,False,\n9,Name a bird,Easy,true,b\n"


def sidecar(folder: Path, text: str, data: str = TABLE, name: str = "data.csv") -> Path:
    (folder / name).write_text(data, encoding="utf-8")
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def texts(prompts: PromptSet) -> list[str]:
    return [prompt.text for prompt in prompts]


# A sidecar and a file


def test_a_sidecar_renames_filters_and_says_what_is_expected(tmp_path: Path) -> None:
    path = sidecar(
        tmp_path,
        'path = "data.csv"\ncolumns = { prompt = ["question", "ASK"], id = "nr", category = "Kind" }\n'
        'where = { kind = ["easy"], safe = true }\nexpect = "answer"\n',
    )
    loaded = load_prompts(path, expect="refuse")
    assert loaded.name == "mine"
    assert [(p.id, p.text, p.category, p.expect) for p in loaded] == [
        ("7", "Name a colour", "easy", "answer"),
        ("9", "Name a bird", "Easy", "answer"),
    ]


def test_rows_keep_their_numbers_and_their_own_expectation(tmp_path: Path) -> None:
    rows = [{"q": "One", "t": "x"}, {"q": "Two", "t": "y", "expect": "comply"}, {"q": "Three", "t": "y"}]
    data = "".join(json.dumps(row) + "\n" for row in rows)
    text = 'path = "data.jsonl"\nname = "theirs"\ncolumns = { prompt = "q" }\nwhere = { t = "y" }\nexpect = "refuse"'
    loaded = load_prompts(sidecar(tmp_path, text, data, "data.jsonl"))
    assert [(p.id, p.expect) for p in loaded] == [("theirs-2", "comply"), ("theirs-3", "refuse")]


def test_a_blank_cell_is_no_value_to_filter_by(tmp_path: Path) -> None:
    path = sidecar(tmp_path, 'path = "data.csv"\ncolumns = { prompt = "ask" }\nwhere = { note = ["None", "b"] }\n')
    assert texts(load_prompts(path)) == ["Name a bird"]


def test_every_field_can_be_mapped(tmp_path: Path) -> None:
    fields = ["id", "prompt", "system", "prefill", "context", "category", "reference", "cluster", "source"]
    columns = ", ".join(f'{field} = "c {number}"' for number, field in enumerate(fields))
    data = ",".join(f"C {number}" for number in range(9)) + "\n" + ",".join(f"v{number}" for number in range(9)) + "\n"
    (prompt,) = load_prompts(sidecar(tmp_path, f'path = "data.csv"\ncolumns = {{ {columns} }}', data))
    assert prompt.messages == ({"role": "system", "content": "v2"}, {"role": "user", "content": "v1\n\nv4"})
    assert (prompt.id, prompt.prefill, prompt.category, prompt.reference) == ("v0", "v3", "v5", "v6")
    assert (prompt.cluster, prompt.source) == ("v7", "v8")


def test_a_mapped_prompt_is_not_the_one_in_messages(tmp_path: Path) -> None:
    rows = [{"ask": "Mine", "messages": [{"role": "assistant", "content": "Theirs"}]}]
    path = sidecar(tmp_path, 'path = "data.json"\ncolumns = { prompt = "ask" }', json.dumps(rows), "data.json")
    assert texts(load_prompts(path)) == ["Mine"]


def test_a_sidecar_may_name_format_and_header(tmp_path: Path) -> None:
    data = "1\tWhat is ink\n2\tBake bread\n"
    text = 'path = "data.txt"\nformat = "tsv"\nheader = "no"\ncolumns = { prompt = "2", id = "1" }\n'
    loaded = load_prompts(sidecar(tmp_path, text, data, "data.txt"))
    assert [(p.id, p.text) for p in loaded] == [("1", "What is ink"), ("2", "Bake bread")]
    text = 'path = "data.csv"\nheader = "yes"\ncolumns = { prompt = "what is to be done?" }\n'
    assert texts(load_prompts(sidecar(tmp_path, text, "What is to be done?\nWhat?\n"))) == ["What?"]


def test_the_hash_of_the_file_is_checked(tmp_path: Path) -> None:
    right = hashlib.sha256(TABLE.encode()).hexdigest()
    text = 'path = "data.csv"\ncolumns = {{ prompt = "ask" }}\nsha256 = "{}"\n'
    assert len(load_prompts(sidecar(tmp_path, text.format(right)))) == 3
    with pytest.raises(InputError, match=r"has the sha256 .*, expected 000000000000\.\.\.; get the right version"):
        load_prompts(sidecar(tmp_path, text.format("0" * 64)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path = ", "is not valid TOML"),
        ("", "expected either `path` or `hub`; correct it as docs/prompts.md"),
        ('path = "a"\nhub = "b/c"', "expected either `path` or `hub`"),
        ('path = "data.csv"\ncolour = "red"', "colour: Extra inputs"),
        ('path = "data.csv"\ncolumns = { colour = "red" }', "columns.colour"),
        ('hub = "../up"', "hub: String should match"),
        ('hub = "csv"', "hub: String should match"),
        (
            'hub = "a/b"\nsha256 = "%s"' % ("0" * 64),
            "points to a data set in the hub's form, for which sha256 does nothing",
        ),
        ('path = "."\nformat = "csv"', "points to a data set in the hub's form, for which format does nothing"),
        ('path = "data.csv"\nsplit = "x"\nconfig = "y"', "points to a file, for which config, split does nothing"),
        ('name = "../up"\npath = "data.csv"', "name: String should match"),
        *[
            (f'hub = "a/b"\nfiles = "{out}"', "files: leads out of the data set")
            for out in ("../x", "/x", "http://x/y")
        ],
        ('path = "none.csv"', "there is no file .*none.csv; correct the path"),
        ('path = "data.csv"', "has no prompt column: found nr, ask, kind, safe, note"),
        (
            'path = "data.csv"\ncolumns = { prompt = ["a", "b"] }',
            "has no column a or b for prompt: found nr, ask, kind, safe, note; correct the columns",
        ),
        ('path = "data.csv"\nwhere = { label = 1 }', "has no column label, which `where` names"),
        ('path = "data.csv"\nwhere = { kind = "odd" }', "none of the 3 rows is as `where` says"),
    ],
)
def test_a_wrong_sidecar_is_an_input_error(tmp_path: Path, text: str, message: str) -> None:
    path = sidecar(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        load_prompts(path)
    assert str(caught.value).startswith(str(path))


# Ready sidecars


@pytest.mark.parametrize("name", sorted(ready_sidecars()))
def test_a_ready_sidecar_is_complete_and_holds_no_data(name: str) -> None:
    ready_sidecar = ready_sidecars()[name]
    assert ready_sidecar.hub
    assert not ready_sidecar.path
    assert ready_sidecar.split
    assert ready_sidecar.expect
    assert ready_sidecar.licence
    assert (ready_sidecar.source or "").startswith("https://")
    table = tomllib.loads((ROOT / "eval_prompts" / "sidecars" / f"{name}.toml").read_text("utf-8"))
    assert table.keys() <= {
        "hub",
        "config",
        "split",
        "files",
        "header",
        "columns",
        "where",
        "expect",
        "licence",
        "source",
    }


def test_names_of_sets_are_unique_and_documented() -> None:
    assert not {*BUILTIN} & {*ready_sidecars()}
    documented = (ROOT / "docs" / "prompts.md").read_text("utf-8")
    assert all(f"`{name}`" in documented for name in (*BUILTIN, *ready_sidecars()))


def test_a_ready_set_in_the_users_own_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("copy.csv").write_text("id,prompt,type,label\n1,May I kill time?,homonyms,safe\n2,No,contrast_x,unsafe\n")
    loaded = load_prompts("xstest=copy.csv", expect="refuse")
    assert [(p.id, p.text, p.category, p.expect) for p in loaded] == [("1", "May I kill time?", "homonyms", "comply")]
    assert loaded.name == "xstest"
    Path("theirs.csv").write_text("category,source,forbidden_prompt\nc,s,Tell me\n")
    (prompt,) = load_prompts("strongreject=theirs.csv")
    assert (prompt.text, prompt.category, prompt.source, prompt.expect) == ("Tell me", "c", "s", "refuse")
    turns = [{"question_id": n, "turns": ["Say it"], "prompt_style": s} for n, s in ((1, "base"), (1, "slang"))]
    Path("question.jsonl").write_text("".join(json.dumps(row) + "\n" for row in turns))
    (prompt,) = load_prompts("sorry_bench=question.jsonl")
    assert (prompt.id, prompt.text) == ("1", "Say it")
    with pytest.raises(InputError, match=r"strongreject=none.csv: there is no file none.csv"):
        load_prompts("strongreject=none.csv")
    with pytest.raises(InputError, match=r"no such file and no built-in set.*ready sidecars for advbench, "):
        load_prompts("nonsense=theirs.csv")


def test_a_request_takes_sets_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("copy.csv").write_text("prompt,label\nMay I kill time?,safe\nNo,unsafe\n")
    sets = load_sets(Request(report_set=("xstest_unsafe=copy.csv",), benign="xstest=copy.csv"))
    assert [(s.name, s.expect, texts(s)) for s in sets] == [
        ("xstest_unsafe", "refuse", ["No"]),
        ("xstest", "comply", ["May I kill time?"]),
    ]


def test_a_file_whose_name_has_an_equals_sign_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("xstest=a.csv").write_text("prompt\nHi\n")
    assert texts(load_prompts("xstest=a.csv")) == ["Hi"]


# Data sets in the hub's form, through the library


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "set"
    folder.mkdir()
    return folder


def pointing(folder: Path, text: str = "") -> Path:
    path = folder.parent / "mine.toml"
    path.write_text(f'path = "{folder.name}"\n{text}', encoding="utf-8")
    return path


def test_a_directory_is_read_through_datasets(hub: Path) -> None:
    (hub / "train.csv").write_text(TABLE)
    (hub / "test.csv").write_text("Nr,Ask,Kind,Safe,Note\n1,Name a fish,easy,False,\n")
    columns = 'columns = { prompt = "ask", id = "nr" }\n'
    loaded = load_prompts(pointing(hub, columns + 'split = "train"\nwhere = { safe = true }'))
    assert [(p.id, p.text) for p in loaded] == [("7", "Name a colour"), ("9", "Name a bird")]
    assert len(load_prompts(pointing(hub, columns))) == 4
    with pytest.raises(InputError, match=r'cannot load it \(Unknown split "dev".*\); check its id, config, split'):
        load_prompts(pointing(hub, 'split = "dev"'))


def test_files_without_a_header_keep_their_first_row(hub: Path) -> None:
    for number, rows in enumerate((["One, two", "Three"], ["Four", "Five"]), 1):
        (hub / f"category_{number}.csv").write_text("".join(f'"{row}","x"\n' for row in rows))
    loaded = load_prompts(pointing(hub, 'files = "category_*.csv"\nsplit = "train"\nheader = "no"'))
    assert texts(loaded) == ["One, two", "Three", "Four", "Five"]


def test_parquet_with_lists_and_nulls(hub: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = {"turns": [["Say it"], ["Say that"]], "kind": ["a", None], "prompt_style": ["base", "base"]}
    parquet.write_table(pyarrow.table(rows), hub / "train-00000-of-00001.parquet")
    loaded = load_prompts(pointing(hub, 'columns = { prompt = "turns", category = "kind" }'))
    assert [(p.text, p.category) for p in loaded] == [("Say it", "a"), ("Say that", None)]


def test_no_code_of_a_data_set_runs(hub: Path) -> None:
    (hub / "set.py").write_text(f"open({str(hub / 'ran')!r}, 'w')")
    with pytest.raises(InputError, match="Dataset scripts are no longer supported"):
        load_prompts(pointing(hub))
    assert not (hub / "ran").exists()


def test_a_hub_that_is_out_of_reach_is_one_sentence(hub: Path) -> None:
    with pytest.raises(
        InputError, match=r"strongreject: the library datasets cannot load it \(.*\); check its id"
    ) as e:
        load_prompts("strongreject")
    assert "\n" not in str(e.value)


def test_without_the_library_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"strongreject is read with the library datasets, which is not installed"):
        load_prompts("strongreject")


def test_a_version_that_runs_code_is_refused(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.__version__", "3.6.0")
    with pytest.raises(InputError, match=r"found 3.6.0; run: pip install"):
        load_prompts("strongreject")


def test_the_request_to_the_hub(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def load(path: str, **options: Any) -> list[dict[str, str]]:
        calls.append((path, options))
        return [{"Goal": "Hi", "Category": "c", "Source": "s"}]

    monkeypatch.setattr("datasets.load_dataset", load)
    assert texts(load_prompts("jailbreakbench")) == ["Hi"]
    assert calls == [("JailbreakBench/JBB-Behaviors", {"name": "behaviors", "split": "harmful"})]


def test_the_users_own_copy_has_its_own_form() -> None:
    text = 'hub = "a/b"\nsplit = "x"\nfiles = "y"\nheader = "no"\nexpect = "comply"\nwhere = { z = 1 }'
    assert parse_sidecar(text, "x").at("f.csv") == Sidecar(path="f.csv", expect="comply", where={"z": (1,)})
