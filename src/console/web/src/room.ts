// The voice room page: ties the form, the room, the recording and the player together.
import { Access } from "./access";
import { block, button, byId, input, say } from "./dom";
import { play } from "./player";
import { type Mode, type PlaylistFile, Recording } from "./recording";
import { type Person, Voice } from "./voice";

const QUERY_MS = 2000;

const access = await Access.ask();
let voice: Voice | undefined;
let recording: Recording | undefined;
let room = "";
let playing = "";
let noted = "";
const busy = new Set<HTMLButtonElement>();

input("name").value = `guest-${Math.floor(Math.random() * 9000) + 1000}`;

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

async function join() {
  room = input("room").value.trim();
  const name = input("name").value.trim();
  voice = await Voice.join(await access.door(room, name), draw, (why) => {
    voice = undefined;
    if (why) complain(why);
    draw();
  });
}

async function start() {
  note("Starting…");
  show([]);
  try {
    recording = await Recording.start(access.desk(), room, byId("mode", HTMLSelectElement).value as Mode);
  } catch (error) {
    note("");
    throw error;
  }
  note(`Recording ${room}. The first playlist appears after the first segment.`);
  void follow(recording);
}

async function stop(current: Recording) {
  note("Stopping; the last segments are on their way to the bucket…");
  const files = await current.stop();
  recording = undefined;
  show(files);
  note(files.length > 0 ? "Finished." : "Finished; nothing was recorded.");
}

// Asks for the playlists until the recording ends, here or for another reason.
async function follow(current: Recording) {
  while (recording === current) {
    await new Promise((resolve) => setTimeout(resolve, QUERY_MS));
    if (recording !== current) return;
    const files = await current.query().catch((error: unknown) => {
      complain(error);
      return [];
    });
    if (recording !== current) return;
    if (files === undefined) {
      recording = undefined;
      note("The recording ended by itself: nobody had been in the room for a while, or the server stopped it.");
      draw();
    } else if (files.length > 0) {
      show(files);
      note(`Recording ${room}. The playlist grows while you listen.`);
    }
  }
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
  const people = voice?.people ?? [];
  usable("enter", !inside);
  usable("leave", inside);
  for (const id of ["room", "name"]) input(id).disabled = inside;
  say(block("connection"), !voice ? (busy.has(button("enter")) ? "Joining…" : "Not in a room.") : voice.reconnecting ? "Reconnecting…" : `In ${room}.`);
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
