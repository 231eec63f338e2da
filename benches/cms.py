#!/usr/bin/env python3
"""Post-quantum S/MIME as whole processes: postseal beside `openssl cms`, in turns. Prints medians in milliseconds.

    cargo build --release; .ci/unpack-openssl target/openssl-3.6
    benches/cms.py target/release/postseal target/openssl-3.6/run [READERS]

The keys are the same for both: OpenSSL makes them, and a home of postseal holds them. postseal validates the path of each certificate; `openssl cms
-encrypt` takes the files that it is given.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 15
PART = "Content-Type: text/plain\r\n\r\n" + "The harvest of today is safe tomorrow.\r\n" * 25


def main():
    postseal, openssl = (os.path.abspath(path) for path in sys.argv[1:3])
    most = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        prepare(postseal, openssl, most)
        ours = [postseal, "--home", "home"]
        signed, sealed = "signed.eml", "sealed-1.eml"
        pairs = [
            ("ML-DSA-65 sign", [*ours, "sign", "-f", "smime", "-o", signed, "to-1.eml"],
             [openssl, "cms", "-sign", "-in", "part", "-signer", "signer.crt", "-inkey", "signer.key", "-md", "sha512", "-out", "signed.theirs"]),
            ("ML-DSA-65 verify", [*ours, "verify", signed],
             [openssl, "cms", "-verify", "-in", "signed.theirs", "-CAfile", "root.crt", "-purpose", "smimesign", "-out", os.devnull]),
        ]
        for count in sorted({1, min(10, most), most}):
            readers = [f"reader{number}.crt" for number in range(count)]
            pairs.append((f"ML-KEM-768 encrypt to {count}",
                          [*ours, "encrypt", "-f", "smime", "--no-self", "-o", f"sealed-{count}.eml", f"to-{count}.eml"],
                          [openssl, "cms", "-encrypt", "-aes-256-gcm", "-in", "part", "-out", f"sealed-{count}.theirs", *readers]))
        pairs.append(("ML-KEM-768 decrypt", [*ours, "decrypt", "-o", os.devnull, sealed],
                      [openssl, "cms", "-decrypt", "-in", "sealed-1.theirs", "-inkey", "reader0.key", "-recip", "reader0.crt", "-out", os.devnull]))
        for name, *both in pairs:
            times = [[], []]
            for _ in range(ROUNDS):
                for place, command in enumerate(both):
                    begun = time.perf_counter()
                    run(command)
                    times[place].append((time.perf_counter() - begun) * 1000)
            print("| %s | %.1f | %.1f |" % (name, *map(statistics.median, times)), flush=True)


def prepare(postseal, openssl, count):
    issue(openssl, "root", "ML-DSA-65", "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n")
    leaf = "keyUsage=critical,%s\nextendedKeyUsage=emailProtection\nsubjectAltName=email:%s@example.org\n"
    issue(openssl, "signer", "ML-DSA-65", leaf % ("digitalSignature", "signer"))
    people = [f"reader{number}" for number in range(count)]
    for name in people:
        issue(openssl, name, "ML-KEM-768", leaf % ("keyEncipherment", name))
    with open("all.pem", "w") as bundle:
        for name in ["signer.crt", "signer.key", "reader0.key"] + [f"{name}.crt" for name in people]:
            bundle.write(open(name).read())
    open("part", "w", newline="").write(PART)
    for some in sorted({1, min(10, count), count}):
        to = ",\r\n ".join(f"{name}@example.org" for name in people[:some])
        open(f"to-{some}.eml", "w", newline="").write(f"From: signer@example.org\r\nTo: {to}\r\nSubject: harvest\r\n{PART}")
    run([postseal, "--home", "home", "key", "import", "--anchor", "root.crt"])
    run([postseal, "--home", "home", "key", "import", "all.pem"])


def issue(openssl, name, algorithm, extensions):
    run([openssl, "genpkey", "-algorithm", algorithm, "-out", f"{name}.key"])
    run([openssl, "pkey", "-in", f"{name}.key", "-pubout", "-out", f"{name}.pub"])
    open("ext", "w").write(extensions)
    by = ["-signkey", "root.key"] if name == "root" else ["-CA", "root.crt", "-CAkey", "root.key"]
    run([openssl, "x509", "-new", "-force_pubkey", f"{name}.pub", "-subj", f"/CN={name}", *by, "-days", "365", "-extfile", "ext",
         "-out", f"{name}.crt"])


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.exit("%s: %s" % (" ".join(command[:6]), done.stdout.decode(errors="replace")))


main()
