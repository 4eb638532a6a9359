"""A model's shape guessed from the size of its file alone: to judge a quantisation before anything is downloaded.

Transformers of this decade are about 128 times as wide as they have blocks, with 12 × width² weights a block
(Kaplan et al. 2020, arXiv 2001.08361, section 2.1) and eight KV heads of 128. The true header decides once it is here.
"""

from core.models.shape import Block, Memory, ModelShape

BITS_A_WEIGHT = 4.85  # Q4_K_M, where nothing better is known
USUAL_VOCABULARY = 152_000
KV_ELEMENTS = 8 * 128


def rough_shape(file_bytes: int, parameters: int | None = None) -> ModelShape:
    """A shape of `file_bytes` of tensors; `parameters` as the Hub counts them, if it does."""
    weights = parameters or round(file_bytes * 8 / BITS_A_WEIGHT)
    blocks = max(round((weights / (12 * 128**2)) ** (1 / 3)), 1)
    width = 128 * blocks
    embedding = min(file_bytes * USUAL_VOCABULARY * width // max(weights, 1), file_bytes // 4)
    block = Block((file_bytes - 2 * embedding) // blocks, Memory.WHOLE, KV_ELEMENTS, KV_ELEMENTS)
    return ModelShape(
        tensor_bytes=file_bytes,
        blocks=(block,) * blocks,
        window=0,
        token_embedding_bytes=embedding,
        output_is_tied=False,
        embedding_length=width,
        feed_forward_length=4 * width,
        vocabulary_size=USUAL_VOCABULARY,
    )
