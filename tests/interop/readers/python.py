"""Shows messages as Python's email does, with the policy that is named on the command line (default or compat32).

Each message comes with its length as 32 bits, most significant octet first; each answer is one line of JSON.
"""

import base64
import email
import email.policy
import email.utils
import json
import struct
import sys

POLICY = {"default": email.policy.default, "compat32": email.policy.compat32}[sys.argv[1]]


def main():
    while head := sys.stdin.buffer.read(4):
        message = sys.stdin.buffer.read(struct.unpack(">I", head)[0])
        try:
            answer = shown(email.message_from_bytes(message, policy=POLICY))
        except Exception as error:  # The reader shows nothing at all then.
            answer = {"failed": repr(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def shown(message):
    return {
        "subject": decoded(message.get("Subject")),
        "from": [address for _, address in email.utils.getaddresses([plain(message.get("From"))]) if address],
        "parts": [leaf(part) for part in message.walk() if not part.is_multipart()],
    }


def leaf(part):
    octets = part.get_payload(decode=True)
    if octets is None:
        octets = str(part.get_payload()).encode("utf-8", "surrogateescape")
    kind = part.get_content_type()
    is_shown = part.get_content_maintype() == "text" and part.get_content_disposition() != "attachment"
    charset = part.get_content_charset("utf-8")
    return {
        "type": kind,
        "name": printable(part.get_filename()),
        "text": text(octets, charset) if is_shown else None,
        "octets": base64.b64encode(octets).decode(),
    }


def text(octets, charset):
    try:
        # UTF-7 makes surrogates out of anything; a screen shows none.
        return octets.decode(charset, "replace").encode("utf-8", "replace").decode()
    except (LookupError, ValueError):
        return octets.decode("latin-1")


def plain(value):
    return "" if value is None else printable(str(value))


def decoded(value):
    if value is None:
        return None
    return printable(str(value) if sys.argv[1] == "default" else decoded_words(value))


def decoded_words(value):
    pieces = email.header.decode_header(value)
    return "".join(piece if isinstance(piece, str) else text(piece, charset or "utf-8") for piece, charset in pieces)


def printable(value):
    """Octets that are not ASCII, which Python keeps as surrogates, read as UTF-8."""
    return None if value is None else str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


main()
