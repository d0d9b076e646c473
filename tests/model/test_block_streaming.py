"""A model whose blocks stay in the files does what the same model in memory does, to the bit."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny import FAMILIES, prompt_set, save_model, tiny_model, tiny_pair

from recover import evaluate
from recover.checkpoints.architecture import weights_by_name
from recover.checkpoints.pair import Pair, open_checkpoint
from recover.checkpoints.patch import restored_checkpoint
from recover.errors import InputError, Undecided
from recover.model import device, load
from recover.model.device import _free_memory, pick_offload
from recover.model.editable import EditableModel
from recover.search.loop import recover
from recover.search.objective import divergence, passage, teach
from recover.search.ranking import sample, top_k

CPU = torch.device("cpu")
PROMPTS = [[258, *range(40, 40 + n), 259] for n in (3, 9, 5)]
IDS = torch.tensor([PROMPTS[1]])


def both(pair: Pair, dtype: torch.dtype = torch.float32) -> list[EditableModel]:
    return [EditableModel(pair, dtype, CPU, offload=offload) for offload in (False, True)]


@pytest.fixture(params=FAMILIES)
def lives(request: pytest.FixtureRequest, tmp_path: Path) -> list[EditableModel]:
    """In memory, streamed as for a CPU, and with the next block read beforehand as for an accelerator."""
    pair = Pair.open(*tiny_pair(tmp_path, request.param))
    found = [*both(pair), EditableModel(pair, torch.float32, CPU, offload=True)]
    found[-1].model.streamed._reader = ThreadPoolExecutor(1)
    return found


def held(live: EditableModel) -> int:
    """Bytes of the model's distinct weights that are in memory of their own, and not in a file's map."""
    maps = [*live.pair.tuned._open.values(), *live.pair.aligned._open.values()]
    spans = [(t.data_ptr(), t.data_ptr() + t.numel()) for t in (torch.frombuffer(m, dtype=torch.uint8) for m in maps)]
    own = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in live.model.parameters()}
    return sum(size for place, size in own.items() if not any(a <= place < b for a, b in spans))


def test_it_says_and_learns_the_same(lives: list[EditableModel]) -> None:
    flips, logits, chosen, texts = sample(lives[0].pair.changed, 300, seed=1), [], [], []
    for live in lives:
        with live.as_aligned() as model:
            targets = teach(model, [passage(p, [70, 71, 72]) for p in PROMPTS], 264)
        live.flip(flips)
        losses = [lambda model, t=t: divergence(model, [t]) for t in targets]
        chosen.append(top_k(live.gains(losses), 200))
        logits.append(live.model(IDS).logits)
        texts.append(live.model.generate(IDS, max_new_tokens=5, do_sample=False))
        live.flip(chosen[-1])
        logits[-1] = torch.cat([logits[-1], live.model(IDS).logits])
    assert len(chosen[0]) == 200
    assert not torch.equal(logits[0][0], logits[0][1])
    for i in (1, 2):
        assert chosen[0] == chosen[i]
        assert torch.equal(logits[0], logits[i])
        assert torch.equal(texts[0], texts[i])


def test_the_next_block_is_there_before_it_is_asked_for(tmp_path: Path) -> None:
    live = EditableModel(Pair.open(*tiny_pair(tmp_path, num_hidden_layers=4)), torch.float32, CPU, offload=True)
    streamed, read = live.model.streamed, []
    streamed._reader, blocks = ThreadPoolExecutor(1, "ahead"), [*live.model.model.layers]
    wait, source = streamed._read, streamed.source
    streamed._read = lambda block: (
        read.append((blocks.index(block), threading.current_thread().name[:5])) or wait(block)
    )
    for block in [*blocks, *blocks, *blocks[-2::-1], *blocks]:  # two passes forward, one down, one more forward
        streamed._bring(block)
        name = next(n for n in streamed.names if streamed._homes[n] is block)
        assert torch.equal(weights_by_name(live.model)[name], source(name))
    streamed._reader.shutdown()
    assert [block for block, thread in read if thread != "ahead"] == [0, 2]  # the first of all, and where a pass turned
    assert [block for block, thread in read if thread == "ahead"] == [1, 2, 3, 0, 1, 2, 3, 0, 1, 0, 1, 2, 3, 0]


def test_one_block_is_held_at_a_time_and_only_what_was_flipped(tmp_path: Path) -> None:
    whole, streamed = both(Pair.open(*tiny_pair(tmp_path, num_hidden_layers=6)))
    streamed.model(IDS)
    rest = held(streamed)
    assert rest < held(whole) / 2  # the blocks come from the files' maps, the embedding and the head are copies
    name = next(n for n in streamed.matrices if n.startswith("layers.3."))
    streamed.flip(sample({name: streamed.parameters[name].numel()}, 10, seed=0))
    most: list[int] = []
    for block in streamed.model.model.layers:
        block.register_forward_hook(lambda *_: most.append(held(streamed)))
    streamed.model(IDS)
    assert [m - rest for m in most] == [0, 0, 0, 4 * streamed.parameters[name].numel(), 0, 0]


def test_files_are_never_written(tmp_path: Path) -> None:
    places = tiny_pair(tmp_path)
    before = [(p / "model.safetensors").read_bytes() for p in places]
    live = EditableModel(Pair.open(*places), torch.float32, CPU, offload=True)
    live.flip(sample(live.pair.changed, 500, seed=1))
    with live.as_aligned() as model:
        model(IDS)
    live.model(IDS)
    assert [(p / "model.safetensors").read_bytes() for p in places] == before


def test_another_compute_dtype_is_converted_as_it_comes(tmp_path: Path) -> None:
    whole, streamed = both(Pair.open(*tiny_pair(tmp_path)), torch.bfloat16)
    assert torch.equal(whole.model(IDS).logits, streamed.model(IDS).logits)
    assert streamed.model(IDS).logits.dtype == torch.bfloat16


def test_restoring_and_evaluating_are_the_same(tmp_path: Path) -> None:
    pair = Pair.open(*tiny_pair(tmp_path))
    sets = [prompt_set("report", 5, "refuse")]
    found, rates = [], []
    for offload in ("never", "always"):
        found.append(
            recover(
                pair,
                options={"steps": 2, "start": 0.01, "smallest": 1},
                harmful=prompt_set("harm", 6, "refuse"),
                validation=prompt_set("valid", 4, "refuse"),
                general=prompt_set("plain", 3),
                offload=offload,
            )
        )
        rates.append(evaluate({"restored": found[-1].checkpoint}, sets, max_new_tokens=4, offload=offload))
    assert found[0].edit == found[1].edit
    assert rates[0] == rates[1]
    assert rates[0].answers == rates[1].answers


def test_what_transformers_builds_from_other_tensors_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAMILIES, "mixtral", {"num_local_experts": 2})
    checkpoint = open_checkpoint(save_model(tmp_path / "m", tiny_model("mixtral")))
    with pytest.raises(Undecided, match=r"cannot be streamed: transformers builds layers\.0.*from other tensors"):
        load.load_model(checkpoint, torch.float32, CPU, offload=True)


def test_auto_streams_what_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = open_checkpoint(tiny_pair(tmp_path)[0])
    asked = {name: pick_offload(name, checkpoint, torch.float32, CPU) for name in ("auto", "always", "never")}
    assert asked == {"auto": False, "always": True, "never": False}
    size = 4 * checkpoint.weights
    for free, expected in ((2 * size, False), (size, True)):
        monkeypatch.setattr(device, "_free_memory", lambda _, free=free: free)
        assert pick_offload("auto", checkpoint, torch.float32, CPU) is expected
    with pytest.raises(InputError, match="expected auto, always or never"):
        pick_offload("sometimes", checkpoint, torch.float32, CPU)


def test_free_memory_is_the_systems() -> None:
    assert _free_memory(CPU) > 1 << 20


@pytest.mark.parametrize("kind", ["dtype", "adapter", "patch"])
def test_loading_computes_no_weight_that_is_streamed(tmp_path: Path, kind: str) -> None:
    aligned, tuned = tiny_pair(tmp_path)
    dtype, read = torch.float32, []
    if kind == "adapter":
        config = LoraConfig(r=2, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
        get_peft_model(tiny_model(), config).save_pretrained(tmp_path / "adapter")
        checkpoint = Pair.open(aligned, tmp_path / "adapter", space="weights").tuned
    elif kind == "patch":
        pair = Pair.open(aligned, tuned)
        checkpoint = restored_checkpoint(pair, sample(pair.changed, 300, seed=1))
    else:
        checkpoint, dtype = open_checkpoint(tuned), torch.bfloat16
    whole = load.load_model(checkpoint, dtype, CPU)
    asked = type(checkpoint).tensor
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(checkpoint), "tensor", lambda self, name: read.append(name) or asked(self, name))
        streamed = load.load_model(checkpoint, dtype, CPU, offload=True)
    assert read
    assert not [name for name in read if name.startswith("layers.")]
    assert torch.equal(whole(IDS).logits, streamed(IDS).logits)
