#!/bin/sh
# Recovers the integrity check and the text of a PEM message that postseal wrote, with nothing but openssl and the tools of POSIX.
#
#   independent.sh MESSAGE SIGNER.crt [READER.key]
#
# Writes the canonical text to standard output; fails when the digest in the signature is not that of the text.
set -eu
message=$1 signer=$2 reader=${3-}
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

tr -d '\r' <"$message" | sed -n '/^-----BEGIN PRIVACY/,/^-----END PRIVACY/p' | sed '1d;$d' >"$work/block"
sed '/^$/q' "$work/block" >"$work/header"
sed '1,/^$/d' "$work/block" >"$work/body"

# The folded lines after `$1: ...`, as octets.
field() {
    awk -v name="$1:" 'index($0, name) == 1 { on = 1; next } /^[^ ]/ { on = 0 } on' "$work/header" | tr -d ' \n' | openssl base64 -d -A
}

kind=$(sed -n 's/^Proc-Type: [0-9]*,//p' "$work/header")
digest=$(sed -n 's/^MIC-Info: RSA-\([^,]*\),RSA,.*/\1/p' "$work/header" | tr 'A-Z' 'a-z')
field MIC-Info >"$work/mic"
case $kind in
MIC-CLEAR) sed -e 's/^- //' -e "s/\$/$(printf '\r')/" "$work/body" >"$work/text" ;;
MIC-ONLY) openssl base64 -d <"$work/body" >"$work/text" ;;
ENCRYPTED)
    dek=$(sed -n 's/^DEK-Info: //p' "$work/header")
    cipher=$(echo "${dek%,*}" | tr 'A-Z' 'a-z')
    field Key-Info | openssl pkeyutl -decrypt -inkey "$reader" -out "$work/dek"
    key=$(od -An -v -tx1 <"$work/dek" | tr -d ' \n')
    set -- -d "-$cipher" -K "$key" -iv "${dek#*,}" -provider default -provider legacy
    openssl base64 -d <"$work/body" | openssl enc "$@" >"$work/text"
    openssl enc "$@" <"$work/mic" >"$work/signature"
    mv "$work/signature" "$work/mic"
    ;;
esac

openssl x509 -in "$signer" -pubkey -noout >"$work/signer.pub"
openssl pkeyutl -verifyrecover -pubin -inkey "$work/signer.pub" -in "$work/mic" -pkeyopt "digest:$digest" >"$work/signed"
openssl dgst "-$digest" -binary "$work/text" | cmp -s - "$work/signed" || {
    echo "the digest in the signature is not that of the text" >&2
    exit 1
}
cat "$work/text"
