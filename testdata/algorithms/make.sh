#!/bin/sh
# Writes everything else in this folder anew, with openssl 3.0. The private keys are thrown away.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -f ./*.eml ./*.pem

for name in ca alice; do openssl genrsa -out "$work/$name.key" 2048 2>/dev/null; done
openssl req -x509 -new -key "$work/ca.key" -days 7300 -subj "/CN=CA" -addext keyUsage=critical,keyCertSign,cRLSign -out ca.pem
printf 'subjectAltName=email:alice@example.org\n' > "$work/ext"
openssl req -new -key "$work/alice.key" -subj /CN=Alice -out "$work/alice.csr"
# issue NAME OPTION...
issue() {
    name=$1
    shift
    openssl x509 -req -CA ca.pem -CAkey "$work/ca.key" -days 7300 -in "$work/alice.csr" -extfile "$work/ext" -out "$name.pem" "$@" 2>/dev/null
}
issue alice -set_serial 1
issue pss -set_serial 2 -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sigopt rsa_mgf1_md:sha256
issue pss-mgf1-sha1 -set_serial 3 -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sigopt rsa_mgf1_md:sha1

printf 'Content-Type: text/plain\r\n\r\nWe meet at noon.\r\n' > "$work/text"
# sign NAME OPTION...
sign() {
    name=$1
    shift
    openssl cms -sign -in "$work/text" -signer alice.pem -inkey "$work/alice.key" -from alice@example.org -to bob@example.org \
        -subject noon -out "$name.eml" "$@"
}
sign rsa -md sha256
sign rsa-without-attributes -md sha256 -noattr
sign pss-signed -md sha256 -keyopt rsa_padding_mode:pss -keyopt rsa_mgf1_md:sha256
sign pss-signed-mgf1-sha1 -md sha256 -keyopt rsa_padding_mode:pss -keyopt rsa_mgf1_md:sha1
