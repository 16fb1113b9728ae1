// The caller's side of the audio: a microphone, or silence for those who go on by typing.

import { insecureContext, problemOfMicrophone, type Problem } from "./problem.js";

export interface Source {
  track: MediaStreamTrack;
  /** False when the track carries silence for want of a microphone. */
  microphone: boolean;
  /** Whether the browser takes the agent's voice out of the track; undefined where it does not say. */
  echoCancelled: boolean | undefined;
  close(): void;
}

/** Carries a problem to where it is shown. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.title);
  }
}

/**
 * Opens the microphone. `raw` turns the browser's own echo, noise and gain processing off: a test that plays a file
 * wants its samples to arrive as they are.
 */
export async function openMicrophone(raw: boolean): Promise<Source> {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) throw new Refused(insecureContext);
  try {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: !raw, noiseSuppression: !raw, autoGainControl: !raw, channelCount: 1 },
    });
    const track = stream.getAudioTracks()[0];
    if (!track) throw new DOMException("The stream has no audio track.", "NotFoundError");
    return { track, microphone: true, echoCancelled: echoCancelled(track), close: () => track.stop() };
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: "", message: String(error) };
    throw new Refused(problemOfMicrophone(name, message));
  }
}

/**
 * What became of the constraint: a device may refuse it. Newer browsers name what is cancelled ("all", "remote-only")
 * instead of saying that something is.
 */
export function echoCancelled(track: Pick<MediaStreamTrack, "getSettings">): boolean | undefined {
  const setting: unknown = track.getSettings().echoCancellation;
  if (typeof setting === "string") return true;
  return typeof setting === "boolean" ? setting : undefined;
}

/** A track of silence, so that a call without a microphone has the same form as any other. */
export async function openSilence(): Promise<Source> {
  const context = new AudioContext();
  await context.resume();
  const [track] = context.createMediaStreamDestination().stream.getAudioTracks();
  if (!track) throw new Refused(problemOfMicrophone("", "The browser makes no audio track."));
  return {
    track,
    microphone: false,
    // Silence has no echo.
    echoCancelled: true,
    close: () => {
      track.stop();
      void context.close();
    },
  };
}
