"""What the name of a label says: labels of classifiers and of people are called by a few words and their negations."""

import re
from typing import get_args

from recover.results.schema import Channel

CHANNELS: tuple[Channel, ...] = get_args(Channel)
_SAYS = {
    "harmful": re.compile(r"harm|unsafe|toxic|hate|danger|offensive"),
    "refused": re.compile(r"refus|reject|declin"),
}
_NEGATED = re.compile(
    r"(?:^|[^a-z])(?:not?|non|without|never)(?:[^a-z]|$)|(?:^|[^a-z])(?:non|un(?:harm|refus|reject)|harmless)"
)


def channel_of(label: str) -> Channel | None:
    """The channel in which a label is the positive one, by its name: `2_full_refusal` is refused, `non-toxic` none."""
    text = label.casefold()
    found = [channel for channel in CHANNELS if _SAYS[channel].search(text)]
    return found[0] if len(found) == 1 and not _NEGATED.search(text) else None
