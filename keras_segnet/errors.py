"""The error that is the user's to mend."""


class InputError(ValueError):
    """Says in one line which file or argument is wrong, what was found and what is allowed.

    The command line prints the line and ends with status 2.
    """


def shown(value: object, most: int = 60) -> str:
    """A value as a message shows it: as Python writes it, cut short."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]} ..."
