// Where tokens and credentials come from: the development server hands them out, any other asks the person for them.
import { area, block, input } from "./dom";

export interface Door {
  url: string;
  token: string;
}

// Who calls the REST API.
export interface Caller {
  appId: string;
  key: string;
  secret: string;
  playback: string;
}

export interface Storage {
  fileNamePrefix?: string[];
}

interface Session {
  appId: string;
  rest: { key: string; secret: string };
  storageConfig: Storage;
  playback: string;
}

export class Access {
  private constructor(private readonly session: Session | undefined) {}

  static async ask(): Promise<Access> {
    const answer = await fetch("room/session").catch(() => undefined);
    // 204 says that this server hands out nothing.
    const session = answer?.status === 200 ? ((await answer.json()) as Session) : undefined;
    block("pasted-voice").hidden = session !== undefined;
    block("pasted-recording").hidden = session !== undefined;
    return new Access(session);
  }

  async door(room: string, name: string): Promise<Door> {
    if (!this.session) {
      const token = area("token").value.trim();
      if (!token) throw new Error("Paste a token for this room first.");
      return { url: channelUrl(input("url").value.trim()), token };
    }
    const answer = await fetch("room/token", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ room, name }),
    });
    const body = (await answer.json()) as { token: string; url: string | null; reason?: string };
    if (!answer.ok) throw new Error(body.reason ?? `The server answered ${answer.status} when asked for a token.`);
    return { url: channelUrl(body.url ?? ""), token: body.token };
  }

  // None while the person has not filled in all of it.
  caller(): Caller | undefined {
    if (this.session) {
      const { appId, rest, playback } = this.session;
      return { appId, ...rest, playback };
    }
    const [appId, key, secret] = [text("app-id"), text("rest-key"), text("rest-secret")];
    return appId && key && secret ? { appId, key, secret, playback: text("playback") } : undefined;
  }

  // The same for whoever is about to record.
  needed(): Caller {
    const caller = this.caller();
    if (caller) return caller;
    throw new Error("To record, fill in the app id, the customer key and the customer secret.");
  }

  storage(): Storage {
    if (this.session) return this.session.storageConfig;
    try {
      return JSON.parse(area("storage").value) as Storage;
    } catch {
      throw new Error("To record, fill in storageConfig as JSON: vendor, region, bucket, accessKey, secretKey.");
    }
  }
}

function text(id: string): string {
  return input(id).value.trim();
}

// The same server's WebSocket when none is named.
function channelUrl(text: string): string {
  return text || `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}`;
}
