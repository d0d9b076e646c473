import csv
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import CHAT_TEMPLATE, byte_tokenizer
from tokenizers.processors import TemplateProcessing

from recover.errors import InputError, Undecided
from recover.prompts.chat_template import encode, resolve_template
from recover.prompts.prompt_set import BUILTIN, Prompt, PromptSet, leaks, load_prompts, make_set, normalised, split

WRITERS = {
    ".jsonl": lambda rows: "".join(json.dumps(row) + "\n" for row in rows),
    ".json": json.dumps,
}


def write(folder: Path, name: str, rows: list[object] | str | bytes) -> Path:
    path = folder / name
    if isinstance(rows, bytes):
        path.write_bytes(rows)
    else:
        path.write_text(rows if isinstance(rows, str) else WRITERS[path.suffix](rows), encoding="utf-8")
    return path


def write_csv(folder: Path, name: str, rows: list[list[str]], delimiter: str = ",") -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def texts(prompts: PromptSet) -> list[str]:
    return [prompt.text for prompt in prompts]


def prompts_of(*contents: str, name: str = "set") -> PromptSet:
    turns = [({"role": "user", "content": text},) for text in contents]
    return make_set(name, [Prompt(f"{name}-{n}", turn) for n, turn in enumerate(turns, 1)])


# Files ----------------------------------------------------------------------------------------------------------


def test_jsonl_with_every_column(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name a colour."}]
    rows = [
        {"id": "a", "prompt": "Two and two?", "expect": "answer", "category": "sums", "reference": 4, "metric": "f1"},
        {"id": 7, "messages": chat, "choices": ["red", "green"], "unknown": {"x": 1}},
    ]
    first, second = load_prompts(write(tmp_path, "s.jsonl", rows), expect="comply")
    assert first == Prompt(
        "a", ({"role": "user", "content": "Two and two?"},), "answer", "sums", reference="4", metric="f1"
    )
    assert second == Prompt("7", tuple(chat), "comply", choices=("red", "green"))
    assert second.text == "Name a colour."


@pytest.mark.parametrize(
    ("header", "column", "category"),
    [
        (["goal", "target"], 0, None),
        (["", "Goal", "Target", "Behavior", "Category", "Source"], 1, 4),
        (["Behavior", "FunctionalCategory", "SemanticCategory", "Tags", "ContextString", "BehaviorID"], 0, 2),
        (["category", "source", "forbidden_prompt"], 2, 0),
        (["label", "PROMPT", "type", "focus"], 1, 2),
        (["User Input"], 0, None),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_public_shapes(tmp_path: Path, header: list[str], column: int, category: int | None, suffix: str) -> None:
    rows = [["" if header[c] == "ContextString" else f"cell {r}, {c}" for c in range(len(header))] for r in (1, 2)]
    path = write_csv(tmp_path, f"public{suffix}", [header, *rows], "\t" if suffix == ".tsv" else ",")
    loaded = load_prompts(path)
    assert texts(loaded) == [row[column] for row in rows]
    assert [prompt.category for prompt in loaded] == [None if category is None else row[category] for row in rows]
    assert [prompt.id for prompt in loaded] == ["public-1", "public-2"]
    assert loaded.name == "public"


def test_csv_without_header(tmp_path: Path) -> None:
    rows = [["Tell me how a lock, any lock, works"], ["Bake bread"]]
    assert texts(load_prompts(write_csv(tmp_path, "x.csv", rows))) == [row[0] for row in rows]
    rows = [["Who are you?", "me"], ["Why", "so"]]
    assert texts(load_prompts(write_csv(tmp_path, "y.csv", rows))) == ["Who are you?", "Why"]


def test_csv_keeps_line_breaks_and_forgives_blank_lines_and_short_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", '\ufeffPrompt,note\r\n"one\n\ntwo",n\r\n\r\nthree\r\n')
    assert texts(load_prompts(path)) == ["one\n\ntwo", "three"]


def test_txt_and_json_lists(tmp_path: Path) -> None:
    assert texts(load_prompts(write(tmp_path, "x.txt", "First one\r\n\r\nSecond\u2028one\n"))) == [
        "First one",
        "Second\u2028one",
    ]
    assert texts(load_prompts(write(tmp_path, "x.json", ["First", "Second"]))) == ["First", "Second"]
    rows = [{"instruction": "Write a poem.", "category": None}, {"instruction": "Translate.", "input": "Guten Tag"}]
    loaded = load_prompts(write(tmp_path, "y.json", rows))
    assert texts(loaded) == ["Write a poem.", "Translate.\n\nGuten Tag"]
    assert loaded.prompts[0].category is None


def test_the_text_that_a_request_is_about_follows_it(tmp_path: Path) -> None:
    rows = [["Behavior", "ContextString"], ["Summarise this", "Once upon a time"], ["Sing", " "]]
    assert texts(load_prompts(write_csv(tmp_path, "x.csv", rows))) == ["Summarise this\n\nOnce upon a time", "Sing"]


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "x.parquet"
    columns = {"Question": ["Why?", "How?"], "type": [["a", "b"], None], "id": [1.0, 2.0]}
    parquet.write_table(pyarrow.table(columns), path)
    loaded = load_prompts(path)
    assert texts(loaded) == ["Why?", "How?"]
    assert [prompt.category for prompt in loaded] == ["a, b", None]
    with pytest.raises(InputError, match="not a readable parquet"):
        load_prompts(write(tmp_path, "bad.parquet", b"PAR1 not really"))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"pip install 'recover-align\[parquet\]'"):
        load_prompts(path)


def test_odd_cells(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "Hello"}]
    rows = [
        {"prompt": chat, "category": {"fraud": True, "hate": False, "spam": True}},
        {"prompt": "Pick", "choices": "yes | no", "id": float("nan")},
    ]
    first, second = load_prompts(write(tmp_path, "x.jsonl", rows))
    assert (first.text, first.category) == ("Hello", "fraud, spam")
    assert (second.id, second.choices) == ("x-2", ("yes", "no"))


def test_duplicate_texts_are_dropped(tmp_path: Path) -> None:
    loaded = load_prompts(write(tmp_path, "x.txt", "Ask me\nask  ME\nTell me\n"), name="mine")
    assert [(prompt.id, prompt.text) for prompt in loaded] == [("mine-1", "Ask me"), ("mine-3", "Tell me")]
    assert len(loaded) == 2


def test_hash_is_of_the_prompts_not_of_the_file(tmp_path: Path) -> None:
    one = load_prompts(write(tmp_path, "x.jsonl", [{"id": "a", "prompt": "Hi", "extra": 1}]))
    two = load_prompts(write_csv(tmp_path, "y.csv", [["Prompt", "ID"], ["Hi", "a"]]))
    other = load_prompts(write_csv(tmp_path, "z.csv", [["Prompt", "ID"], ["Ho", "a"]]))
    assert one.sha256 == two.sha256 != other.sha256
    assert len(one.sha256) == 64


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", "", "is empty"),
        ("x.json", " ", "is empty"),
        ("x.csv", "prompt\n", "is empty"),
        ("x.csv", "sentence,label\na b,1\n", "no prompt column: found sentence, label, expected one of prompt, goal"),
        ("x.csv", 'prompt\n"abc', "line 2: invalid CSV"),
        ("x.csv", "prompt,id\nOh, no,3\n", "row 1 has 3 cells and the first line 2"),
        ("x.csv", "Tell me about the sea\nand, please, the sky\n", "row 2 has 3 cells and the first line 1"),
        ("x.jsonl", '{"prompt": "a"}\n\n{"prompt": \n', "line 3: invalid JSON"),
        ("x.json", '[\n"a",\nb]', "line 3: invalid JSON"),
        ("x.json", '{"prompt": "a"}', "holds one JSON dict; expected a list"),
        ("x.jsonl", '"a"\n[1]\n', "row 2 is a JSON list"),
        ("x.jsonl", '{"prompt": "a"}\n{"prompt": " "}\n', "row 2: the prompt is empty"),
        ("x.jsonl", '{"prompt": "a"}\n{"id": 4}\n', "row 2: the prompt is empty"),
        ("x.jsonl", '{"prompt": "a", "expect": "refusal"}\n', "row 1: expect: Input should be 'refuse'"),
        ("x.jsonl", '{"messages": [{"role": "user", "content": " "}]}', "row 1: messages.0.content: is empty"),
        ("x.jsonl", '{"messages": [{"role": "assistant", "content": "a"}]}', "last message is not the user's"),
        (
            "x.jsonl",
            "".join(f'{{"prompt": "{n}", "id": {n // 2}}}\n' for n in range(10)),
            r"5 ids occur more than once \(0, 1, 2 and 2 more\)",
        ),
        ("x.docx", "prompt", "the suffix '.docx'"),
        ("x.txt", b"caf\xe9\n", "not UTF-8 .byte 3 is 0xe9"),
    ],
)
def test_input_errors(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(InputError, match=message) as caught:
        load_prompts(path)
    assert str(caught.value).startswith(str(path))


def test_what_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file and no built-in set; the built-in sets are capture_harmful"):
        load_prompts("capture_harmfull")
    with pytest.raises(InputError, match="is not a file"):
        load_prompts(tmp_path)


def test_a_name_is_a_built_in_set_and_a_path_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    (package / "sidecars").mkdir(parents=True)
    write(package, "general.jsonl", [{"id": "g", "prompt": "From the package"}])
    monkeypatch.setattr("recover.prompts.sidecar.resources.files", lambda _: package)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "general.jsonl", [{"prompt": "From the file"}])
    Path("general").mkdir()
    assert texts(load_prompts("general")) == ["From the package"]
    assert texts(load_prompts("general.jsonl")) == texts(load_prompts("./general.jsonl")) == ["From the file"]
    with pytest.raises(InputError, match="report_harmful: cannot be read"):
        load_prompts("report_harmful")
    assert set(BUILTIN) > {"general"}


def test_head_and_subset() -> None:
    prompts = prompts_of("one", "two", "three")
    assert texts(prompts.head(2)) == ["one", "two"]
    assert prompts.head(9) == prompts
    assert prompts.head(2).sha256 != prompts.sha256
    assert texts(prompts.subset(["set-3", "set-1"])) == ["one", "three"]
    with pytest.raises(ValueError, match="no such prompt in set: nine"):
        prompts.subset(["nine"])
    with pytest.raises(ValueError, match="at least 1"):
        prompts.head(0)


# Leaks and splits -----------------------------------------------------------------------------------------------


def test_leaks_are_equal_prompts_and_near_ones() -> None:
    evaluated = prompts_of("How  do I bake BREAD?", "a b c d e", "wholly other", "?!", name="e")
    seen = prompts_of("how do i bake bread?", "a b c d e f", "a b c d", "?!", "!?", name="s")
    assert leaks(evaluated, seen) == [
        ("e-1", "s-1", 1.0),
        ("e-2", "s-2", pytest.approx(5 / 6)),
        ("e-2", "s-3", 0.8),
        ("e-4", "s-4", 1.0),
    ]
    assert [pair[:2] for pair in leaks(evaluated, seen, threshold=1)] == [("e-1", "s-1"), ("e-4", "s-4")]
    with pytest.raises(ValueError, match="threshold"):
        leaks(evaluated, seen, threshold=0)


SAYINGS = st.lists(st.text("abcdef", max_size=1).map(lambda t: t or "g"), min_size=1, max_size=8).map(" ".join)


@given(st.lists(SAYINGS, max_size=12), st.lists(SAYINGS, max_size=12), st.sampled_from([0.3, 0.5, 0.75, 0.8, 1.0]))
def test_leaks_misses_nothing(ours: list[str], theirs: list[str], threshold: float) -> None:
    a, b = prompts_of(*ours, name="a"), prompts_of(*theirs, name="b")
    pairs = [(p, q, set(p.text.split()), set(q.text.split())) for p in a for q in b]
    naive = [(p.id, q.id, len(x & y) / len(x | y)) for p, q, x, y in pairs if len(x & y) / len(x | y) >= threshold]
    assert leaks(a, b, threshold) == naive


@given(st.permutations(range(20)), st.integers(0, 5))
def test_a_split_depends_on_ids_and_seed_alone(order: list[int], seed: int) -> None:
    prompts = prompts_of(*map(str, range(20)))
    shuffled = make_set("set", [prompts.prompts[n] for n in order])
    fractions = {"x": 0.5, "y": 0.25, "z": 0.25}
    parts = split(prompts, fractions, seed)
    assert split(shuffled, fractions, seed) == parts
    assert [len(part) for part in parts.values()] == [10, 5, 5]
    assert sorted(p.id for part in parts.values() for p in part) == sorted(p.id for p in prompts)
    assert parts["x"].name == "set-x"


def test_splits_differ_by_seed_and_need_fractions_of_one() -> None:
    prompts = prompts_of(*map(str, range(20)))
    assert split(prompts, {"x": 0.5, "y": 0.5}) != split(prompts, {"x": 0.5, "y": 0.5}, seed=1)
    with pytest.raises(ValueError, match="a sum of 1"):
        split(prompts, {"x": 0.5, "y": 0.4})


def test_normalised_tells_conversations_apart() -> None:
    turns = ({"role": "user", "content": "Go on"},)
    before = ({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"})
    assert normalised(Prompt("a", turns)) != normalised(Prompt("b", before + turns))


# Chat templates -------------------------------------------------------------------------------------------------


def test_the_shipped_template_is_the_default_and_must_be_one() -> None:
    with_one, other, without = byte_tokenizer(), byte_tokenizer(), byte_tokenizer()
    without.chat_template = None
    assert resolve_template([with_one, without, other], None) == CHAT_TEMPLATE
    with pytest.raises(InputError, match="no chat template; pass `--chat-template FILE`, or `--chat-template none`"):
        resolve_template([without], None)
    other.chat_template = "{{ messages[0].content }}"
    with pytest.raises(Undecided, match="2 different chat templates"):
        resolve_template([with_one, other], None)
    assert resolve_template([with_one, other], "none") is None


def test_named_templates_need_a_default() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = {"default": CHAT_TEMPLATE, "tool_use": "x"}
    assert resolve_template([tokenizer], None) == CHAT_TEMPLATE
    tokenizer.chat_template = {"rag": CHAT_TEMPLATE, "tool_use": "x"}
    with pytest.raises(Undecided, match="rag, tool_use and no default"):
        resolve_template([tokenizer], None)


def test_a_template_file(tmp_path: Path) -> None:
    path = write(tmp_path, "chat.jinja", "Q: {{ messages[-1].content }}\nA:")
    assert resolve_template([byte_tokenizer()], str(path)) == "Q: {{ messages[-1].content }}\nA:"
    with pytest.raises(InputError, match="no such file"):
        resolve_template([byte_tokenizer()], str(tmp_path / "none.jinja"))
    with pytest.raises(InputError, match="the file is empty"):
        resolve_template([byte_tokenizer()], str(write(tmp_path, "blank.jinja", "\n")))


def test_encode_renders_the_chat_up_to_the_answer() -> None:
    tokenizer = byte_tokenizer()
    prompts = prompts_of("Hi", "Ça")
    assert encode(tokenizer, prompts, CHAT_TEMPLATE) == [[258, *b"Hi", 259], [258, *"Ça".encode(), 259]]
    assert encode(tokenizer, prompts.head(1), "Q: {{ messages[0].content }} A:") == [[*b"Q: Hi A:"]]


def test_encode_of_plain_text_has_the_special_tokens() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<eos> $A", special_tokens=[("<eos>", 257)])
    chat = ({"role": "system", "content": "S"}, {"role": "user", "content": "U"})
    assert encode(tokenizer, [*prompts_of("Hi"), Prompt("two", chat)], None) == [[257, *b"Hi"], [257, *b"S\n\nU"]]
    assert encode(tokenizer, prompts_of("Hi"), CHAT_TEMPLATE) == [[258, *b"Hi", 259]]  # the template writes its own


@pytest.mark.parametrize("template", ["{{ raise_exception('no system turn') }}", "{% for %}", "{{ 1 + 'a' }}"])
def test_a_template_that_fails_is_an_input_error(template: str) -> None:
    with pytest.raises(InputError, match="cannot render the prompt set-1"):
        encode(byte_tokenizer(), prompts_of("Hi"), template)


def test_a_template_that_renders_nothing_is_an_input_error() -> None:
    with pytest.raises(InputError, match="leaves out what the user says in the prompt set-1"):
        encode(byte_tokenizer(), prompts_of("Hi"), "{# nothing #}")


def test_the_system_and_earlier_turns_go_through_the_template() -> None:
    turns = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Ho"), ("user", "Go on")]
    prompt = Prompt("p", tuple({"role": role, "content": text} for role, text in turns))
    rendered = [*b"<|system|>Be brief.", 258, *b"Hi", 259, *b"Ho", 257, 258, *b"Go on", 259]
    assert encode(byte_tokenizer(), [prompt], CHAT_TEMPLATE) == [rendered]


@pytest.mark.parametrize("role", ["system", "user"])
def test_a_template_that_leaves_a_turn_out_is_an_input_error(role: str) -> None:
    prompt = Prompt("p", ({"role": role, "content": "Be brief."}, {"role": "user", "content": "Hi"}))
    with pytest.raises(InputError, match=f"leaves out what the {role} says in the prompt p"):
        encode(byte_tokenizer(), [prompt], "{{ messages[-1].content }}")


def test_a_template_may_leave_out_what_the_assistant_said() -> None:
    turns = [("user", "Hi"), ("assistant", "<think>x</think>Ho"), ("user", "Go on")]
    prompt = Prompt("p", tuple({"role": role, "content": text} for role, text in turns))
    assert encode(byte_tokenizer(), [prompt], "{{ messages[0].content }} {{ messages[2].content }}") == [[*b"Hi Go on"]]


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, None])
def test_a_prefill_follows_where_the_answer_starts(template: str | None) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<eos> $A", special_tokens=[("<eos>", 257)])
    chat = ({"role": "user", "content": "Hi"},)
    (plain,), (filled,) = (encode(tokenizer, [Prompt("p", chat, prefill=words)], template) for words in ("", "Sure, "))
    assert filled == [*plain, *b"Sure, "]
