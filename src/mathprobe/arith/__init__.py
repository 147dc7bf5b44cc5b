"""Questions of arithmetic, their tokens and how hard they are.  Knows no network."""
