"""The error that is the user's to mend."""


class InputError(ValueError):
    """Says in one line which file or argument is wrong, what was found and what is allowed.

    The command line prints the line and ends with status 2.
    """
