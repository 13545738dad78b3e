"""What a command says when it will not do what was asked: one message on stderr and exit code 1."""


class Refused(Exception):
    """The message is for the person at the terminal: what is wrong and what to do about it."""
