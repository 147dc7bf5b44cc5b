"""What is wrong with what a person gave: said in one message, never a traceback."""


class InputError(Exception):
    """Bad input; the message names the value, the place and what is allowed."""
