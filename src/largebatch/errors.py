"""The errors that users are meant to see: what is wrong, and what would be right."""


class InputError(ValueError):
    """A value, key or file given by the user cannot be used.

    The message is one line that names the key or file, the value found and what would be right.
    The command line prints it without a traceback.
    """


class WriteError(OSError):
    """A file cannot be written: a full disk, a folder that is read-only or someone else's.

    The message is one line that names the file. The command line prints it without a traceback.
    """


class Interrupted(Exception):
    """The process was asked to stop. What it has is on disk, for a later call to go on from."""
