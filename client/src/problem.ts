// Faults in words: what happened and the way out, for people who are about to speak.

export interface Problem {
  title: string;
  detail: string;
  /** What to do about it. */
  fix: string;
  /** A call without a microphone is still possible: offer to type. */
  textOnly?: boolean;
}

function field(body: object, name: string): string {
  const value = (body as Record<string, unknown>)[name];
  return typeof value === "string" ? value : "";
}

/** A refusal of the server, from an `application/problem+json` body where there is one. */
export function problemOfResponse(status: number, contentType: string | null, body: string): Problem {
  if (contentType?.includes("json")) {
    try {
      const parsed: unknown = JSON.parse(body);
      if (typeof parsed === "object" && parsed !== null && field(parsed, "title")) {
        return { title: field(parsed, "title"), detail: field(parsed, "detail"), fix: field(parsed, "fix") };
      }
    } catch {
      // Not the JSON it claims to be: said below, with the status.
    }
  }
  return {
    title: `The server answered with status ${status}`,
    detail: body.trim().slice(0, 200),
    fix: status >= 500 ? "Try again; if it stays so, look at the server's log." : "Reload the page and try again.",
  };
}

export const unreachable: Problem = {
  title: "The server cannot be reached",
  detail: "No answer came to the request.",
  fix: "See that duologue is running and that this machine is on the network, then try again.",
};

export const insecureContext: Problem = {
  title: "The browser gives no microphone to this page",
  detail: "Microphones are for pages that come over https, or from this same machine.",
  fix: "Open the page as http://localhost (or 127.0.0.1) on the machine that runs duologue, put it behind https, or go on by typing.",
  textOnly: true,
};

/** Why getUserMedia failed, by the name of its DOMException. */
export function problemOfMicrophone(name: string, message: string): Problem {
  const textOnly = true;
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return {
        title: "The microphone was refused",
        detail: "The browser, or the system behind it, does not let this page listen.",
        fix: "Allow the microphone in the address bar's site settings and try again, or go on by typing.",
        textOnly,
      };
    case "NotFoundError":
    case "OverconstrainedError":
      return {
        title: "No microphone was found",
        detail: "The browser sees no audio input on this machine.",
        fix: "Plug one in, or turn it on in the system's sound settings, and try again; or go on by typing.",
        textOnly,
      };
    case "NotReadableError":
    case "AbortError":
      return {
        title: "The microphone does not start",
        detail: "It is there, but another program may hold it, or the system does not let it be read.",
        fix: "Close other programs that use the microphone and try again, or go on by typing.",
        textOnly,
      };
    default:
      return {
        title: "The microphone could not be opened",
        detail: message || name,
        fix: "Try again, or go on by typing.",
        textOnly,
      };
  }
}

export const neverConnected: Problem = {
  title: "The call was answered, but no sound gets through",
  detail: "No way was found between this browser and the server's media port.",
  fix: "Let UDP through to the server (a firewall or a VPN may stop it), then call again.",
};

export const connectionLost: Problem = {
  title: "The connection was lost",
  detail: "Nothing has come from the server for a while.",
  fix: "Look at the network, then call again.",
};

const endings: Record<string, string> = {
  "caller-hangup": "You hung up.",
  "agent-hangup": "The other side hung up.",
  "network-gone": "The network was gone.",
  "never-connected": "The call never connected.",
  shutdown: "The server was shut down.",
  "time-limit": "The longest allowed call was reached.",
  crash: "The server stopped in the middle of the call.",
  bug: "A fault in the server ended the call.",
};

/** Why the call ended, in one sentence; an unknown reason speaks through its detail. */
export function endingInWords(reason: string, detail: string): string {
  return endings[reason] ?? (detail || reason);
}
