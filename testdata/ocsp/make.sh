#!/bin/sh
# Writes everything else in this folder anew, with openssl 3.0. The private keys are thrown away.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -f ./*.der

ca() { openssl x509 -req -CA "$work/ca.pem" -CAkey "$work/ca.key" -days 7300 -in "$work/$1.csr" -set_serial "$2" \
    -extfile "$work/$1.ext" -out "$work/$1.pem" 2>/dev/null; }
der() { openssl x509 -in "$work/$1.pem" -outform der -out "$1.der"; }
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1.key"; }

key ca
openssl req -x509 -new -key "$work/ca.key" -days 7300 -subj "/CN=Test CA" -addext keyUsage=critical,keyCertSign,cRLSign \
    -out "$work/ca.pem"
der ca

# issue NAME SERIAL: a certificate with the extensions on standard input
issue() {
    key "$1"
    cat > "$work/$1.ext"
    openssl req -new -key "$work/$1.key" -subj "/CN=$1" -out "$work/$1.csr"
    ca "$1" "$2"
    der "$1"
}
echo "subjectAltName=email:good@example.org" | issue good 1
echo "subjectAltName=email:revoked@example.org" | issue revoked 2
echo "subjectAltName=email:held@example.org" | issue held 3
echo "subjectAltName=email:absent@example.org" | issue absent 4
printf 'extendedKeyUsage=OCSPSigning\nnoCheck=ignored\n' | issue delegate 5
printf 'extendedKeyUsage=OCSPSigning\n' | issue fallen-delegate 6
printf 'extendedKeyUsage=emailProtection\n' | issue impostor 7

expires=461124000000Z
{
    printf 'V\t%s\t\t01\tunknown\t/CN=good\n' $expires
    printf 'R\t%s\t261101000000Z,keyCompromise\t02\tunknown\t/CN=revoked\n' $expires
    printf 'R\t%s\t261101000000Z,certificateHold\t03\tunknown\t/CN=held\n' $expires
} > "$work/index.txt"

# respond OUT LEAF RESPONDER [OPTIONS OF THE REQUEST] [-- OPTIONS OF THE RESPONSE]
respond() {
    out=$1 leaf=$2 responder=$3
    shift 3
    request=
    while [ $# -gt 0 ] && [ "$1" != -- ]; do request="$request $1"; shift; done
    [ $# -eq 0 ] || shift
    # shellcheck disable=SC2086
    openssl ocsp $request -issuer "$work/ca.pem" -cert "$work/$leaf.pem" -reqout "$work/request.der" >/dev/null
    openssl ocsp -index "$work/index.txt" -CA "$work/ca.pem" -rsigner "$work/$responder.pem" -rkey "$work/$responder.key" \
        -reqin "$work/request.der" -respout "$out.der" -ndays 30 "$@" >/dev/null
}
respond good-by-issuer good ca -no_nonce
respond good-by-key good ca -no_nonce -- -resp_key_id
respond good-by-delegate good delegate -no_nonce
respond good-sha256 good delegate -no_nonce -sha256
respond good-nonce good delegate
respond good-without-certificates good delegate -no_nonce -- -resp_no_certs
respond good-by-impostor good impostor -no_nonce
respond good-by-fallen-delegate good fallen-delegate -no_nonce
respond revoked-by-delegate revoked delegate -no_nonce
respond revoked-by-fallen-delegate revoked fallen-delegate -no_nonce
respond held-by-delegate held delegate -no_nonce
respond unknown absent delegate -no_nonce

# A CRL that says that the one delegate has fallen.
cat > "$work/ca.conf" <<END
[ca]
default_ca = it
[it]
database = $work/fallen.txt
default_md = sha256
crlnumber = $work/number
END
printf 'R\t%s\t261101000000Z,keyCompromise\t06\tunknown\t/CN=fallen-delegate\n' $expires > "$work/fallen.txt"
echo 01 > "$work/number"
openssl ca -config "$work/ca.conf" -gencrl -crldays 30 -keyfile "$work/ca.key" -cert "$work/ca.pem" 2>/dev/null |
    openssl crl -outform der -out fallen.crl.der
