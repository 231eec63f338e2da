#!/usr/bin/env bash
# Makes the files here anew: `testdata/post_quantum/make.sh target/openssl-3.6/run`.
set -euo pipefail
readonly OPENSSL=$(realpath "$1")
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# NAME ALGORITHM USAGE ISSUER
issue() {
  "$OPENSSL" genpkey -algorithm "$2" -out "$work/$1.key"
  "$OPENSSL" pkey -in "$work/$1.key" -pubout -out "$work/$1.pub"
  printf '%s\n' "$3" "subjectAltName=email:$1@example.org" > "$work/ext"
  local by=(-CA "$work/$4.crt" -CAkey "$work/$4.key")
  [[ $1 == "$4" ]] && by=(-signkey "$work/$1.key")
  "$OPENSSL" x509 -new -force_pubkey "$work/$1.pub" -subj "/CN=$1" "${by[@]}" -days 36500 -extfile "$work/ext" -out "$work/$1.crt"
  "$OPENSSL" x509 -in "$work/$1.crt" -outform DER -out "$1.der"
}

printf 'Content-Type: text/plain\r\n\r\nThe harvest of today is safe tomorrow.\r\n' > text.txt
issue root ML-DSA-44 $'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign' root
issue ml-dsa-65 ML-DSA-65 $'keyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection' root
issue ml-kem-768 ML-KEM-768 $'keyUsage=critical,keyEncipherment\nextendedKeyUsage=emailProtection' root
issue slh-dsa-shake-128f SLH-DSA-SHAKE-128f $'keyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection' slh-dsa-shake-128f
for name in ml-dsa-65 ml-kem-768; do
  "$OPENSSL" pkcs8 -topk8 -nocrypt -in "$work/$name.key" -outform DER -out "$name.key.der"
done
sign() {
  "$OPENSSL" cms -sign -binary -nodetach -nosmimecap -in text.txt -signer "$work/$1.crt" -inkey "$work/$1.key" -md "$2" -outform DER -out "$3.p7m"
}
sign ml-dsa-65 sha512 signed-ml-dsa
sign slh-dsa-shake-128f shake128 signed-slh-dsa
"$OPENSSL" cms -encrypt -binary -aes-256-gcm -in text.txt -recip "$work/ml-kem-768.crt" -outform DER -out auth-enveloped.p7m
"$OPENSSL" cms -encrypt -binary -aes256 -in text.txt -recip "$work/ml-kem-768.crt" -outform DER -out enveloped.p7m
