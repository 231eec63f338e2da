// Bouncy Castle's CMS, for post_quantum/bouncy_castle.rs. Each line of standard input is one job; its files are in the folder of the process.
//
//     sign KEY CERTIFICATE CONTENT SIGNED        SignedData with the content in it
//     verify SIGNED CERTIFICATE CONTENT          the signature by that certificate, and its content
//     encrypt CERTIFICATE CONTENT SEALED         AuthEnvelopedData, AES-256-GCM
//     envelop CERTIFICATE CONTENT SEALED         EnvelopedData, AES-256-CBC
//     decrypt KEY SEALED CONTENT                 either of them
//
// Keys and certificates are PEM, SIGNED and SEALED are DER.

import java.io.*;
import java.nio.file.*;
import java.security.*;
import java.security.cert.X509Certificate;
import java.util.*;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.jcajce.*;

class BouncyCastle {
    static final String BC = "BC";

    public static void main(String[] none) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader jobs = new BufferedReader(new InputStreamReader(System.in));
        for (String line = jobs.readLine(); line != null; line = jobs.readLine()) {
            String[] job = line.split(" ");
            byte[] made = switch (job[0]) {
                case "sign" -> sign(key(job[1]), certificate(job[2]), read(job[3]));
                case "verify" -> verify(new CMSSignedData(read(job[1])), certificate(job[2]));
                case "encrypt" -> encrypt(certificate(job[1]), read(job[2]));
                case "envelop" -> envelop(certificate(job[1]), read(job[2]));
                case "decrypt" -> decrypt(key(job[1]), read(job[2]));
                default -> throw new IllegalArgumentException(line);
            };
            Files.write(Path.of(job[job.length - 1]), made);
        }
        System.out.println(Security.getProvider(BC).getVersionStr());
    }

    static byte[] sign(PrivateKey key, X509Certificate certificate, byte[] content) throws Exception {
        var signer = new JcaContentSignerBuilder(key.getAlgorithm()).setProvider(BC).build(key);
        var digests = new JcaDigestCalculatorProviderBuilder().setProvider(BC).build();
        var generator = new CMSSignedDataGenerator();
        generator.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(digests).build(signer, certificate));
        generator.addCertificates(new JcaCertStore(List.of(certificate)));
        return generator.generate(new CMSProcessableByteArray(content), true).getEncoded();
    }

    static byte[] verify(CMSSignedData signed, X509Certificate certificate) throws Exception {
        var signers = signed.getSignerInfos().getSigners();
        if (signers.size() != 1) throw new CMSException("not one signer");
        var verifier = new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(certificate);
        if (!signers.iterator().next().verify(verifier)) throw new CMSException("the signature does not verify");
        return (byte[]) signed.getSignedContent().getContent();
    }

    static RecipientInfoGenerator reader(X509Certificate certificate) throws Exception {
        return new JceKEMRecipientInfoGenerator(certificate, CMSAlgorithm.AES256_WRAP)
            .setKDF(new org.bouncycastle.asn1.x509.AlgorithmIdentifier(
                org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers.id_alg_hkdf_with_sha256))
            .setProvider(BC);
    }

    static byte[] encrypt(X509Certificate certificate, byte[] content) throws Exception {
        var generator = new CMSAuthEnvelopedDataGenerator();
        generator.addRecipientInfoGenerator(reader(certificate));
        var cipher = new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES256_GCM).setProvider(BC).build();
        return generator.generate(new CMSProcessableByteArray(content), (OutputAEADEncryptor) cipher).getEncoded();
    }

    static byte[] envelop(X509Certificate certificate, byte[] content) throws Exception {
        var generator = new CMSEnvelopedDataGenerator();
        generator.addRecipientInfoGenerator(reader(certificate));
        var cipher = new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES256_CBC).setProvider(BC).build();
        return generator.generate(new CMSProcessableByteArray(content), cipher).getEncoded();
    }

    static byte[] decrypt(PrivateKey key, byte[] sealed) throws Exception {
        boolean isAuthenticated =
            ContentInfo.getInstance(sealed).getContentType().equals(CMSObjectIdentifiers.authEnvelopedData);
        var readers = isAuthenticated
            ? new CMSAuthEnvelopedData(sealed).getRecipientInfos() : new CMSEnvelopedData(sealed).getRecipientInfos();
        var recipient = isAuthenticated
            ? new JceKEMAuthEnvelopedRecipient(key).setProvider(BC) : new JceKEMEnvelopedRecipient(key).setProvider(BC);
        CMSException last = new CMSException("no reader by key encapsulation");
        for (RecipientInformation reader : readers.getRecipients()) {
            if (!(reader instanceof KEMRecipientInformation)) continue;
            try {
                return reader.getContent(recipient);
            } catch (CMSException failed) {
                last = failed;
            }
        }
        throw last;
    }

    static byte[] read(String name) throws IOException {
        return Files.readAllBytes(Path.of(name));
    }

    static Object pem(String name) throws IOException {
        try (PEMParser parser = new PEMParser(new FileReader(name))) {
            return parser.readObject();
        }
    }

    static PrivateKey key(String name) throws Exception {
        return new JcaPEMKeyConverter().setProvider(BC).getPrivateKey((PrivateKeyInfo) pem(name));
    }

    static X509Certificate certificate(String name) throws Exception {
        return new JcaX509CertificateConverter().setProvider(BC).getCertificate((X509CertificateHolder) pem(name));
    }
}
