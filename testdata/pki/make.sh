#!/bin/sh
# Makes the certificates of this folder anew. Needs openssl 3.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: > "$work/index.txt"

# key NAME ALGORITHM [OPTION VALUE]...
key() {
    name=$1 algorithm=$2
    shift 2
    [ -f "$work/$name.key" ] || openssl genpkey -quiet -algorithm "$algorithm" "$@" -out "$work/$name.key"
}

ec() { key "$1" EC -pkeyopt ec_paramgen_curve:"${2:-P-256}"; }

serial=16

# issue FILE KEY SUBJECT ISSUER_CERTIFICATE ISSUER_KEY EXTENSIONS [OPTION]...; FILE = ISSUER_CERTIFICATE is self-signed
issue() {
    file=$1 key=$2 subject=$3 issuer=$4 issuer_key=$5 extensions=$6
    shift 6
    serial=$((serial + 1))
    printf '%x\n' "$serial" > "$work/serial"
    cat > "$work/ca.cnf" <<CONFIG
oid_section = oids
[oids]
[ca]
default_ca = this
[this]
database = $work/index.txt
serial = $work/serial
new_certs_dir = $work
default_md = sha256
policy = anything
preserve = yes
unique_subject = no
string_mask = utf8only
[anything]
commonName = optional
organizationName = optional
organizationalUnitName = optional
countryName = optional
emailAddress = optional
[ext]
$(printf '%b' "$extensions")
CONFIG
    openssl req -new -utf8 -key "$work/$key.key" -subj "$subject" -out "$work/$file.csr"
    if [ "$file" = "$issuer" ]; then signed=-selfsign; else signed="-cert $work/$issuer.pem"; fi
    # shellcheck disable=SC2086
    openssl ca -batch -config "$work/ca.cnf" -extensions ext -startdate "${FROM:-20250101000000Z}" -enddate "${UNTIL:-20450101000000Z}" \
        $signed -keyfile "$work/$issuer_key.key" -in "$work/$file.csr" -out "$work/$file.pem" -notext "$@" 2> "$work/log" ||
        { cat "$work/log"; exit 1; }
    openssl x509 -in "$work/$file.pem" -outform DER -out "$file.der"
}

authority='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n'
mail='keyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\n'

# One authority of each kind of key, and a leaf below it.
ec leaf
leaf_below() { # NAME [OPTION]...
    name=$1
    shift
    issue "$name-root" "$name" "/O=postseal test/CN=$name" "$name-root" "$name" "$authority" "$@"
    issue "$name-leaf" leaf "/CN=Alice" "$name-root" "$name" "${mail}subjectAltName=email:alice@example.org" "$@"
}
key rsa RSA -pkeyopt rsa_keygen_bits:2048
leaf_below rsa
key pss RSA-PSS -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_pss_keygen_md:sha256 -pkeyopt rsa_pss_keygen_mgf1_md:sha256 \
    -pkeyopt rsa_pss_keygen_saltlen:32
leaf_below pss -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:48
key rsa1024 RSA -pkeyopt rsa_keygen_bits:1024
leaf_below rsa1024
cp "$work/rsa.key" "$work/sha1.key"
leaf_below sha1 -md sha1
ec p521 P-521
leaf_below p521 -md sha512
ec brainpool brainpoolP384r1
leaf_below brainpool -md sha384
key ed25519 ED25519
leaf_below ed25519 -md null
key ed448 ED448
leaf_below ed448 -md null

# One authority with constraints on names, and leaves that keep and break them.
ec root
ec bounded
issue root root "/O=postseal test/CN=Root" root root "$authority"
issue bounded bounded "/O=postseal test/CN=Bounded" root root \
    "${authority}nameConstraints=critical,permitted;email:example.org,permitted;email:.example.net,permitted;DNS:example.org,excluded;email:mallory@example.org,excluded;IP:192.0.2.0/255.255.255.0\n"
bounded() { # FILE SUBJECT NAMES
    issue "$1" leaf "$2" bounded bounded "${mail}$3"
}
bounded within "/CN=Alice" 'subjectAltName=email:alice@example.org,email:alice@a.example.net,DNS:mail.example.org,IP:198.51.100.1'
bounded outside "/CN=Bob" 'subjectAltName=email:bob@example.com'
bounded excluded "/CN=Mallory" 'subjectAltName=email:Mallory@example.org'
bounded excluded-address "/CN=Alice" 'subjectAltName=email:alice@example.org,IP:192.0.2.7'
bounded utf8-within "/CN=Li" 'subjectAltName=@names\n[names]\notherName=1.3.6.1.5.5.7.8.9;FORMAT:UTF8,UTF8:\0350\0200\0201\0345\0270\0253@example.org'
bounded utf8-outside "/CN=Li" 'subjectAltName=@names\n[names]\notherName=1.3.6.1.5.5.7.8.9;FORMAT:UTF8,UTF8:\0350\0200\0201\0345\0270\0253@xn--bcher-kva.example'
bounded subject-within "/CN=Alice/emailAddress=alice@example.org" ''
bounded subject-outside "/CN=Bob/emailAddress=bob@example.com" 'subjectAltName=DNS:mail.example.org'

# Leaves right below the root, each with one flaw or peculiarity.
direct() { # FILE EXTENSIONS
    issue "$1" leaf "/CN=Alice" root root "$2"
}
names='subjectAltName=email:alice@example.org\n'
direct plain "$mail$names"
direct server "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n$names"
direct critical "$mail${names}1.2.3.4=critical,DER:0500\n"
direct policies "$mail${names}certificatePolicies=1.2.3.1,1.2.3.2\n"
FROM=20150101000000Z UNTIL=20200101000000Z
direct expired "$mail$names"
FROM=20440101000000Z UNTIL=20450101000000Z
direct future "$mail$names"
unset FROM UNTIL

# A person's own certificate, and what she issues with it.
ec carol
issue carol carol "/CN=Carol" carol carol "$mail$names"
issue below-carol leaf "/CN=Alice" carol carol "$mail$names"

# An authority for servers alone.
ec servers
issue servers servers "/O=postseal test/CN=Servers" root root "${authority}extendedKeyUsage=serverAuth\n"
issue below-servers leaf "/CN=Alice" servers servers "$mail$names"

# Seven authorities that each certified the six others, and one below them; the root certified the last.
: > mesh.der
for to in 1 2 3 4 5 6 7; do
    ec mesh$to
    issue mesh$to mesh$to "/O=postseal test/CN=Mesh $to" mesh$to mesh$to "$authority"
    rm mesh$to.der
done
for from in 1 2 3 4 5 6 7; do
    for to in 1 2 3 4 5 6 7; do
        [ $from = $to ] && continue
        issue cross mesh$to "/O=postseal test/CN=Mesh $to" mesh$from mesh$from "$authority"
        cat cross.der >> mesh.der
    done
done
rm cross.der
issue mesh-exit mesh7 "/O=postseal test/CN=Mesh 7" root root "$authority"
issue mesh-leaf leaf "/CN=Alice" mesh1 mesh1 "$mail$names"
