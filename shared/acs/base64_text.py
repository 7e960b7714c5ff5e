"""Audio as base64 in JSON: decoded 100 times a second in every call."""

import pybase64


def decode_base64(text: str) -> bytes:
    """Return the bytes of standard base64 with its padding.

    The library's own validation looks at every character first, which takes as long as the decoding. Without it, what
    is no base64 is skipped, and then the result is shorter than the text says: that is found here.

    Raises:
        ValueError: the text is something else.
    """
    decoded = pybase64.b64decode(text)
    padding = (text[-1:] == "=") + (text[-2:-1] == "=")
    if 4 * (len(decoded) + padding) != 3 * len(text):
        raise ValueError("not base64")
    return decoded
