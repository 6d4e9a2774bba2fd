// Plays a playlist that may still be growing.
import Hls from "hls.js/light";
import { byId, block, say } from "./dom";

const audio = byId("audio", HTMLAudioElement);
let hls: Hls | undefined;

export function play(url: string, title: string, failed: (why: string) => void) {
  hls?.destroy();
  hls = undefined;
  block("player").hidden = false;
  say(block("playing"), title);
  if (!Hls.isSupported()) {
    audio.src = url;
    return;
  }
  // From the start rather than from the live edge, and without the worker that would need a blob script.
  hls = new Hls({ enableWorker: false, startPosition: 0 });
  hls.on(Hls.Events.ERROR, (_event, data) => {
    if (!data.fatal) return;
    const status = data.response?.code ? ` (${data.response.code})` : "";
    failed(`The playlist can't be played: ${data.details}${status}. Is the bucket readable from this page, and named in the server's configuration?`);
  });
  hls.loadSource(url);
  hls.attachMedia(audio);
}
