"""Matrices as sequences of tokens.

B: batch, [r, c]: matrix, T: sequence length, W: tokens per number (at most).

Source: Charton 2022, section 2.  A sequence consists of an end token, two tokens for
the dimensions, the coefficients row by row, and another end token.  Shorter sequences
are padded at the right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mathprobe.lazy import torch
from mathprobe.linalg.encodings import NO_TOKEN

if TYPE_CHECKING:
    from torch import Tensor

    from mathprobe.linalg.encodings import Encoding

END, PADDING = 0, 1  # ids; the end token also starts a sequence
SPECIAL_TOKENS = ("<s>", "</s>")  # END and PADDING in the published code
MAX_DIMENSION = 100
DIMENSION_TOKENS = tuple(f"V{size}" for size in range(1, MAX_DIMENSION + 1))
INVALID_TOKEN = -2  # replaces the id of a token that no number contains


def vocabulary(encoding: Encoding) -> tuple[str, ...]:
    """Return the tokens of matrices in an encoding, in the order of their ids."""
    tokens = (encoding.vocabulary[i] for i in encoding.used_ids)
    return (*SPECIAL_TOKENS, *tokens, *DIMENSION_TOKENS)


def max_length(encoding: Encoding, rows: int, columns: int) -> int:
    """Return the maximum sequence length of a matrix, including both end tokens."""
    return 4 + encoding.max_tokens * rows * columns


class MatrixCodec:
    """Encode matrices as token ids, and decode ids to matrices.

    The vocabulary contains only the tokens that the encoding uses, so a network does
    not have to learn that other tokens never occur.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.vocabulary = vocabulary(encoding)
        # Whether sequences of matrices of one shape may differ in length.
        self.variable_length = bool((encoding.encode(0.0) == NO_TOKEN).any())
        self._first_dimension = len(self.vocabulary) - len(DIMENSION_TOKENS)
        # Two maps: from ids of the codec to ids of the encoding, and back.  NO_TOKEN,
        # -1, indexes the last entry of the second map, which is NO_TOKEN.
        self._encoding_ids = torch.from_numpy(encoding.used_ids)
        self._ids = torch.full((len(encoding.vocabulary) + 1,), NO_TOKEN)
        used = torch.arange(len(self._encoding_ids)) + len(SPECIAL_TOKENS)
        self._ids[self._encoding_ids] = used

    def max_length(self, rows: int, columns: int) -> int:
        """Return the maximum sequence length of a matrix."""
        return max_length(self.encoding, rows, columns)

    def _header(self, rows: int, columns: int) -> list[int]:
        offset = self._first_dimension - 1
        return [END, offset + rows, offset + columns]

    def encode(self, matrix: Tensor) -> Tensor:
        """Return the ids [B, T] of matrices [B, r, c].

        Raises ValueError for a dimension above MAX_DIMENSION and for numbers that
        cannot be encoded.
        """
        batch, rows, columns = matrix.shape
        if max(rows, columns) > MAX_DIMENSION:
            raise ValueError(
                f"cannot encode a {rows} x {columns} matrix: "
                f"dimensions must be at most {MAX_DIMENSION}"
            )
        numbers = self.encoding.encode(matrix.flatten(1)).flatten(1)  # [B, r c W]
        body = self._ids[numbers]
        header = torch.tensor(self._header(rows, columns))
        end = torch.full((batch, 1), END)
        ids = torch.cat([header.expand(batch, -1), body, end], dim=1)
        return _close_gaps(ids) if self.variable_length else ids

    def decode(self, ids: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Return the matrices [B, r, c] of ids [B, T], and a mask [B].

        The mask is true for well-formed matrices; a malformed matrix is all NaN.  Any
        ids are accepted; ids after the last number are ignored.
        """
        header = torch.tensor(self._header(rows, columns))
        header_ok = (ids[:, :3] == header).all(1)
        numbers, body_ok = self._split_numbers(ids[:, 3:], rows * columns)
        values, numbers_ok = self.encoding.decode(numbers)  # [B, r c]
        ok = header_ok & body_ok & numbers_ok.all(1)
        values = values.masked_fill(~ok[:, None], torch.nan)
        return values.unflatten(1, (rows, columns)), ok

    def number_index(self, ids: Tensor) -> Tensor:
        """Return which number each token of ids [B, T] belongs to, -1 for others.

        Numbers are counted from 0, row by row.
        """
        tokens = self._to_encoding_ids(ids[:, 3:])
        number = self.encoding.starts_number(tokens).cumsum(1) - 1
        header = torch.full_like(ids[:, :3], -1)
        return torch.cat([header, number.masked_fill(tokens == NO_TOKEN, -1)], 1)

    def round_trip(self, matrix: Tensor) -> Tensor:
        """Round matrices [B, r, c] by encoding and decoding their coefficients.

        A matrix with a NaN becomes all NaN.
        """
        has_nan = matrix.isnan().any(2).any(1)[:, None, None]
        ids = self.encode(matrix.masked_fill(has_nan, 0.0))
        values, _ = self.decode(ids, *matrix.shape[1:])
        return values.masked_fill(has_nan, torch.nan)

    def _split_numbers(self, body: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Split bodies [B, T] into the tokens of `count` numbers [B, count, W].

        Also return a mask [B] of the bodies in which no token precedes the first number
        and no number, except the last, has more than W tokens.
        """
        width, batch = self.encoding.max_tokens, len(body)
        tokens = self._to_encoding_ids(body)
        starts = self.encoding.starts_number(tokens)
        number = starts.cumsum(1) - 1  # index of the number that a token belongs to
        number = torch.where(tokens == NO_TOKEN, count, number)
        position = torch.arange(body.shape[1]).expand_as(body)
        within = position - torch.where(starts, position, 0).cummax(1).values
        # The last row and column receive surplus numbers and surplus tokens.
        split = torch.full((batch, count + 1, width + 1), NO_TOKEN)
        example = torch.arange(batch)[:, None].expand_as(body)
        split[example, number.clamp(0, count), within.clamp(max=width)] = tokens
        precedes = (number < 0).any(1)
        too_long = (split[:, : count - 1, width] != NO_TOKEN).any(1)
        return split[:, :count, :width], ~(precedes | too_long)

    def _to_encoding_ids(self, body: Tensor) -> Tensor:
        """Return ids of the encoding, NO_TOKEN from the first end token on."""
        index = (body - len(SPECIAL_TOKENS)).clamp(0, len(self._encoding_ids) - 1)
        tokens = self._encoding_ids[index]
        invalid = (body < len(SPECIAL_TOKENS)) | (body >= self._first_dimension)
        ended = (body == END).cumsum(1) > 0
        return tokens.masked_fill(invalid, INVALID_TOKEN).masked_fill(ended, NO_TOKEN)


def _close_gaps(ids: Tensor) -> Tensor:
    """Move every NO_TOKEN to the end of its sequence and replace it by padding."""
    gap = ids == NO_TOKEN
    order = gap.to(torch.int8).argsort(dim=1, stable=True)
    return ids.masked_fill(gap, PADDING).gather(1, order)
