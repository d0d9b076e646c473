"""Requests to an OpenAI-compatible server: tried again if they fail, and only so many at a time.

The key comes from the environment (OPENAI_API_KEY) and goes into the request only. No request follows a redirect. A
server that does not answer raises Undecided; a server that refuses key, address or model raises InputError.
"""

import email.utils
import http.client
import json
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from recover.errors import InputError, Undecided

KEY_VARIABLE = "OPENAI_API_KEY"
MAX_TRIES = 5  # of one request
MAX_WAIT = 60.0  # seconds between two tries, whatever the server asks for
MAX_REPLY_BYTES = 1_000_000  # the rest of a reply is not read
RETRIED_CODES = {408, 409, 425, 429, 500, 502, 503, 504, 529}
REFUSED_CODES = {301, 302, 303, 307, 308, 401, 403, 404}
GREEDY = {"temperature": 0.0}  # the request's fields for greedy answers
T = TypeVar("T")
R = TypeVar("R")


class Message(BaseModel):
    """A model's reply. Servers that keep its thinking apart use one name or the other for it."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Choice(BaseModel):
    """One answer, and why it ended."""

    message: Message
    finish_reason: str | None = None


class Usage(BaseModel):
    """The token count of an answer."""

    completion_tokens: int


class Completion(BaseModel):
    """The reply to a chat request."""

    choices: list[Choice]
    usage: Usage | None = None


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which would carry the key to another server."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Rejected(Exception):
    """The server rejects this one request: it is too long, or against the server's policy."""


def checked_url(url: str, role: str) -> str:
    """A server's URL without the slash at its end. Raises InputError if it is no URL, or holds more than host and path.

    `role` names the server in messages.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018, a wrong port raises only when it is read
    except ValueError as error:
        raise InputError(
            f"'{url}' is no server's URL ({error}); expected one such as http://localhost:8000/v1."
        ) from error
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(f"The URL of {role} holds more than host and path; put a key into {KEY_VARIABLE}.")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"'{url}' is no server's URL; expected one such as http://localhost:8000/v1.")
    return url.rstrip("/")


@dataclass(frozen=True)
class Client:
    """A server that gets at most `in_flight` requests at a time. `pause` and `timeout` are in seconds."""

    url: str
    role: str  # its name in messages, such as "the judge"
    in_flight: int = 8
    pause: float = 0.5  # the mean wait before the second try; it doubles with each further try
    timeout: float = 120.0  # until a silent server fails a try

    def first_model(self) -> str:
        """The first model that the server lists. Raises Undecided if it lists none."""
        try:
            return _Models.model_validate_json(self._send("models", None)).data[0].id
        except (ValidationError, IndexError, Rejected) as error:
            raise Undecided(f"{self.url} does not list its models; name one: openai:{self.url},model=NAME") from error

    def chat(
        self, model: str, messages: Sequence[dict[str, str]], max_tokens: int, drawn: Mapping[str, float] = GREEDY
    ) -> bytes:
        """The reply to a conversation. `drawn` holds the protocol's own fields for sampling.

        Raises Rejected, Undecided, InputError.
        """
        body = {"model": model, "messages": list(messages), "max_tokens": max_tokens, **drawn}
        return self._send("chat/completions", json.dumps(body).encode())

    def each(self, ask: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Call `ask` on all items, several at a time, in their order. The first error ends it."""
        with ThreadPoolExecutor(self.in_flight) as pool:
            yield from pool.map(ask, items)

    def _send(self, path: str, body: bytes | None) -> bytes:
        """The reply to a request. It is tried again while the server is busy, broken or out of reach."""
        reason, wait = "", 0.0
        for attempt in range(MAX_TRIES):
            time.sleep(wait)
            jitter = random.uniform(0.5, 1.5)  # so that requests that failed together are not repeated together
            wait = min(MAX_WAIT, self.pause * 2**attempt * jitter)
            try:
                return self._send_once(path, body)
            except urllib.error.HTTPError as error:
                reason = f"HTTP {error.code}"
                self._raise_if_final(error)
                wait = max(wait, min(MAX_WAIT, _retry_after(error.headers.get("Retry-After"))))
            except (OSError, http.client.HTTPException) as error:
                reason = type(error).__name__
        raise Undecided(f"{self.role} at {self.url} did not answer in {MAX_TRIES} tries ({reason}); see that it runs")

    def _raise_if_final(self, error: urllib.error.HTTPError) -> None:
        """Raise if another try would change nothing."""
        with error:
            if error.code in REFUSED_CODES:
                raise InputError(
                    f"{self.url} refuses a request to {self.role} (HTTP {error.code}); check the URL, the model and "
                    f"{KEY_VARIABLE}"
                ) from None
            if error.code not in RETRIED_CODES:
                raise Rejected(f"the server rejected the request (HTTP {error.code})") from None

    def _send_once(self, path: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": "application/json", "User-Agent": "recover-align"}
        if key := os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url}/{path}", body, headers)  # noqa: S310, the scheme was checked
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=self.timeout) as reply:
            content: bytes = reply.read(MAX_REPLY_BYTES)
        return content


def _retry_after(header: str | None) -> float:
    """The seconds that a server asks to wait, given as a number or a date; 0 if it does not ask."""
    if not header:
        return 0.0
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return 0.0
