"""No test reaches beyond this machine."""

import socket

import pytest

from recover.checkpoints.checkpoint import local_path
from recover.errors import InputError


def test_a_connection_to_another_machine_is_forbidden() -> None:
    with socket.socket() as client, pytest.raises(RuntimeError, match="tests use nothing but this machine"):
        client.connect(("192.0.2.1", 80))


def test_this_machine_may_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_a_hub_id_gives_one_sentence_without_a_network() -> None:
    with pytest.raises(InputError, match="no path here, and the model hub did not give it"):
        local_path("nobody-here/no-such-model")
