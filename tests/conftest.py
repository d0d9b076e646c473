"""What every test stands on: no network, one thread, pairs of tiny models that are built once."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported, so before anything imports it

import torch
from hypothesis import settings
from tiny import tiny_pair

torch.set_num_threads(1)
settings.register_profile("tests", deadline=None)  # a busy machine is no bug
settings.load_profile("tests")

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test reach this machine only."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != getattr(socket, "AF_UNIX", None) and address[0] not in LOOPBACK:
            raise RuntimeError(f"a test tried to reach {address}; tests use nothing but this machine")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The directories of a tiny Llama and of its fine-tune, to be read and never written."""
    return tiny_pair(tmp_path_factory.mktemp("llama"))
