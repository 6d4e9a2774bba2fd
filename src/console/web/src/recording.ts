// One recording, asked for over the server's own REST API as any app server would. Every page that looks at a room sees the same
// recording, whoever started it.
import type { Caller, Storage } from "./access";

export type Mode = "mix" | "individual";

export interface PlaylistFile {
  name: string;
  uid: string | undefined;
  url: string | undefined;
}

// How a recording is: its playlists in the bucket, and why it is over where it is.
export interface Progress {
  files: PlaylistFile[];
  ended: string | undefined;
}

interface ListedFile {
  fileName?: string;
  uid?: string;
  isPlayable?: boolean;
}

interface Answer {
  code?: number;
  reason?: string;
  detail?: string;
  message?: string;
  resourceId?: string;
  sid?: string;
  mode?: string;
  cname?: string;
  uid?: string;
  state?: string;
  endReason?: string;
  fileList?: ListedFile[];
  recordings?: Answer[];
}

// The recorder's uid in the room. It is always the same, so that of two pages that press Record at once the server refuses one.
const RECORDER = "1900000001";
// "already started" and "task conflict".
const RUNS_ALREADY = [7, 53];

export class Recording {
  private constructor(
    private readonly caller: Caller,
    private readonly sid: string,
    private readonly session: string,
    private readonly who: { cname: string; uid: string },
  ) {}

  get room(): string {
    return this.who.cname;
  }

  // The newest recording of a room that still runs.
  static async underway(caller: Caller, room: string): Promise<Recording | undefined> {
    const filter = new URLSearchParams({ cname: room, state: "starting,recording,recovering", limit: "1" });
    const list = await call(caller, "GET", `recordings?${filter}`);
    const [newest] = list.recordings ?? [];
    if (!newest?.sid || !newest.resourceId || !newest.uid) return undefined;
    const mode = newest.mode === "individual" ? "individual" : "mix";
    const resource = `cloud_recording/resourceid/${encodeURIComponent(newest.resourceId)}`;
    const session = `${resource}/sid/${newest.sid}/mode/${mode}`;
    return new Recording(caller, newest.sid, session, { cname: room, uid: newest.uid });
  }

  static async start(caller: Caller, storageConfig: Storage, room: string, mode: Mode): Promise<Recording> {
    const who = { cname: room, uid: RECORDER };
    const acquired = await call(caller, "POST", "cloud_recording/acquire", { ...who, clientRequest: {} });
    if (!acquired.resourceId) throw new Error("The server's answer to acquire holds no resourceId.");
    const resource = `cloud_recording/resourceid/${encodeURIComponent(acquired.resourceId)}`;
    const recordingConfig = {
      channelType: 0,
      streamTypes: 0,
      maxIdleTime: 120,
      ...(mode === "individual" ? { streamMode: "original", subscribeUidGroup: 5 } : {}),
    };
    let started: Answer;
    try {
      started = await call(caller, "POST", `${resource}/mode/${mode}/start`, {
        ...who,
        clientRequest: { recordingConfig, recordingFileConfig: { avFileType: ["hls"] }, storageConfig },
      });
    } catch (error) {
      const runs = error instanceof Refused && RUNS_ALREADY.includes(error.code ?? 0) && (await Recording.underway(caller, room));
      if (runs) return runs;
      throw error;
    }
    if (!started.sid) throw new Error("The server's answer to start holds no sid.");
    return new Recording(caller, started.sid, `${resource}/sid/${started.sid}/mode/${mode}`, who);
  }

  async look(): Promise<Progress> {
    const answer = await call(this.caller, "GET", `recordings/${this.sid}`);
    const over = answer.state === "ended" || answer.state === "failed";
    return { files: this.files(answer), ended: over ? ending(answer.endReason) : undefined };
  }

  async stop(): Promise<PlaylistFile[]> {
    const body = { ...this.who, clientRequest: { async_stop: false } };
    return this.files(await call(this.caller, "POST", `${this.session}/stop`, body));
  }

  // Those that are in the bucket, by their whole names there.
  private files(answer: Answer): PlaylistFile[] {
    return (answer.fileList ?? []).flatMap(({ fileName, uid, isPlayable }) => {
      if (!fileName || isPlayable === false) return [];
      return [{ name: fileName, uid: uid === "0" ? undefined : uid, url: this.address(fileName) }];
    });
  }

  // Where the playlist can be played.
  private address(key: string): string | undefined {
    const { playback } = this.caller;
    if (!playback) return undefined;
    return (playback.endsWith("/") ? playback : `${playback}/`) + key.split("/").map(encodeURIComponent).join("/");
  }
}

function ending(reason: string | undefined): string {
  switch (reason) {
    case "stopped":
      return "it was stopped";
    case "idle":
      return "nobody was in the room for a while";
    case undefined:
      return "the server does not say why";
    default:
      return reason.replaceAll("_", " ");
  }
}

export class Refused extends Error {
  constructor(readonly status: number, readonly answer: Answer, message: string) {
    super(message);
  }

  get code(): number | undefined {
    return this.answer.code;
  }
}

async function call(caller: Caller, method: "GET" | "POST", path: string, body?: unknown): Promise<Answer> {
  const credentials = new TextEncoder().encode(`${caller.key}:${caller.secret}`);
  const verb = path.split("?")[0]?.split("/").pop() ?? path;
  let answer: Response;
  try {
    answer = await fetch(`v1/apps/${encodeURIComponent(caller.appId)}/${path}`, {
      method,
      headers: {
        authorization: `Basic ${btoa(String.fromCharCode(...credentials))}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      // The credentials are ours to send. With its own the browser would ask the person for others when these are refused.
      credentials: "omit",
    });
  } catch {
    throw new Error(`The server did not answer ${verb}. Is it still running?`);
  }
  const json = (await answer.json().catch(() => ({}))) as Answer;
  // A start that was there before is answered with 201.
  if (answer.ok && json.code !== 7) return json;
  const code = json.code === undefined ? "" : `, code ${json.code}`;
  const reason = [json.reason ?? json.message ?? "no reason given", json.detail].filter(Boolean).join(": ");
  throw new Refused(answer.status, json, `The server refused ${verb} (${answer.status}${code}): ${reason}`);
}
