#!/usr/bin/env python3
"""What one large message takes: the most memory and the time of whole processes, beside gpg and openssl. Prints the tables of docs/performance.md.

    cargo build --locked --release
    benches/memory.py target/release/postseal [MIB [ROUNDS [MIB_OF_SERVE]]]

The message has one attachment in base64, of random octets. Memory is the most resident memory that the kernel counted (`ru_maxrss`, and `VmHWM` of the
processes of `serve`), in MiB; time is the median.
"""
import base64
import os
import signal
import smtplib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

# Carol has a key of version 6: what is encrypted to her is authenticated in chunks.
ALICE, BOB, CAROL = "alice@example.org", "bob@example.org", "carol@example.org"
HEADER = (
    f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: large\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n"
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    "--b\r\nContent-Type: application/octet-stream; name=large.bin\r\nContent-Transfer-Encoding: base64\r\n"
    "Content-Disposition: attachment; filename=large.bin\r\n\r\n"
)


def main():
    postseal = os.path.abspath(sys.argv[1])
    numbers = [int(number) for number in sys.argv[2:]]
    size, rounds, of_serve = (numbers + [100, 3, 40][len(numbers):])[:3]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for protocol in ("pgp", "smime"):
            for owner in (ALICE, BOB):
                run([postseal, "--home", "home", "key", "generate", "-f", protocol, "--no-passphrase", owner])
        run([postseal, "--home", "home", "key", "generate", "-f", "pgp", "--profile", "rfc9580", "--no-passphrase", CAROL])
        verbs(postseal, size, rounds)
        serve(postseal, of_serve)


def verbs(postseal, size, rounds):
    apart(message, "m.eml", size)
    ours = [postseal, "--home", "home", "--max-size", f"{2 * size}M"]
    peers = prepare_peers(postseal)
    print(f"\n| {size} MiB | memory | of the message | time | peer | memory | time |\n|---|---|---|---|---|---|---|", flush=True)
    forms = [
        ("OpenPGP", "pgp", ["-f", "pgp"]),
        ("OpenPGP, AEAD", "aead", ["-f", "pgp", "--no-self", "--to", CAROL]),
        ("S/MIME, AES-256-CBC", "cbc", ["-f", "smime"]),
        ("S/MIME, AES-256-GCM", "gcm", ["-f", "smime", "--cipher", "aes256-gcm"]),
    ]
    for name, form, options in forms:
        if form in ("pgp", "cbc"):
            row(f"sign, {name}", size, rounds, [*ours, "sign", *options, "-o", f"{form}-s.eml", "m.eml"], peers.get(f"{form}-sign"))
            row(f"verify, {name}", size, rounds, [*ours, "verify", f"{form}-s.eml"], peers.get(f"{form}-verify"))
        row(f"encrypt, {name}", size, rounds, [*ours, "encrypt", *options, "-o", f"{form}-e.eml", "m.eml"], peers.get(f"{form}-encrypt"))
        apart(extract, f"{form}-e.eml", f"{form}.asc" if form in ("pgp", "aead") else f"{form}.p7m")
        row(f"decrypt, {name}", size, rounds, [*ours, "decrypt", "-o", f"{form}-d.eml", f"{form}-e.eml"], peers.get(f"{form}-decrypt"))
        row(f"encrypt and sign, {name}", size, rounds, [*ours, "encrypt", "--sign", *options, "-o", f"{form}-es.eml", "m.eml"], None)
        row(f"decrypt and verify, {name}", size, rounds, [*ours, "decrypt", "-o", f"{form}-ds.eml", f"{form}-es.eml"], None)
    for name, more in [("packed by gpg", []), ("not packed", ["-z", "0"])]:
        run([*GPG, *more, "-o", "theirs.gpg", "--recipient", BOB, "--encrypt", "m.eml"])
        row(f"decrypt what gpg encrypted, {name}", size, rounds, [*ours, "decrypt", "-o", "theirs.eml", "theirs.gpg"],
            [*GPG, "-o", "theirs.out", "--decrypt", "theirs.gpg"])


GPG = ["gpg", "--homedir", "gnupg", "--batch", "--yes", "--quiet", "--trust-model", "always", "--pinentry-mode", "loopback"]


PASSPHRASE = ["-passin", "file:passphrase"]


def prepare_peers(postseal):
    """What does the same: gpg and openssl with the keys of the home, on the same octets, as far as they have the verb."""
    os.mkdir("gnupg", 0o700)
    for owner in (ALICE, BOB):
        for what in ([], ["--secret"]):
            exported = run([postseal, "--home", "home", "key", "export", "-f", "pgp", *what, owner])
            run([*GPG, "--import"], exported)
    with open("passphrase", "w") as file:
        file.write("of the exported keys\n")
    for owner, name in ((ALICE, "alice"), (BOB, "bob")):
        for what, ending in (([], "crt"), (["--secret"], "key")):
            with open(f"{name}.{ending}", "wb") as file:
                file.write(run([postseal, "--home", "home", "--passphrase-file", "passphrase", "key", "export", "-f", "smime", *what, owner]))
    cms = ["openssl", "cms"]
    opened = [*cms, "-decrypt", *PASSPHRASE, "-inkey", "bob.key", "-recip", "bob.crt", "-out", "theirs.out", "-inform", "DER"]
    sealed = [*cms, "-encrypt", "-in", "m.eml", "-out", "theirs.eml"]
    return {
        "pgp-sign": [*GPG, "-o", "theirs.sig", "--local-user", ALICE, "--detach-sign", "m.eml"],
        "pgp-encrypt": [*GPG, "-o", "theirs.asc", "--armor", "-z", "0", "--recipient", BOB, "--encrypt", "m.eml"],
        "pgp-decrypt": [*GPG, "-o", "theirs.out", "--decrypt", "pgp.asc"],
        "cbc-sign": [*cms, "-sign", "-in", "m.eml", *PASSPHRASE, "-signer", "alice.crt", "-inkey", "alice.key", "-out", "theirs.eml"],
        "cbc-verify": [*cms, "-verify", "-in", "cbc-s.eml", "-noverify", "-out", "theirs.out"],
        "cbc-encrypt": [*sealed, "-aes-256-cbc", "bob.crt"],
        "gcm-encrypt": [*sealed, "-aes-256-gcm", "bob.crt"],
        "cbc-decrypt": [*opened, "-in", "cbc.p7m"],
        "gcm-decrypt": [*opened, "-in", "gcm.p7m"],
    }


def row(name, size, rounds, command, peer):
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(measured(command))
        theirs.append(measured(peer) if peer else None)
    memory, spent = max(memory for memory, _ in ours), statistics.median(spent for _, spent in ours)
    beside = "| | | |"
    if peer and all(theirs):
        beside = f"| {peer[0]} | {max(memory for memory, _ in theirs):.0f} MiB | {statistics.median(spent for _, spent in theirs):.2f} s |"
    elif peer:
        beside = f"| {peer[0]}: cannot | | |"
    print(f"| {name} | {memory:.0f} MiB | {memory / size:.2f} | {spent:.2f} s {beside}", flush=True)


def measured(command):
    """The most memory in MiB and the time in seconds; None where a peer fails."""
    begun = time.perf_counter()
    with open("errors", "wb") as errors:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        with open("errors") as errors:
            print(f"{' '.join(command)}: {errors.read()[-300:]}", file=sys.stderr)
        if command[0] not in ("gpg", "openssl"):
            sys.exit(1)
        return None
    return usage.ru_maxrss / 1024, time.perf_counter() - begun


def serve(postseal, size):
    """The service and its judges, for one message that goes out and is sealed, and for the same one that comes in and is opened."""
    print(f"\n| one message of {size} MiB through `serve` | service | judge | together, of the message | time |\n|---|---|---|---|---|", flush=True)
    apart(message, "m.eml", size)
    for name, protocol, listener, source in [
        ("signed and encrypted, OpenPGP", "pgp", "trusted", "m.eml"),
        ("signed and encrypted, S/MIME", "smime", "trusted", "m.eml"),
        ("decrypted, OpenPGP", "pgp", "", "e.eml"),
        ("decrypted, S/MIME", "smime", "", "e.eml"),
    ]:
        if source == "e.eml":
            # What is not authenticated is not opened by default.
            cipher = ["--cipher", "aes256-gcm"] if protocol == "smime" else []
            run([postseal, "--home", "home", "encrypt", "-f", protocol, *cipher, "-o", "e.eml", "m.eml"])
        for isolation in ("processes", "none"):
            line = through_serve(postseal, protocol, listener, source, isolation, size)
            print(f"| {name}{', one process' if isolation == 'none' else ''} | {line}", flush=True)


def through_serve(postseal, protocol, trusted, source, isolation, size):
    sink = Sink()
    port = free_port()
    trust = f'[trusted]\nnetworks = ["127.0.0.1"]\nsign-as = ["{ALICE}"]\n' if trusted else ""
    action = "sign+encrypt" if trusted else "decrypt"
    which = 'direction = "outbound"' if trusted else 'direction = "inbound"'
    domains = "alice.test" if trusted else "example.org"
    with open("postseal.toml", "w") as file:
        file.write(
            f'home = "home"\nhostname = "mail.example.org"\nlocal-domains = ["{domains}"]\nprotocol = ["{protocol}"]\nisolation = "{isolation}"\n'
            f'{trust}[upstream]\nsmart-host = "127.0.0.1:{sink.port}"\ntls = "none"\n'
            f'[[listener]]\nkind = "relay"\naddress = "127.0.0.1:{port}"\n'
            f'[[rule]]\nname = "all"\n{which}\naction = "{action}"\n'
        )
    with open("log", "wb") as log:
        service = subprocess.Popen([postseal, "serve", "-c", "postseal.toml"], stderr=log)
    try:
        client = connected(port, service)
        judges = children(service.pid)
        with open(source, "rb") as file:
            octets = file.read()
        begun = time.perf_counter()
        client.sendmail(ALICE, [BOB], octets)
        spent = time.perf_counter() - begun
        # Sealed it is a third longer.
        if not (1.3 if trusted else 0.99) < sink.octets / (size << 20) < (1.5 if trusted else 1.1):
            sys.exit(f"the next hop got {sink.octets} octets\n" + open("log").read()[-2000:])
        memory, judge = peak(service.pid), max(map(peak, judges), default=0)
        return f"{memory:.0f} MiB | {f'{judge:.0f} MiB' if judges else ''} | {(memory + judge) / size:.1f} | {spent:.2f} s |"
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait()
        sink.close()


def connected(port, service):
    for _ in range(400):
        if service.poll() is not None:
            sys.exit("serve ended\n" + open("log").read())
        try:
            return smtplib.SMTP("127.0.0.1", port, timeout=300)
        except OSError:
            time.sleep(0.05)
    sys.exit("serve does not listen")


def children(parent):
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat") as stat:
                if name.isdigit() and int(stat.read().rsplit(")", 1)[1].split()[1]) == parent:
                    found.append(int(name))
        except OSError:
            pass
    return found


def peak(process):
    with open(f"/proc/{process}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024


class Sink:
    """A next hop that takes everything and counts it."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.octets = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

    def converse(self, connection):
        lines = connection.makefile("rb", 1 << 20)
        connection.sendall(b"220 sink\r\n")
        for line in lines:
            verb = line[:4].upper()
            if verb == b"EHLO":
                connection.sendall(b"250-sink\r\n250-8BITMIME\r\n250 SIZE 0\r\n")
            elif verb == b"DATA":
                connection.sendall(b"354 go on\r\n")
                for line in lines:
                    if line == b".\r\n":
                        break
                    self.octets += len(line)
                connection.sendall(b"250 taken\r\n")
            elif verb == b"QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 ok\r\n")

    def close(self):
        self.listener.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def message(name, size):
    octets = base64.b64encode(os.urandom((size << 20) // 78 * 57))
    with open(name, "wb") as file:
        file.write(HEADER.encode())
        file.write(b"\r\n".join(octets[at:at + 76] for at in range(0, len(octets), 76)))
        file.write(b"\r\n--b--\r\n")


def extract(message, name):
    """The encrypted object of a message, for a program that reads no mail: armor, or DER."""
    with open(message, "rb") as file:
        octets = file.read()
    if name.endswith(".asc"):
        octets = octets[octets.index(b"-----BEGIN PGP"):]
        octets = octets[:octets.index(b"-----END PGP MESSAGE-----") + 27]
    else:
        octets = base64.b64decode(octets[octets.index(b"\r\n\r\n") + 4:])
    with open(name, "wb") as file:
        file.write(octets)


def apart(work, *arguments):
    """Does work in a process of its own: the most memory of this one counts for the programs that it starts, until they have begun."""
    child = os.fork()
    if child == 0:
        work(*arguments)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit("no message")


def run(command, octets=None):
    done = subprocess.run(command, input=octets, capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.decode()}")
    return done.stdout


if __name__ == "__main__":
    main()
