// Drives a headless browser for browser.py: one JSON command a line on standard input, one JSON answer a line on standard output.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [modules, kind, executablePath] = process.argv.slice(2);
const playwright = (await import(pathToFileURL(`${modules}/playwright-core/index.mjs`))).default;

const launch = {
  chromium: () => playwright.chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--autoplay-policy=no-user-gesture-required",
      // Talk to loopback addresses as they are, without names that nobody here resolves.
      "--disable-features=WebRtcHideLocalIpsWithMdns",
      "--allow-loopback-in-peer-connection",
    ],
  }),
  // The distribution's own, over WebDriver BiDi. Where there is no sound card its Web Audio stands still, so the microphone is its fake one.
  firefox: () => playwright.firefox.launch({
    channel: "moz-firefox",
    executablePath,
    firefoxUserPrefs: {
      "media.autoplay.default": 0,
      "media.navigator.streams.fake": true,
      "media.navigator.permission.disabled": true,
      "media.navigator.audio.fake_frequency": 660,
      "media.peerconnection.ice.loopback": true,
      "media.peerconnection.ice.obfuscate_host_addresses": false,
    },
  }),
};
const browser = await launch[kind]();
const pages = new Map();

// A microphone that hears a pure tone, without the processing that would take it for noise.
const tone = (hertz) => {
  navigator.mediaDevices.getUserMedia = async () => {
    const context = new AudioContext({ sampleRate: 48000 });
    await context.resume();
    const oscillator = new OscillatorNode(context, { frequency: hertz });
    const gain = new GainNode(context, { gain: 0.25 });
    const out = context.createMediaStreamDestination();
    out.channelCount = 1;
    oscillator.connect(gain).connect(out);
    oscillator.start();
    return out.stream;
  };
};

// What a page did not mean to show: its peer connections.
const peers = () => {
  window.peers = [];
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...options) {
      super(...options);
      window.peers.push(this);
    }
  };
};

const commands = {
  async open({ page: name, url, hertz, anyOrigin, dark, width, height }) {
    const context = await browser.newContext({
      ...(anyOrigin ? { bypassCSP: true } : {}),
      colorScheme: dark ? "dark" : "light",
      viewport: { width: width ?? 900, height: height ?? 1100 },
    });
    const page = await context.newPage();
    const log = [];
    page.on("console", (message) => log.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => log.push(`uncaught: ${error.message}`));
    page.on("request", (request) => log.push(`request: ${request.url()}`));
    if (hertz && kind === "chromium") await page.addInitScript(tone, hertz);
    await page.addInitScript(peers);
    pages.set(name, { page, context, log });
    await page.goto(url);
  },
  fill: ({ page, id, text }) => page.fill(`#${id}`, text),
  choose: ({ page, id, value }) => page.selectOption(`#${id}`, value),
  click: ({ page, id }) => page.click(`#${id}`),
  reload: ({ page }) => page.reload(),
  press: ({ page, key }) => page.keyboard.press(key),
  eval: ({ page, script }) => page.evaluate(script),
  shot: ({ page, path }) => page.screenshot({ path, fullPage: true }),
  async close({ name }) {
    await pages.get(name).context.close();
    pages.delete(name);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    const known = pages.get(command.page);
    if (command.do === "log") answer = { value: known.log };
    else if (command.do === "open") answer = { value: await commands.open(command) };
    else answer = { value: await commands[command.do]({ ...command, name: command.page, page: known?.page }) };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
