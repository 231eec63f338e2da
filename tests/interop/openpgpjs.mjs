// OpenPGP.js on the command line, for tests/interop/openpgp.rs. It lies where POSTSEAL_OPENPGPJS says (a folder with node_modules), and
// POSTSEAL_OPENPGPJS_PACKAGE names another package than openpgp.
//
//   generate OUT-SECRET OUT-PUBLIC [TYPE]   a version 6 key, Ed25519 and X25519 (RFC 9580); pqc: of RFC 9980, in Proton's package
//   sign SECRET DATA OUT                    a detached signature
//   verify PUBLIC DATA SIGNATURE            writes the signer's key ID, or fails
//   encrypt SECRET PUBLIC DATA OUT          signed and encrypted, AEAD where the certificate announces it
//   decrypt SECRET PUBLIC MESSAGE OUT       fails unless the signature within is good
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';

const openpgp = createRequire(`${process.env.POSTSEAL_OPENPGPJS}/`)(process.env.POSTSEAL_OPENPGPJS_PACKAGE ?? 'openpgp');
const text = (path) => readFileSync(path, 'utf8');
const secret = (path) => openpgp.readPrivateKey({ armoredKey: text(path) });
const certificate = (path) => openpgp.readKey({ armoredKey: text(path) });
const octets = async (path) => openpgp.createMessage({ binary: new Uint8Array(readFileSync(path)) });
const good = async ({ signatures }) => {
  if (signatures.length === 0) throw new Error('no signature');
  for (const signature of signatures) await signature.verified;
  console.log(signatures[0].keyID.toHex());
};

const verbs = {
  async generate(privatePath, publicPath, type = 'curve25519') {
    const { privateKey, publicKey } = await openpgp.generateKey({
      type,
      userIDs: [{ name: 'Alice', email: 'alice@example.org' }],
      config: { v6Keys: true, aeadProtect: true },
    });
    writeFileSync(privatePath, privateKey);
    writeFileSync(publicPath, publicKey);
  },
  async sign(key, data, out) {
    const message = await octets(data);
    writeFileSync(out, await openpgp.sign({ message, signingKeys: await secret(key), detached: true }));
  },
  async verify(key, data, signed) {
    const signature = await openpgp.readSignature({ armoredSignature: text(signed) });
    await good(await openpgp.verify({ message: await octets(data), signature, verificationKeys: await certificate(key) }));
  },
  async encrypt(key, recipient, data, out) {
    const [signingKeys, encryptionKeys] = [await secret(key), await certificate(recipient)];
    const config = { aeadProtect: true };
    writeFileSync(out, await openpgp.encrypt({ message: await octets(data), signingKeys, encryptionKeys, config }));
  },
  async decrypt(key, signer, sealed, out) {
    const message = await openpgp.readMessage({ armoredMessage: text(sealed) });
    const [decryptionKeys, verificationKeys] = [await secret(key), await certificate(signer)];
    const opened = await openpgp.decrypt({ message, decryptionKeys, verificationKeys, format: 'binary' });
    await good(opened);
    writeFileSync(out, opened.data);
  },
};

const [verb, ...paths] = process.argv.slice(2);
await verbs[verb](...paths);
