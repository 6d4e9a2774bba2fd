// One recording, asked for over the server's own REST API as any app server would.
import type { Desk } from "./access";

export type Mode = "mix" | "individual";

export interface PlaylistFile {
  name: string;
  uid: string | undefined;
  url: string | undefined;
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
  serverResponse?: { fileList?: string | ListedFile[] };
  fileList?: ListedFile[];
}

export class Recording {
  private constructor(
    private readonly desk: Desk,
    private readonly session: string,
    private readonly who: { cname: string; uid: string },
  ) {}

  static async start(desk: Desk, room: string, mode: Mode): Promise<Recording> {
    // The recorder's own uid in the channel: any that no member has.
    const who = { cname: room, uid: String(1_000_000_000 + Math.floor(Math.random() * 1_000_000_000)) };
    const acquired = await call(desk, "POST", "acquire", { ...who, clientRequest: {} });
    if (!acquired.resourceId) throw new Error("The server's answer to acquire holds no resourceId.");
    const resource = `resourceid/${encodeURIComponent(acquired.resourceId)}`;
    const recordingConfig = {
      channelType: 0,
      streamTypes: 0,
      maxIdleTime: 120,
      ...(mode === "individual" ? { streamMode: "original", subscribeUidGroup: 5 } : {}),
    };
    const started = await call(desk, "POST", `${resource}/mode/${mode}/start`, {
      ...who,
      clientRequest: {
        recordingConfig,
        recordingFileConfig: { avFileType: ["hls"] },
        storageConfig: desk.storageConfig,
      },
    });
    if (!started.sid) throw new Error("The server's answer to start holds no sid.");
    return new Recording(desk, `${resource}/sid/${encodeURIComponent(started.sid)}/mode/${mode}`, who);
  }

  // The playlists so far, or undefined once the recording is over.
  async query(): Promise<PlaylistFile[] | undefined> {
    try {
      return this.files(await call(this.desk, "GET", `${this.session}/query`));
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return undefined;
      throw error;
    }
  }

  async stop(): Promise<PlaylistFile[]> {
    const body = { ...this.who, clientRequest: { async_stop: false } };
    return this.files(await call(this.desk, "POST", `${this.session}/stop`, body));
  }

  // Those that are in the bucket. The list beside serverResponse has the same form in every mode, and knows.
  private files(answer: Answer): PlaylistFile[] {
    const list = answer.fileList ?? answer.serverResponse?.fileList ?? [];
    const entries: ListedFile[] = typeof list === "string" ? [{ fileName: list }] : list;
    return entries.flatMap(({ fileName, uid, isPlayable }) => {
      if (!fileName || isPlayable === false) return [];
      return [{ name: fileName, uid: uid === "0" ? undefined : uid, url: this.address(fileName) }];
    });
  }

  // Where the playlist can be played; the answer's name may or may not hold the prefix.
  private address(fileName: string): string | undefined {
    const { playback, storageConfig } = this.desk;
    if (!playback) return undefined;
    const prefix = (storageConfig.fileNamePrefix ?? []).map((part) => `${part}/`).join("");
    const key = fileName.startsWith(prefix) ? fileName : prefix + fileName;
    return (playback.endsWith("/") ? playback : `${playback}/`) + key.split("/").map(encodeURIComponent).join("/");
  }
}

export class Refused extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

async function call(desk: Desk, method: "GET" | "POST", path: string, body?: unknown): Promise<Answer> {
  const credentials = new TextEncoder().encode(`${desk.key}:${desk.secret}`);
  const verb = path.split("/").pop() ?? path;
  let answer: Response;
  try {
    answer = await fetch(`v1/apps/${encodeURIComponent(desk.appId)}/cloud_recording/${path}`, {
      method,
      headers: {
        authorization: `Basic ${btoa(String.fromCharCode(...credentials))}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
  } catch {
    throw new Error(`The server did not answer ${verb}. Is it still running?`);
  }
  const json = (await answer.json().catch(() => ({}))) as Answer;
  if (answer.ok) return json;
  const code = json.code === undefined ? "" : `, code ${json.code}`;
  const reason = [json.reason ?? json.message ?? "no reason given", json.detail].filter(Boolean).join(": ");
  throw new Refused(answer.status, `The server refused ${verb} (${answer.status}${code}): ${reason}`);
}
