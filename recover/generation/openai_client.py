"""Requests to an OpenAI-compatible server: tried again, a bounded number at a time, the key from the environment only.

The key (OPENAI_API_KEY) goes nowhere but into the request, and no request follows a redirect. A server that stays
silent is Undecided, one that refuses key, address or model an InputError.
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

KEY = "OPENAI_API_KEY"
_TRIES = 5  # of one request, before the server counts as silent
_LONGEST = 60.0  # seconds to wait between two tries, whatever the server asks for
_BYTES = 1_000_000  # of a reply that are read
_RETRIED = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_REFUSED = {301, 302, 303, 307, 308, 401, 403, 404}
GREEDY = {"temperature": 0.0}  # as servers call it
T = TypeVar("T")
R = TypeVar("R")


class Message(BaseModel):
    """What a model said; servers that keep its thinking apart have one name or the other for it."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Choice(BaseModel):
    """One answer, and why it ended."""

    message: Message
    finish_reason: str | None = None


class Usage(BaseModel):
    """What an answer cost."""

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
    """A redirected request would carry the key to another place."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Rejected(Exception):
    """The server does not take this one request: too long, or against its own policy."""


def checked_url(url: str, what: str) -> str:
    """A server's URL without a slash at its end; InputError if it is none, or holds what belongs into the key."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018, which is read when it is asked for
    except ValueError as error:
        raise InputError(
            f"'{url}' is no server's URL ({error}); expected one such as http://localhost:8000/v1."
        ) from error
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(f"The URL of {what} holds more than host and path; put a key into {KEY}.")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"'{url}' is no server's URL; expected one such as http://localhost:8000/v1.")
    return url.rstrip("/")


@dataclass(frozen=True)
class Client:
    """A server that is asked `in_flight` things at a time; `pause` and `timeout` are in seconds."""

    url: str
    what: str  # that it serves, for messages: the judge
    in_flight: int = 8
    pause: float = 0.5  # before the second try, on average; doubled for each further one
    timeout: float = 120.0

    def first_model(self) -> str:
        """The first model that the server lists."""
        try:
            return _Models.model_validate_json(self._send("models", None)).data[0].id
        except (ValidationError, IndexError, Rejected) as error:
            raise Undecided(f"{self.url} does not list its models; name one: openai:{self.url},model=NAME") from error

    def chat(
        self, model: str, messages: Sequence[dict[str, str]], max_tokens: int, drawn: Mapping[str, float] = GREEDY
    ) -> bytes:
        """The reply to a conversation, drawn as the protocol's names say. Raises Rejected, Undecided, InputError."""
        body = {"model": model, "messages": list(messages), "max_tokens": max_tokens, **drawn}
        return self._send("chat/completions", json.dumps(body).encode())

    def each(self, ask: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """Ask several at a time; the order is kept, and the first error ends it."""
        with ThreadPoolExecutor(self.in_flight) as pool:
            yield from pool.map(ask, items)

    def _send(self, path: str, body: bytes | None) -> bytes:
        """The reply to a request that is tried again while the server is busy, broken or away."""
        reason, wait = "", 0.0
        for attempt in range(_TRIES):
            time.sleep(wait)
            jitter = random.uniform(0.5, 1.5)  # parts those that failed together
            wait = min(_LONGEST, self.pause * 2**attempt * jitter)
            try:
                return self._once(path, body)
            except urllib.error.HTTPError as error:
                reason = f"HTTP {error.code}"
                self._give_up(error)
                wait = max(wait, min(_LONGEST, _retry_after(error.headers.get("Retry-After"))))
            except (OSError, http.client.HTTPException) as error:
                reason = type(error).__name__
        raise Undecided(f"{self.what} at {self.url} did not answer in {_TRIES} tries ({reason}); see that it runs")

    def _give_up(self, error: urllib.error.HTTPError) -> None:
        """Raise if trying again would change nothing."""
        with error:
            if error.code in _REFUSED:
                raise InputError(
                    f"{self.url} refuses a request to {self.what} (HTTP {error.code}); check the URL, the model and "
                    f"{KEY}"
                ) from None
            if error.code not in _RETRIED:
                raise Rejected(f"the server rejected the request (HTTP {error.code})") from None

    def _once(self, path: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": "application/json", "User-Agent": "recover-align"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url}/{path}", body, headers)  # noqa: S310, the scheme was checked
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=self.timeout) as reply:
            content: bytes = reply.read(_BYTES)
        return content


def _retry_after(header: str | None) -> float:
    """The seconds that a server asks to wait: a number or a date; 0 if it asks for nothing."""
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
