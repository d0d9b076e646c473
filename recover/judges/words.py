"""What the name of a label means. Classifiers and people name labels with a few words and their negations."""

import re
from typing import get_args

from recover.results.schema import Channel

CHANNELS: tuple[Channel, ...] = get_args(Channel)
_WORDS = {
    "harmful": re.compile(r"harm|unsafe|toxic|hate|danger|offensive"),
    "refused": re.compile(r"refus|reject|declin"),
}
_NEGATED = re.compile(
    r"(?:^|[^a-z])(?:not?|non|without|never)(?:[^a-z]|$)|(?:^|[^a-z])(?:non|un(?:harm|refus|reject)|harmless)"
)


def channel_of(label: str) -> Channel | None:
    """The channel in which a label is positive, by its name: `2_full_refusal` is refused, `non-toxic` has none."""
    text = label.casefold()
    channels = [channel for channel in CHANNELS if _WORDS[channel].search(text)]
    return channels[0] if len(channels) == 1 and not _NEGATED.search(text) else None
