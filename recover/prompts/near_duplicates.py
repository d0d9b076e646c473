"""Which texts are nearly the same: sets of words compared by their Jaccard index, without comparing every pair."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import ceil

NEAR_THRESHOLD = 0.8  # words in common, as a fraction of all words of both texts, from which on the texts are near

Words = frozenset[str]


def words(text: str) -> Words:
    """The words of a text in lower case. A text without words counts as one word."""
    folded = " ".join(text.casefold().split())
    return frozenset(re.findall(r"\w+", folded)) or frozenset({folded})


def near_pairs(
    ours: Sequence[Words], theirs: Sequence[Words], threshold: float = NEAR_THRESHOLD
) -> list[tuple[int, int, float]]:
    """All (index in ours, index in theirs, similarity) of sets whose Jaccard index reaches the threshold, in order.

    Two such sets have one of their few rarest words in common, so only sets that share a rare word are compared.
    Source: prefix filtering, Chaudhuri, Ganti and Kaushik (2006).
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold}: expected more than 0 and at most 1")
    frequency = Counter(word for text_words in (*ours, *theirs) for word in text_words)

    def rarest(text_words: Words) -> list[str]:
        needed = ceil(threshold * len(text_words) - 1e-9)  # words that a near set has in common with it, at least
        return sorted(text_words, key=lambda word: (frequency[word], word))[: len(text_words) - needed + 1]

    holders: dict[str, list[int]] = defaultdict(list)  # word -> indices of the sets that have it among their rarest
    for j, text_words in enumerate(theirs):
        for word in rarest(text_words):
            holders[word].append(j)
    pairs = []
    for i, text_words in enumerate(ours):
        for j in sorted({j for word in rarest(text_words) for j in holders.get(word, ())}):
            shared = len(text_words & theirs[j])
            similarity = shared / (len(text_words) + len(theirs[j]) - shared)
            if similarity >= threshold:
                pairs.append((i, j, similarity))
    return pairs
