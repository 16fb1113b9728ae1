"""aiortc sends a microphone through WHIP and hears the agent through WHEP, with real ICE, DTLS and SRTP on loopback.

usage: whip.py URL KEY
Prints one JSON object: what was seen.
"""
import asyncio
import fractions
import json
import struct
import sys
import time
import urllib.error
import urllib.request

import aioice.ice
import av
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

from sound import little_endian, loudness, voice

# aioice leaves loopback out.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]

RATE_HZ = 48_000
FRAGMENT = "application/trickle-ice-sdpfrag"


class Answer:
    def __init__(self, status_code, headers, text):
        self.status_code, self.headers, self.text = status_code, headers, text


class Http:
    def __init__(self, **headers):
        self.headers = headers

    async def ask(self, method, url, content=None, headers=None):
        def run():
            data = content.encode() if content is not None else None
            request = urllib.request.Request(url, data, {**self.headers, **(headers or {})}, method=method)
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return Answer(answer.status, answer.headers, answer.read().decode())
            except urllib.error.HTTPError as refused:
                return Answer(refused.code, refused.headers, refused.read().decode())

        return await asyncio.to_thread(run)


class Microphone(MediaStreamTrack):
    """Silence; a voice from `speaks_at` (seconds of its own time) on for 1.2 s."""

    kind = "audio"
    speaks_at = None

    def __init__(self):
        super().__init__()
        self.samples = 0
        self.began = None

    async def recv(self):
        self.began = self.began or time.monotonic()
        wait = self.began + self.samples / RATE_HZ - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        now = self.samples / RATE_HZ
        speaks = self.speaks_at is not None and self.speaks_at <= now < self.speaks_at + 1.2
        samples = voice(RATE_HZ, 0.02, self.samples) if speaks else [0] * 960
        frame = av.AudioFrame(format="s16", layout="mono", samples=960)
        frame.planes[0].update(little_endian(samples))
        frame.sample_rate, frame.pts = RATE_HZ, self.samples
        frame.time_base = fractions.Fraction(1, RATE_HZ)
        self.samples += 960
        return frame

    def now(self):
        return self.samples / RATE_HZ


async def post(http, url, connection):
    await connection.setLocalDescription(await connection.createOffer())
    answer = await http.ask("POST", url, connection.localDescription.sdp, {"Content-Type": "application/sdp"})
    if answer.status_code == 201:
        await connection.setRemoteDescription(RTCSessionDescription(sdp=answer.text, type="answer"))
    return answer


def direction(sdp):
    return [line[2:] for line in sdp.splitlines() if line in ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive")]


async def hear(track, seconds):
    """How loud each 20 ms were."""
    heard, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        frame = await asyncio.wait_for(track.recv(), 5)
        count = frame.samples * len(frame.layout.channels)
        heard.append(loudness(struct.unpack(f"<{count}h", bytes(frame.planes[0])[: 2 * count])))
    return heard


async def run(url, key):
    out = {}
    http = Http(Authorization=f"Bearer {key}")
    anybody = await Http().ask("POST", url + "/v1/whip", "v=0", {"Content-Type": "application/sdp"})
    out["without_key"] = [anybody.status_code, anybody.headers.get("www-authenticate")]
    options = await http.ask("OPTIONS", url + "/v1/whip")
    out["options"] = [options.status_code, options.headers.get("accept-post")]
    out["get"] = (await http.ask("GET", url + "/v1/whip")).status_code

    speaker, microphone = RTCPeerConnection(), Microphone()
    speaker.addTransceiver(microphone, direction="sendonly")
    published = await post(http, url + "/v1/whip?persona=porter", speaker)
    session = url + published.headers["location"]
    tag = published.headers["etag"]
    link = next(link for link in published.headers.get_all("link") if 'rel="alternate"' in link)
    whep = url + link.split("<")[1].split(">")[0]
    out["published"] = [published.status_code, published.headers["location"].startswith("/v1/whip/"), tag != ""]
    out["published_direction"] = direction(published.text)

    listener = RTCPeerConnection()
    listener.addTransceiver("audio", direction="recvonly")
    played = await post(http, whep, listener)
    out["played"] = [played.status_code, played.headers["location"].startswith("/v1/whep/"), direction(played.text)]
    track = listener.getReceivers()[0].track
    out["greeting"] = max(await hear(track, 3))

    # Then a question; its answer is heard as well.
    await hear(track, 2)
    microphone.speaks_at = microphone.now()
    out["answer"] = max((await hear(track, 6))[100:])

    # Trickled candidates (RFC 9725, section 4.3.1): without, with the wrong and with the right tag.
    lines = [l for l in speaker.localDescription.sdp.splitlines() if l.startswith(("a=ice-ufrag", "a=ice-pwd", "a=candidate"))]
    fragment = "\r\n".join(lines + ["a=end-of-candidates", ""])

    async def patch(body, **headers):
        return await http.ask("PATCH", session, body, {"Content-Type": FRAGMENT, **headers})

    out["trickle"] = [
        (await patch(fragment)).status_code,
        (await patch(fragment, **{"If-Match": '"another"'})).status_code,
        (await patch(fragment, **{"If-Match": tag})).status_code,
        (await http.ask("PATCH", session, "x", {"If-Match": tag, "Content-Type": "text/plain"})).status_code,
    ]
    stopped = await http.ask("DELETE", url + played.headers["location"])
    again = await http.ask("DELETE", url + played.headers["location"])
    ended = await http.ask("DELETE", session)
    out["deleted"] = [stopped.status_code, again.status_code, ended.status_code]
    await asyncio.gather(speaker.close(), listener.close())
    return out


print(json.dumps(asyncio.run(run(*sys.argv[1:3]))))
