#!/bin/sh
# Makes the certificates and messages of this folder with openssl; README.md says which. Usage: ./make.sh (all files are replaced)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
rm -f "$here"/*.pem "$here"/*.eml

cat > ca.cnf <<'END'
[ca]
default_ca = default
[default]
database = index.txt
new_certs_dir = .
serial = serial
crlnumber = crlnumber
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
default_crl_days = 7000
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[middle]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[mail]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = emailProtection
subjectKeyIdentifier = hash
subjectAltName = email:alice@example.org
[mallory]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = emailProtection
subjectKeyIdentifier = hash
subjectAltName = email:mallory@example.net
[tls]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = email:alice@example.org
END
touch index.txt
echo 01 > serial
echo 01 > crlnumber

key() { # key NAME ALGORITHM [-pkeyopt ...]
    name=$1 algorithm=$2
    shift 2
    openssl genpkey -algorithm "$algorithm" "$@" -out "$name.key" 2> /dev/null
}
certify() { # certify NAME KEY EXTENSIONS ISSUER [START END]
    openssl req -new -config ca.cnf -key "$2.key" -subj "/CN=$1" -out "$1.csr"
    openssl ca -batch -notext -config ca.cnf -extensions "$3" -cert "$4.pem" -keyfile "$4.key" -in "$1.csr" \
        -startdate "${5:-20240101000000Z}" -enddate "${6:-20440101000000Z}" -out "$1.pem" 2> /dev/null
}
message() { # message FILE SIGNER [options of openssl cms]
    file=$1 signer=$2
    shift 2
    openssl cms -sign -in body.txt -signer "$signer.pem" -inkey "$signer.key" -certfile middle.pem -binary \
        -from alice@example.org -to bob@example.org -subject "$file" "$@" -out "$here/$file.eml"
}

key root EC -pkeyopt ec_paramgen_curve:P-256
openssl req -new -config ca.cnf -key root.key -subj /CN=root -out root.csr
openssl ca -batch -notext -config ca.cnf -selfsign -extensions root -keyfile root.key -in root.csr \
    -startdate 20240101000000Z -enddate 20440101000000Z -out root.pem 2> /dev/null
key middle RSA -pkeyopt rsa_keygen_bits:2048
certify middle middle middle root

key ed25519 ED25519
certify ed25519 ed25519 mail middle
certify expired ed25519 mail middle 20240101000000Z 20250101000000Z
certify future ed25519 mail middle 20400101000000Z
certify mallory ed25519 mallory middle
certify revoked ed25519 mail middle
certify tls ed25519 tls middle
key stranger EC -pkeyopt ec_paramgen_curve:P-256
openssl req -new -x509 -config ca.cnf -key stranger.key -subj /CN=stranger -days 7000 -out stranger.pem
certify untrusted ed25519 mail stranger
openssl ca -config ca.cnf -cert middle.pem -keyfile middle.key -revoke revoked.pem -crl_reason keyCompromise 2> /dev/null
openssl ca -config ca.cnf -cert middle.pem -keyfile middle.key -gencrl -crl_lastupdate 20260101000000Z \
    -crl_nextupdate 20440101000000Z -out crl.pem 2> /dev/null

key rsa RSA -pkeyopt rsa_keygen_bits:2048
key rsa1024 RSA -pkeyopt rsa_keygen_bits:1024
key p256 EC -pkeyopt ec_paramgen_curve:P-256
key p384 EC -pkeyopt ec_paramgen_curve:P-384
key p521 EC -pkeyopt ec_paramgen_curve:P-521
key brainpool EC -pkeyopt ec_paramgen_curve:brainpoolP256r1
openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:2048 -out dsa.parameters 2> /dev/null
openssl genpkey -paramfile dsa.parameters -out dsa.key 2> /dev/null
for name in rsa rsa1024 p256 p384 p521 brainpool dsa; do certify $name $name mail middle; done

printf 'Content-Type: text/plain\r\n\r\nThe bearer may pass.\r\n' > body.txt
message clear rsa
message opaque rsa -nodetach
message opaque-stream rsa -nodetach -stream
message key-identifier rsa -keyid
message no-attributes rsa -noattr
message no-certificates rsa -nocerts
message signing-certificate rsa -cades
message two-signers rsa -signer p256.pem -inkey p256.key
message pss rsa -keyopt rsa_padding_mode:pss
message pss-sha512 rsa -md sha512 -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:20
message rsa-md5 rsa -md md5
message rsa-sha1 rsa -md sha1
message rsa-sha3 rsa -md sha3-256
message rsa-sha512 rsa -md sha512
message rsa1024 rsa1024
message p256 p256
message p384 p384 -md sha384
message p521 p521 -md sha512
message brainpool brainpool
message dsa dsa
openssl crl2pkcs7 -nocrl -certfile rsa.pem -certfile middle.pem -outform DER -out certificates.p7c
{
    printf 'From: alice@example.org\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only; name=smime.p7c\r\n'
    printf 'Content-Transfer-Encoding: base64\r\n\r\n'
    openssl base64 -in certificates.p7c
} > "$here/certificates.eml"

for name in root middle ed25519 expired future mallory revoked tls untrusted rsa crl; do cp $name.pem "$here/"; done
cp ed25519.key "$here/ed25519.key.pem"
