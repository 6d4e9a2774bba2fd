// Bundles the voice room page into ../dist, which the binary embeds.
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const dist = new URL("../dist/", import.meta.url);
await mkdir(dist, { recursive: true });
await build({
  entryPoints: { room: "src/room.ts" },
  outdir: dist.pathname,
  bundle: true,
  format: "esm",
  target: ["chrome110", "firefox115", "safari16"],
  minify: true,
  legalComments: "eof",
  banner: { js: "/* Contains livekit-client (LiveKit, Inc.) and hls.js (Dailymotion), both under the Apache License, Version 2.0. */" },
  logLevel: "warning",
});
// As they are: a bundler that knows these targets would take light-dark() apart.
const styles = await Promise.all(["palette", "room"].map((name) => readFile(`src/${name}.css`, "utf8")));
await writeFile(new URL("room.css", dist), styles.join(""));
// Last: its presence and age tell make that the page is built.
await copyFile("src/room.html", new URL("index.html", dist));
