#!/usr/bin/env python3
"""Writes every .der file in this folder anew, with Python's cryptography (48). The private keys are thrown away.

The anchors are certificates of one name and one key, each with other extensions; what is below them is the same for all."""

import datetime
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

here = pathlib.Path(__file__).parent
der = serialization.Encoding.DER
day = lambda text: datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)
name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
root_key, inner_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))


def certificate(file, subject, issuer, serial, key, signer, *extensions, since="2026-01-01", until="2040-01-01"):
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(key.public_key())
    builder = builder.serial_number(serial).not_valid_before(day(since)).not_valid_after(day(until))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    (here / f"{file}.der").write_bytes(builder.sign(signer, hashes.SHA256()).public_bytes(der))


def usage(*wanted):
    bits = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign encipher_only decipher_only"
    return (x509.KeyUsage(**{bit: bit in wanted for bit in bits.split()}), True)


def authority(path_length=None):
    return (x509.BasicConstraints(True, path_length), True)


def policies(*oids):
    return (x509.CertificatePolicies([x509.PolicyInformation(ObjectIdentifier(oid), None) for oid in oids]), False)


def names(permitted=None, excluded=None):
    tree = lambda text: None if text is None else [x509.RFC822Name(text)]
    return (x509.NameConstraints(tree(permitted), tree(excluded)), True)


def anchor(file, serial, *extensions, basic=authority(), bits=("key_cert_sign", "crl_sign"), **validity):
    certificate(file, "Root", "Root", serial, root_key, root_key, basic, usage(*bits), *extensions, **validity)


anchor("plain", 1)
anchor("expired", 2, since="2020-01-01", until="2026-06-01")
anchor("future", 3, since="2030-01-01")
anchor("length-0", 4, basic=authority(0))
anchor("permits", 5, names(permitted="example.org"))
anchor("permits-others", 6, names(permitted="example.com"))
anchor("excludes", 7, names(excluded="alice@example.org"))
anchor("no-crl-sign", 8, bits=("key_cert_sign",))
anchor("no-cert-sign", 9, bits=("crl_sign",))
anchor("policy-1", 10, policies("1.2.3.1"))
anchor("policy-2", 11, policies("1.2.3.2"))
anchor("any-policy", 12, policies("2.5.29.32.0"))
anchor("explicit", 13, (x509.PolicyConstraints(0, None), True))
anchor("explicit-policy-2", 14, policies("1.2.3.2"), (x509.PolicyConstraints(0, None), True))
anchor("inhibit-any", 15, (x509.PolicyConstraints(0, None), True), (x509.InhibitAnyPolicy(0), True))
anchor("inhibit-mapping", 16, (x509.PolicyConstraints(0, 0), True))
anchor("critical", 17, (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True))
anchor("servers", 18, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False))

alice = x509.SubjectAlternativeName([x509.RFC822Name("alice@example.org")])
certificate("leaf", "Alice", "Root", 30, leaf_key, root_key, (alice, False), policies("1.2.3.1"))
certificate("any-leaf", "Alice", "Root", 31, leaf_key, root_key, (alice, False), policies("2.5.29.32.0"))
certificate("bare-leaf", "Alice", "Root", 32, leaf_key, root_key, (alice, False))
certificate("inner", "Inner", "Root", 33, inner_key, root_key, authority(), usage("key_cert_sign", "crl_sign"), policies("1.2.3.1"))
mapping = x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.33"), bytes.fromhex("300c300a06032a03010603 2a0305".replace(" ", "")))
certificate(
    "mapping-inner", "Inner", "Root", 34, inner_key, root_key, authority(), usage("key_cert_sign", "crl_sign"), policies("1.2.3.1"), (mapping, True)
)
certificate("below-inner", "Alice", "Inner", 35, leaf_key, inner_key, (alice, False), policies("1.2.3.1"))
certificate("mapped", "Alice", "Inner", 36, leaf_key, inner_key, (alice, False), policies("1.2.3.5"))

crl = x509.CertificateRevocationListBuilder().issuer_name(name("Root")).last_update(day("2026-11-01")).next_update(day("2026-12-31"))
(here / "list.der").write_bytes(crl.add_extension(x509.CRLNumber(1), False).sign(root_key, hashes.SHA256()).public_bytes(der))
