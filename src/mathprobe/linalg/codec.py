"""Matrices as sequences of tokens.  B: batch, [r, c]: matrix, T: sequence.

Source: Charton 2022, section 2: two tokens for the dimensions, then the coefficients
row by row, between two end tokens; shorter sequences are padded at the right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mathprobe.lazy import torch
from mathprobe.linalg.encodings import NO_TOKEN

if TYPE_CHECKING:
    from torch import Tensor

    from mathprobe.linalg.encodings import Encoding

END, PADDING = 0, 1
SPECIAL_TOKENS = ("<s>", "</s>")  # the published code's names of these two
MAX_DIMENSION = 100
DIMENSION_TOKENS = tuple(f"V{size}" for size in range(1, MAX_DIMENSION + 1))
INVALID_TOKEN = -2  # in a number's place: a token that belongs to no number


def vocabulary(encoding: Encoding) -> tuple[str, ...]:
    """List the words of matrices whose numbers are written in an encoding."""
    words = (encoding.vocabulary[place] for place in encoding.used_ids)
    return (*SPECIAL_TOKENS, *words, *DIMENSION_TOKENS)


def max_length(encoding: Encoding, rows: int, columns: int) -> int:
    """Give the longest sequence of a matrix, both end tokens included."""
    return 4 + encoding.max_tokens * rows * columns


class MatrixCodec:
    """Write matrices as ids of one vocabulary, and read any ids as matrices.

    The vocabulary holds only words that the encoding writes: a network need not learn
    that the others never come.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.vocabulary = vocabulary(encoding)
        self._first_dimension = len(self.vocabulary) - len(DIMENSION_TOKENS)
        # Whether matrices of one shape may have sequences of several lengths.
        self.variable_length = bool((encoding.encode(0.0) == NO_TOKEN).any())
        # From ids to the encoding's own, and back: only words that it writes have ids.
        self._words = torch.from_numpy(encoding.used_ids)
        self._ids = torch.full(
            (len(encoding.vocabulary) + 1,), NO_TOKEN
        )  # last: NO_TOKEN
        self._ids[self._words] = torch.arange(len(self._words)) + len(SPECIAL_TOKENS)

    def max_length(self, rows: int, columns: int) -> int:
        """Give the longest sequence of a matrix, both end tokens included."""
        return max_length(self.encoding, rows, columns)

    def _frame(self, rows: int, columns: int) -> list[int]:
        before = self._first_dimension - 1
        return [END, before + rows, before + columns]

    def encode(self, matrix: Tensor) -> Tensor:
        """Write matrices [B, r, c] as ids [B, T]."""
        batch, rows, columns = matrix.shape
        if max(rows, columns) > MAX_DIMENSION:
            raise ValueError(
                f"a {rows} x {columns} matrix: dimensions go to {MAX_DIMENSION}"
            )
        numbers = self.encoding.encode(matrix.flatten(1)).flatten(1)  # [B, r c width]
        body = self._ids.to(matrix.device)[numbers]
        frame = torch.tensor(self._frame(rows, columns), device=matrix.device)
        end = torch.full((batch, 1), END, device=matrix.device)
        ids = torch.cat([frame.expand(batch, -1), body, end], dim=1)
        return _close_gaps(ids) if self.variable_length else ids

    def decode(self, ids: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Read ids [B, T] as matrices [B, r, c], NaN where not ok [B].

        Total: any ids give an answer.  What follows the last number is not looked at.
        """
        frame = torch.tensor(self._frame(rows, columns), device=ids.device)
        framed = (ids[:, :3] == frame).all(1)
        numbers, orderly = self._numbers(ids[:, 3:], rows * columns)
        values, well_formed = self.encoding.decode(numbers)  # [B, r c]
        ok = framed & orderly & well_formed.all(1)
        values = values.masked_fill(~ok[:, None], torch.nan)
        return values.unflatten(1, (rows, columns)), ok

    def round_trip(self, matrix: Tensor) -> Tensor:
        """Give matrices [B, r, c] as their tokens show them; NaN where one is NaN."""
        missing = matrix.isnan().any(2).any(1)[:, None, None]
        written = self.encode(matrix.masked_fill(missing, 0.0))
        values, _ = self.decode(written, *matrix.shape[1:])
        return values.masked_fill(missing, torch.nan)

    def _numbers(self, body: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Cut a body [B, T] into the tokens of `count` numbers [B, count, width]."""
        width, batch = self.encoding.max_tokens, len(body)
        tokens = self._number_tokens(body)
        opens = self.encoding.starts_number(tokens)
        number = opens.cumsum(1) - 1  # which number a token belongs to
        number = torch.where(tokens == NO_TOKEN, count, number)
        place = torch.arange(body.shape[1], device=body.device).expand_as(body)
        within = place - torch.where(opens, place, 0).cummax(1).values
        # A place after the last one holds what is too much, for every number.
        grid = torch.full((batch, count + 1, width + 1), NO_TOKEN, device=body.device)
        row = torch.arange(batch, device=body.device)[:, None].expand_as(body)
        column = number.clamp(0, count), within.clamp(max=width)
        grid[row, *column] = tokens
        early = (number < 0).any(1)
        late = (grid[:, : count - 1, width] != NO_TOKEN).any(1)
        return grid[:, :count, :width], ~(early | late)

    def _number_tokens(self, body: Tensor) -> Tensor:
        """Turn ids into the encoding's own; nothing is left after an end token."""
        places = (body - len(SPECIAL_TOKENS)).clamp(0, len(self._words) - 1)
        tokens = self._words.to(body.device)[places]
        strange = (body < len(SPECIAL_TOKENS)) | (body >= self._first_dimension)
        ended = (body == END).cumsum(1) > 0
        return tokens.masked_fill(strange, INVALID_TOKEN).masked_fill(ended, NO_TOKEN)


def _close_gaps(ids: Tensor) -> Tensor:
    """Move fillers behind the sequence and make them padding."""
    gap = ids == NO_TOKEN
    order = gap.to(torch.int8).argsort(dim=1, stable=True)
    return ids.masked_fill(gap, PADDING).gather(1, order)
