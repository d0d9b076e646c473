"""Which texts are nearly the same: sets of words, compared by their Jaccard index, without comparing every pair."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import ceil

NEAR = 0.8  # words in common by all words of both; from here on two texts ask nearly the same

Words = frozenset[str]


def words(text: str) -> Words:
    """The words of a text, whatever their case; a text without any is its own only word."""
    said = " ".join(text.casefold().split())
    return frozenset(re.findall(r"\w+", said)) or frozenset({said})


def near_pairs(ours: Sequence[Words], theirs: Sequence[Words], threshold: float = NEAR) -> list[tuple[int, int, float]]:
    """Places (in ours, in theirs) of the sets whose Jaccard index reaches the threshold, with the index, in order.

    Sets that similar share one of their few rarest words (prefix filtering; Chaudhuri, Ganti and Kaushik 2006), so
    only those with a rare word in common are compared.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold}: expected more than 0 and at most 1")
    frequency = Counter(word for one in (*ours, *theirs) for word in one)

    def rarest(one: Words) -> list[str]:
        needed = ceil(threshold * len(one) - 1e-9)  # words in common, at least
        return sorted(one, key=lambda word: (frequency[word], word))[: len(one) - needed + 1]

    holders: dict[str, list[int]] = defaultdict(list)
    for j, other in enumerate(theirs):
        for word in rarest(other):
            holders[word].append(j)
    found = []
    for i, one in enumerate(ours):
        for j in sorted({j for word in rarest(one) for j in holders.get(word, ())}):
            shared = len(one & theirs[j])
            similarity = shared / (len(one) + len(theirs[j]) - shared)
            if similarity >= threshold:
                found.append((i, j, similarity))
    return found
