"""What drafts gain: how many tokens a decode of the large model yields with them."""

LENGTHS = (0, 1, 2, 3, 4, 6, 8)
"""The numbers of drafts to choose from; 0 is no drafting."""
USUAL_ACCEPTANCE = 0.7
"""Share of drafts that a large model accepts from a small one of its family, as long as nothing is known."""


def tokens_per_decode(acceptance: float, drafts: int) -> float:
    """Return (1 − a^(k+1)) / (1 − a), the tokens that a decode with k drafts yields (Leviathan et al. 2023, eq. 1)."""
    a = min(acceptance, 0.99)
    return float((1 - a ** (drafts + 1)) / (1 - a))
