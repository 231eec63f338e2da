// Shows messages as the npm package that is named on the command line does: mailparser or postal-mime. Framed as in python.py.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.POSTSEAL_READERS_PACKAGES}/`);
const readers = { mailparser, "postal-mime": postalMime };
const show = readers[process.argv[2]]();

let buffer = Buffer.alloc(0);
for await (const chunk of process.stdin) {
  buffer = Buffer.concat([buffer, chunk]);
  while (buffer.length >= 4 && buffer.length >= 4 + buffer.readUInt32BE()) {
    const end = 4 + buffer.readUInt32BE();
    const message = buffer.subarray(4, end);
    buffer = buffer.subarray(end);
    const answer = await show(message).catch((error) => ({ failed: String(error) }));
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

function mailparser() {
  const { simpleParser } = require("mailparser");
  const plain = { skipHtmlToText: true, skipTextToHtml: true, skipTextLinks: true, skipImageLinks: true };
  return async (message) => {
    const mail = await simpleParser(message, plain);
    return {
      subject: mail.subject ? String(mail.subject) : null,
      from: mailboxes(mail.from?.value ?? []),
      parts: [
        ...displayed("text/plain", mail.text),
        ...displayed("text/html", mail.html),
        ...mail.attachments.map((one) => attached(one.contentType, one.filename, one.content)),
      ],
    };
  };
}

function postalMime() {
  const PostalMime = require("postal-mime");
  const Parser = PostalMime.default ?? PostalMime;
  return async (message) => {
    const mail = await Parser.parse(message);
    return {
      subject: mail.subject ? String(mail.subject) : null,
      from: mailboxes(mail.from ? [mail.from] : []),
      parts: [
        ...displayed("text/plain", mail.text),
        ...displayed("text/html", mail.html),
        ...mail.attachments.map((one) => attached(one.mimeType, one.filename, one.content)),
      ],
    };
  };
}

function displayed(type, text) {
  return text ? [{ type, name: null, text, octets: Buffer.from(text).toString("base64") }] : [];
}

function attached(type, name, content) {
  return { type: String(type ?? ""), name: typeof name === "string" ? name : null, text: null, octets: Buffer.from(content).toString("base64") };
}

function mailboxes(found) {
  return found.flatMap((one) => (one.group ? mailboxes(one.group) : one.address ? [one.address] : []));
}
