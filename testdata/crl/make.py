#!/usr/bin/env python3
"""Writes every .der file in this folder anew, with Python's cryptography (48) and openssl (3.0). The private keys are thrown away.

Alice (1) is revoked for good from list 4 on. Bob (2) is on hold in list 4 and no longer in list 5. Carol (3) is in no complete list.
Dave (4) names another issuer of lists, the Lister. README.md is the table."""

import datetime
import pathlib
import subprocess
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

here = pathlib.Path(__file__).parent
SHA256 = hashes.SHA256()


def day(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def write(file, der):
    (here / f"{file}.der").write_bytes(der)


def usage(**wanted):
    bits = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign encipher_only decipher_only"
    return x509.KeyUsage(**{bit: bit in wanted for bit in bits.split()})


def certificate(file, subject, serial, key, signer, extensions):
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name("CA")).public_key(key.public_key())
    builder = builder.serial_number(serial).not_valid_before(day("2026-01-01")).not_valid_after(day("2040-01-01"))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    made = builder.sign(signer, SHA256)
    write(file, made.public_bytes(serialization.Encoding.DER))
    return made


def person(file, serial, *more):
    alternative = x509.SubjectAlternativeName([x509.RFC822Name(f"{file}@example.org")])
    key = ec.generate_private_key(ec.SECP256R1())
    return certificate(file, file.capitalize(), serial, key, ca_key, [(alternative, False), *more])


ca_key, other_key, lister_key, responder_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(4))
authority = [(x509.BasicConstraints(True, None), True), (usage(key_cert_sign=1, crl_sign=1), True)]
ca = certificate("ca", "CA", 100, ca_key, ca_key, authority)
certificate("ca-other-key", "CA", 101, other_key, ca_key, authority)
certificate("lister", "Lister", 102, lister_key, ca_key, [(usage(crl_sign=1), True)])
no_check = (x509.OCSPNoCheck(), False)
responder = certificate(
    "responder", "Responder", 103, responder_key, ca_key, [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False), no_check]
)
people = {file: person(file, serial) for serial, file in enumerate(["alice", "bob", "carol"], 1)}
place = x509.UniformResourceIdentifier("http://example.org/lists")
by_lister = x509.DistributionPoint(full_name=[place], relative_name=None, reasons=None, crl_issuer=[x509.DirectoryName(name("Lister"))])
people["dave"] = person("dave", 4, (x509.CRLDistributionPoints([by_lister]), False))

REASONS = {
    "compromised": x509.ReasonFlags.key_compromise,
    "held": x509.ReasonFlags.certificate_hold,
    "removed": x509.ReasonFlags.remove_from_crl,
    "left": x509.ReasonFlags.affiliation_changed,
}


def crl(file, number, since, until, entries, base=None, scope=None, key=None, issuer="CA", extra=None):
    builder = x509.CertificateRevocationListBuilder().issuer_name(name(issuer)).last_update(day(since)).next_update(day(until))
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), False)
    if base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(base), True)
    if scope is not None:
        builder = builder.add_extension(scope, True)
    if extra is not None:
        builder = builder.add_extension(extra, True)
    for serial, reason in entries.items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(day("2026-11-27"))
        entry = entry.add_extension(x509.CRLReason(REASONS[reason]), False)
        if issuer != "CA":
            entry = entry.add_extension(x509.CertificateIssuer([x509.DirectoryName(name("CA"))]), True)
        builder = builder.add_revoked_certificate(entry.build())
    write(file, builder.sign(key or ca_key, SHA256).public_bytes(serialization.Encoding.DER))


def scope(users=False, indirect=False, names=None):
    return x509.IssuingDistributionPoint(names, None, users, False, None, indirect, False)


crl("list-2", 2, "2026-11-01", "2026-11-08", {})
crl("list-3", 3, "2026-11-26", "2026-12-20", {})
crl("list-4", 4, "2026-11-28", "2026-12-12", {1: "compromised", 2: "held"})
crl("list-5", 5, "2026-12-02", "2026-12-16", {1: "compromised"})
crl("no-number", None, "2026-12-01", "2026-12-15", {1: "compromised", 3: "held"})
crl("contradictory", 4, "2026-11-25", "2026-12-15", {3: "held"})
crl("delta-removes", 6, "2026-12-03", "2026-12-12", {1: "removed", 2: "removed"}, base=4)
crl("delta-holds", 7, "2026-12-04", "2026-12-12", {3: "held"}, base=5)
crl("delta-revokes", 8, "2026-12-05", "2026-12-12", {3: "left"}, base=6)
crl("users", 1, "2026-11-28", "2026-12-12", {2: "held"}, scope=scope(users=True))
crl("other-key", 9, "2026-11-28", "2026-12-12", {2: "held"}, key=other_key)
unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
crl("unknown-extension", 9, "2026-12-06", "2026-12-20", {}, extra=unknown)
crl("forged", 99, "2026-12-06", "2026-12-20", {}, key=ec.generate_private_key(ec.SECP256R1()))
crl("lister-1", 1, "2026-11-28", "2026-12-12", {}, scope=scope(indirect=True, names=[place]), key=lister_key, issuer="Lister")
crl("lister-2", 2, "2026-11-29", "2026-12-13", {4: "compromised"}, scope=scope(indirect=True, names=[place]), key=lister_key, issuer="Lister")


def response(file, who, status, since, until):
    reason = None if status == ocsp.OCSPCertStatus.GOOD else x509.ReasonFlags.certificate_hold
    when = None if reason is None else day("2026-11-27")
    builder = ocsp.OCSPResponseBuilder().add_response(people[who], ca, hashes.SHA1(), status, day(since), day(until), when, reason)
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, responder).certificates([responder])
    write(file, builder.sign(responder_key, SHA256).public_bytes(serialization.Encoding.DER))


response("alice-good", "alice", ocsp.OCSPCertStatus.GOOD, "2026-12-01", "2026-12-15")
response("carol-good", "carol", ocsp.OCSPCertStatus.GOOD, "2026-11-28", "2026-12-15")
response("carol-held", "carol", ocsp.OCSPCertStatus.REVOKED, "2026-11-29", "2026-12-01")

# Signed with SHA-1, which cryptography does not write.
with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    (work / "key").write_bytes(ca_key.private_bytes(pem, *plain))
    (work / "ca").write_bytes(ca.public_bytes(pem))
    (work / "index").write_text("R\t401124000000Z\t261127000000Z,keyCompromise\t03\tunknown\t/CN=Carol\n")
    (work / "number").write_text("05\n")
    (work / "conf").write_text(
        f"[ca]\ndefault_ca=it\n[it]\ndatabase={work}/index\ndefault_md=sha1\ncrlnumber={work}/number\ncrl_extensions=none\n[none]\n"
    )
    command = "openssl ca -config conf -gencrl -crl_lastupdate 20261129000000Z -crl_nextupdate 20261215000000Z -keyfile key -cert ca -out crl"
    subprocess.run(command.split(), cwd=work, check=True, capture_output=True)
    subprocess.run(["openssl", "crl", "-in", work / "crl", "-outform", "der", "-out", here / "weak.der"], check=True)
