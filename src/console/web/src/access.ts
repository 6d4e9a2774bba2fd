// Where tokens and credentials come from: the development server hands them out, any other asks the person for them.
import { area, block, input } from "./dom";

export interface Door {
  url: string;
  token: string;
}

export interface Desk {
  appId: string;
  key: string;
  secret: string;
  storageConfig: { fileNamePrefix?: string[] };
  playback: string;
}

interface Session {
  appId: string;
  rest: { key: string; secret: string };
  storageConfig: { fileNamePrefix?: string[] };
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

  desk(): Desk {
    if (this.session) {
      const { appId, rest, storageConfig, playback } = this.session;
      return { appId, ...rest, storageConfig, playback };
    }
    const text = (id: string, what: string) => {
      const value = input(id).value.trim();
      if (!value) throw new Error(`To record, fill in the ${what}.`);
      return value;
    };
    let storageConfig: Desk["storageConfig"];
    try {
      storageConfig = JSON.parse(area("storage").value) as Desk["storageConfig"];
    } catch {
      throw new Error("To record, fill in storageConfig as JSON: vendor, region, bucket, accessKey, secretKey.");
    }
    return {
      appId: text("app-id", "app id"),
      key: text("rest-key", "customer key"),
      secret: text("rest-secret", "customer secret"),
      storageConfig,
      playback: input("playback").value.trim(),
    };
  }
}

// The same server's WebSocket when none is named.
function channelUrl(text: string): string {
  return text || `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}`;
}
