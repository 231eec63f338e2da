"""Shows messages as GMime does (notmuch, Geary, Balsa, Pan). Framed as in python.py."""

import base64
import json
import struct
import sys

import gi

gi.require_version("GMime", "3.0")
from gi.repository import GMime  # noqa: E402


def main():
    GMime.init()
    while head := sys.stdin.buffer.read(4):
        message = sys.stdin.buffer.read(struct.unpack(">I", head)[0])
        stream = GMime.StreamMem.new_with_buffer(message)
        parsed = GMime.Parser.new_with_stream(stream).construct_message(None)
        answer = {"failed": "no message"} if parsed is None else shown(parsed)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def shown(message):
    senders = message.get_from()
    parts = []
    root = message.get_mime_part()
    if root is not None:
        collect(root, parts)
    return {
        "subject": message.get_subject(),
        "from": [] if senders is None else addresses(senders),
        "parts": parts,
    }


def addresses(found):
    mailboxes = []
    for index in range(found.length()):
        one = found.get_address(index)
        if isinstance(one, GMime.InternetAddressMailbox):
            mailboxes.append(one.get_addr())
        else:
            mailboxes.extend(addresses(one.get_members()))
    return mailboxes


def collect(part, parts):
    if isinstance(part, GMime.Multipart):
        for index in range(part.get_count()):
            collect(part.get_part(index), parts)
    elif isinstance(part, GMime.MessagePart):
        inner = part.get_message()
        if inner is not None and inner.get_mime_part() is not None:
            collect(inner.get_mime_part(), parts)
    elif isinstance(part, GMime.Part):
        parts.append(leaf(part))


def leaf(part):
    kind = part.get_content_type()
    is_shown = kind.get_media_type().lower() == "text" and not part.is_attachment()
    octets = content(part)
    charset = kind.get_parameter("charset") or "utf-8"
    return {
        "type": kind.get_mime_type().lower(),
        "name": part.get_filename(),
        "text": text(octets, charset) if is_shown else None,
        "octets": base64.b64encode(octets).decode(),
    }


def text(octets, charset):
    try:
        # UTF-7 makes surrogates out of anything; a screen shows none.
        return octets.decode(charset, "replace").encode("utf-8", "replace").decode()
    except (LookupError, ValueError):
        return octets.decode("latin-1")


def content(part):
    wrapper = part.get_content()
    if wrapper is None:
        return b""
    stream = GMime.StreamMem.new()
    wrapper.write_to_stream(stream)
    return bytes(stream.get_byte_array() or b"")


main()
