// One stay in one room, over livekit-client.
import {
  ConnectionError,
  ConnectionState,
  DisconnectReason,
  type Participant,
  RemoteAudioTrack,
  Room,
  RoomEvent,
  Track,
} from "livekit-client";
import { block } from "./dom";
import type { Door } from "./access";

export interface Person {
  name: string;
  self: boolean;
  state: "speaking" | "silent" | "muted" | "listening";
}

export class Voice {
  // The server speaks the protocol with two peer connections; saying so saves a refused attempt.
  private readonly room = new Room({ singlePeerConnection: false });

  private constructor(private readonly changed: () => void, private readonly ended: (why: string) => void) {
    const { room } = this;
    for (const event of [
      RoomEvent.ParticipantConnected,
      RoomEvent.ParticipantDisconnected,
      RoomEvent.TrackPublished,
      RoomEvent.TrackUnpublished,
      RoomEvent.TrackMuted,
      RoomEvent.TrackUnmuted,
      RoomEvent.LocalTrackPublished,
      RoomEvent.LocalTrackUnpublished,
      RoomEvent.ActiveSpeakersChanged,
      RoomEvent.ParticipantNameChanged,
      RoomEvent.RecordingStatusChanged,
      RoomEvent.ConnectionStateChanged,
    ] as const) {
      room.on(event, () => this.changed());
    }
    room.on(RoomEvent.TrackSubscribed, (track) => {
      if (track instanceof RemoteAudioTrack) block("voices").append(track.attach());
    });
    room.on(RoomEvent.TrackUnsubscribed, (track) => track.detach().forEach((element) => element.remove()));
    room.on(RoomEvent.Disconnected, (reason) => this.ended(farewell(reason)));
  }

  // `changed` is called whenever anything that the getters tell may have changed; `ended` once, with a sentence, or "" when the
  // person left.
  static async join(door: Door, changed: () => void, ended: (why: string) => void): Promise<Voice> {
    let joined = false;
    const voice = new Voice(changed, (why) => {
      if (joined) ended(why);
    });
    try {
      await voice.room.connect(door.url, door.token);
    } catch (error) {
      throw new Error(refusal(error, door.url));
    }
    joined = true;
    // Not waited for: where no sound card is, it never ends.
    void voice.room.startAudio().catch(() => undefined);
    return voice;
  }

  leave(): Promise<void> {
    return this.room.disconnect();
  }

  // The room that the token opened, whatever the person typed.
  get name(): string {
    return this.room.name;
  }

  get reconnecting(): boolean {
    return this.room.state !== ConnectionState.Connected;
  }

  get beingRecorded(): boolean {
    return this.room.isRecording;
  }

  get publishing(): boolean {
    return this.microphone !== undefined;
  }

  get muted(): boolean {
    return this.microphone?.isMuted ?? false;
  }

  get people(): Person[] {
    const { room } = this;
    return [room.localParticipant, ...room.remoteParticipants.values()].map((member) => ({
      name: member.name || member.identity,
      self: member === room.localParticipant,
      state: stateOf(member),
    }));
  }

  async publish(): Promise<void> {
    try {
      await this.room.localParticipant.setMicrophoneEnabled(true);
    } catch (error) {
      throw new Error(microphoneTrouble(error));
    }
  }

  async unpublish(): Promise<void> {
    const track = this.microphone?.track;
    if (track) await this.room.localParticipant.unpublishTrack(track, true);
  }

  async mute(muted: boolean): Promise<void> {
    const publication = this.microphone;
    await (muted ? publication?.mute() : publication?.unmute());
  }

  private get microphone() {
    return this.room.localParticipant.getTrackPublication(Track.Source.Microphone);
  }
}

function stateOf(member: Participant): Person["state"] {
  const audio = [...member.audioTrackPublications.values()];
  if (audio.length === 0) return "listening";
  if (audio.every((publication) => publication.isMuted)) return "muted";
  return member.isSpeaking ? "speaking" : "silent";
}

function refusal(error: unknown, url: string): string {
  if (error instanceof ConnectionError && error.status && error.status < 500) {
    return `The room refused the token: ${error.message}`;
  }
  const detail = error instanceof Error ? error.message : String(error);
  if (navigator.userAgent.includes("Firefox") && /^(localhost|127\.|\[::1\])/.test(location.hostname)) {
    return `No media from the channel server at ${url}: ${detail}. Firefox connects to no loopback address: set channel_server.udp_listen to 0.0.0.0 or to this machine's own address.`;
  }
  return `The channel server at ${url} could not be reached: ${detail}. Is it running, and does this page's server name it in its configuration?`;
}

function farewell(reason: DisconnectReason | undefined): string {
  switch (reason) {
    case DisconnectReason.CLIENT_INITIATED:
      return "";
    case DisconnectReason.DUPLICATE_IDENTITY:
      return "Somebody joined this room under the same name, so this page left it.";
    case DisconnectReason.PARTICIPANT_REMOVED:
      return "You were removed from the room.";
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return "The room was closed.";
    case DisconnectReason.SERVER_SHUTDOWN:
      return "The server is shutting down.";
    default:
      return "The connection to the room was lost. Join again.";
  }
}

function microphoneTrouble(error: unknown): string {
  const name = error instanceof Error ? error.name : "";
  if (name === "NotAllowedError") return "The browser did not allow the microphone. Allow it for this page and try again.";
  if (name === "NotFoundError") return "No microphone was found. Connect one and try again.";
  if (name === "NotReadableError") return "The microphone is in use by another program. Close that and try again.";
  if (!navigator.mediaDevices) return "Browsers give the microphone only to pages opened over https or from localhost.";
  return `The microphone could not be shared: ${error instanceof Error ? error.message : String(error)}`;
}
