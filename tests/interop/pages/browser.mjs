// Opens pages in headless Chromium. Standard input: a list of { page, passphrases, screenshot?, save? } in JSON. Standard output: for each what the page
// did after each passphrase, everything that it asked for, and the files that it gave.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.POSTSEAL_READERS_PACKAGES}/`);
const { chromium } = require('playwright-core');

const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags });
const results = [];
for (const one of JSON.parse(readFileSync(0, 'utf8'))) {
  const page = await browser.newPage({ acceptDownloads: true, viewport: { width: 900, height: 700 } });
  const asked = [], complaints = [];
  page.on('request', request => asked.push(request.url().replace(/^(file|blob):.*/, '$1')));
  page.on('console', message => complaints.push(message.text()));
  page.on('pageerror', error => complaints.push(String(error)));
  page.on('dialog', dialog => { complaints.push(dialog.message()); dialog.dismiss(); });
  await page.goto(`file://${one.page}`);
  const is = id => page.evaluate(id => !document.getElementById(id).hidden, id);
  const states = [];
  for (const passphrase of one.passphrases) {
    await page.fill('#passphrase', passphrase);
    if (one.screenshot && states.length === 0) await page.screenshot({ path: `${one.screenshot}-closed.png` });
    await page.click('button');
    await page.waitForFunction(() => ['opened', 'refused'].some(id => !document.getElementById(id).hidden), null, { timeout: 60000 });
    states.push(await is('opened') ? 'opened' : `refused: ${await page.innerText('#refused p:first-child')}`);
    if (one.screenshot) await page.screenshot({ path: `${one.screenshot}-${states.length}.png` });
  }
  const files = [];
  for (const link of await page.locator('#list a').all()) {
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    const octets = readFileSync(await download.path());
    files.push([download.suggestedFilename(), octets.length, createHash('sha256').update(octets).digest('hex')]);
  }
  const shown = await page.evaluate(() => ({
    header: Array.from(document.querySelectorAll('#header dt'), dt => [dt.textContent, dt.nextSibling.textContent]),
    text: document.getElementById('text').textContent,
    elements: document.querySelectorAll('#opened *').length,
    typed: document.getElementById('passphrase').value,
  }));
  // What somebody could put into the page still loads nothing.
  const refused = await page.evaluate(() => new Promise(done => {
    const found = [];
    document.addEventListener('securitypolicyviolation', event => {
      found.push(event.effectiveDirective);
      if (found.length === 3) done(found.sort());
    });
    const image = document.createElement('img');
    image.src = 'http://192.0.2.1/x.png';
    const script = document.createElement('script');
    script.textContent = 'document.title = "run"';
    document.body.append(image, script);
    fetch('http://192.0.2.1/').catch(() => 0);
    setTimeout(() => done(found.sort()), 3000);
  }));
  results.push({ states, ...shown, files, asked: [...new Set(asked)], complaints: complaints.filter(text => !text.includes('Content Security Policy')), refused });
  await page.close();
}
await browser.close();
console.log(JSON.stringify(results));
