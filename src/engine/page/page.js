
"use strict";
(function () {
  var element = function (id) { return document.getElementById(id); };
  var show = function (id, isShown) { element(id).hidden = !isShown; };
  var magic = "pspage1\n", headLength = 40, mostIterations = 10000000;

  var octetsOf = function (base64) {
    var binary = atob(base64.trim());
    var octets = new Uint8Array(binary.length);
    for (var at = 0; at < binary.length; at++) octets[at] = binary.charCodeAt(at);
    return octets;
  };

  // A wrong passphrase and a changed octet are one error.
  var opened = async function (passphrase) {
    var sealed = octetsOf(element("sealed").textContent);
    var head = sealed.subarray(0, headLength);
    var iterations = new DataView(sealed.buffer).getUint32(8);
    if (new TextDecoder().decode(head.subarray(0, 8)) !== magic || iterations > mostIterations) {
      throw new Error("not a page");
    }
    var typed = new TextEncoder().encode(passphrase.normalize("NFKC").trim());
    var material = await crypto.subtle.importKey("raw", typed, "PBKDF2", false, ["deriveKey"]);
    var how = { name: "PBKDF2", hash: "SHA-256", salt: head.subarray(12, 28), iterations: iterations };
    var key = await crypto.subtle.deriveKey(how, material, { name: "AES-GCM", length: 256 }, false, ["decrypt"]);
    var gcm = { name: "AES-GCM", iv: head.subarray(28, headLength), additionalData: head, tagLength: 128 };
    return crypto.subtle.decrypt(gcm, key, sealed.subarray(headLength));
  };

  // Everything is shown as text, and each file is saved without a type that a browser would open.
  var display = function (content) {
    var length = new DataView(content).getUint32(0);
    var described = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 4, length)));
    described.header.forEach(function (field) {
      ["dt", "dd"].forEach(function (name, at) {
        var one = document.createElement(name);
        one.textContent = field[at];
        element("header").appendChild(one);
      });
    });
    element("text").textContent = described.text;
    var at = 4 + length;
    described.files.forEach(function (file) {
      var blob = new Blob([new Uint8Array(content, at, file.octets)], { type: "application/octet-stream" });
      var link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = file.name;
      link.textContent = file.name;
      var item = document.createElement("li");
      item.appendChild(link);
      item.appendChild(document.createTextNode(" (" + Math.ceil(file.octets / 1024) + " KiB)"));
      element("list").appendChild(item);
      at += file.octets;
    });
    show("files", described.files.length > 0);
  };

  if (!window.crypto || !crypto.subtle) {
    show("form", false);
    show("unsupported", true);
    return;
  }
  element("form").addEventListener("submit", async function (event) {
    event.preventDefault();
    var field = element("passphrase");
    show("refused", false);
    show("opening", true);
    field.disabled = true;
    try {
      display(await opened(field.value));
      field.value = "";
      show("closed", false);
      show("opened", true);
    } catch (error) {
      show("refused", true);
    }
    show("opening", false);
    field.disabled = false;
    field.focus();
  });
})();
