"""What the parts of a decoder do: seen, changed, exchanged.  Knows no digit."""
