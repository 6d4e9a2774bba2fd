// The voice room page: ties the form, the room, the recording and the player together.
import { Access } from "./access";
import { block, button, byId, input, say } from "./dom";
import { play } from "./player";
import { type PlaylistFile, type Mode, Recording, Refused } from "./recording";
import { type Person, Voice } from "./voice";

// How often the page looks at the room's recording, also where another page or program began it.
const LOOK_MS = 2000;
// The code of a stop that came while another one was under way.
const STOPPING_ALREADY = 49;

const access = await Access.ask();
let voice: Voice | undefined;
let recording: Recording | undefined;
// Where the person asked for another room than the token opens.
let asked = "";
let playing = "";
let noted = "";
// The credentials that were refused while nobody pressed anything: they are not tried again before they change.
let refused = "";
const busy = new Set<HTMLButtonElement>();

// A reload comes back to the same room under the same name.
input("room").value = sessionStorage.getItem("room") ?? input("room").value;
input("name").value = sessionStorage.getItem("name") ?? `guest-${Math.floor(Math.random() * 9000) + 1000}`;
for (const id of ["room", "name"]) input(id).addEventListener("input", () => sessionStorage.setItem(id, input(id).value));

byId("join", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void attempt(button("enter"), join);
});
button("leave").addEventListener("click", () => void attempt(button("leave"), async () => voice?.leave()));
button("publish").addEventListener("click", () => {
  void attempt(button("publish"), async () => (voice?.publishing ? voice.unpublish() : voice?.publish()));
});
button("mute").addEventListener("click", () => {
  void attempt(button("mute"), async () => voice?.mute(!voice.muted));
});
byId("ask", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void attempt(button("record"), () => (recording ? stop(recording) : start()));
});
draw();
void watch();

// The room that the page is in, else the one that it would join.
function room(): string {
  return voice?.name || input("room").value.trim();
}

async function join() {
  const [wanted, name] = [input("room").value.trim(), input("name").value.trim()];
  voice = await Voice.join(await access.door(wanted, name), draw, (why) => {
    voice = undefined;
    if (why) complain(why);
    draw();
  });
  asked = wanted === room() ? "" : wanted;
  input("room").value = room();
  sessionStorage.setItem("room", room());
  sessionStorage.setItem("name", name);
}

async function start() {
  note("Starting…");
  show([]);
  try {
    const [caller, storage, mode] = [access.needed(), access.storage(), byId("mode", HTMLSelectElement).value as Mode];
    recording = await Recording.start(caller, storage, room(), mode);
  } catch (error) {
    note("");
    throw error;
  }
  refused = "";
  note(`Recording ${recording.room}. The first playlist appears after the first segment.`);
}

async function stop(current: Recording) {
  note("Stopping; the last segments are on their way to the bucket…");
  let files: PlaylistFile[];
  try {
    files = await current.stop();
  } catch (error) {
    // Another page stops it: the next look tells how that ends.
    if (error instanceof Refused && error.code === STOPPING_ALREADY) return;
    if (error instanceof Refused && error.status === 404) return;
    throw error;
  }
  if (recording === current) recording = undefined;
  show(files);
  note(files.length > 0 ? "Finished." : "Finished; nothing was recorded.");
}

// Looks at the room's recording for as long as the page is open.
async function watch() {
  for (;;) {
    await look().catch(complain);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

async function look() {
  const recordButton = button("record");
  if (busy.has(recordButton)) return;
  if (recording && recording.room !== room()) {
    recording = undefined;
    note("");
  }
  const current = recording;
  if (current) {
    const { files, ended } = await current.look();
    if (recording !== current || busy.has(recordButton)) return;
    if (files.length > 0) show(files);
    if (ended !== undefined) {
      recording = undefined;
      note(`The recording of ${current.room} is over: ${ended}.`);
    } else if (files.length > 0) {
      note(`Recording ${current.room}. The playlist grows while you listen.`);
    }
    return draw();
  }
  const [caller, wanted] = [access.caller(), room()];
  const credentials = JSON.stringify(caller);
  if (!caller || !wanted || credentials === refused) return;
  let found: Recording | undefined;
  try {
    found = await Recording.underway(caller, wanted);
  } catch (error) {
    // Nobody asked for this: what is wrong is told when somebody presses Record.
    if (error instanceof Refused && error.status === 401) refused = credentials;
    return;
  }
  if (!found || recording || busy.has(recordButton) || found.room !== room()) return;
  recording = found;
  note(`${found.room} is being recorded.`);
  draw();
}

// Runs what a button asked for with the button at rest, and tells what went wrong.
async function attempt(pressed: HTMLButtonElement, action: () => Promise<unknown>) {
  complain("");
  busy.add(pressed);
  draw();
  try {
    await action();
  } catch (error) {
    complain(error);
  }
  busy.delete(pressed);
  draw();
}

function note(text: string) {
  noted = text;
  say(block("recording"), text);
}

function complain(error: unknown) {
  const text = error instanceof Error ? error.message : String(error);
  say(block("problem"), text);
  block("problem").hidden = !text;
}

function draw() {
  const inside = voice !== undefined;
  const where = `In ${room()}.${asked ? ` The token opens this room, and not ${asked}.` : ""}`;
  const people = voice?.people ?? [];
  usable("enter", !inside);
  usable("leave", inside);
  if (!inside) asked = "";
  for (const id of ["room", "name"]) input(id).disabled = inside;
  say(block("connection"), !voice ? (busy.has(button("enter")) ? "Joining…" : "Not in a room.") : voice.reconnecting ? "Reconnecting…" : where);
  block("badge").hidden = !voice?.beingRecorded;

  toggle("publish", inside, voice?.publishing ?? false, "Stop sharing", "Share microphone");
  toggle("mute", voice?.publishing ?? false, voice?.muted ?? false, "Unmute", "Mute");
  toggle("record", inside || recording !== undefined, recording !== undefined, "Stop recording", "Record");
  byId("mode", HTMLSelectElement).disabled = recording !== undefined;
  say(block("recording"), noted || (inside ? "Not recording." : "Join a room to record it."));

  block("nobody").hidden = inside;
  block("people").replaceChildren(...people.map(line));
  const speakers = people.filter((person) => person.state === "speaking").map((person) => person.name);
  say(block("speaking"), speakers.length > 0 ? `Speaking: ${speakers.join(", ")}` : "");
}

function usable(id: string, yes: boolean) {
  button(id).disabled = !yes || busy.has(button(id));
}

function toggle(id: string, possible: boolean, on: boolean, whenOn: string, whenOff: string) {
  const element = button(id);
  usable(id, possible);
  element.setAttribute("aria-pressed", String(on));
  say(element, on ? whenOn : whenOff);
}

function line(person: Person): HTMLLIElement {
  const item = document.createElement("li");
  item.classList.toggle("speaking", person.state === "speaking");
  item.append(span("name", person.self ? `${person.name} (you)` : person.name), span("state", person.state));
  return item;
}

function span(kind: string, text: string): HTMLSpanElement {
  const element = document.createElement("span");
  element.className = kind;
  element.textContent = text;
  return element;
}

function show(files: PlaylistFile[]) {
  const names = files.map((file) => file.name).join("\n");
  if (block("files").dataset["names"] === names) return;
  block("files").dataset["names"] = names;
  block("files").replaceChildren(...files.map(fileLine));
  const first = files[0];
  if (first?.url && files.every((file) => file.url !== playing)) listen(first);
}

function fileLine(file: PlaylistFile): HTMLLIElement {
  const item = document.createElement("li");
  item.append(span("name", file.name));
  if (file.url) {
    const listenButton = document.createElement("button");
    listenButton.type = "button";
    listenButton.textContent = file.uid ? `Listen to ${file.uid}` : "Listen";
    listenButton.addEventListener("click", () => listen(file));
    item.append(listenButton);
  }
  return item;
}

function listen(file: PlaylistFile) {
  if (!file.url) return;
  playing = file.url;
  play(file.url, file.uid ? `Recording of ${file.uid}` : "Recording of everybody", complain);
}
