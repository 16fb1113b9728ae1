"""A client that speaks Twilio's Media Streams as its documentation has them, and plays like it: what is sent is buffered, marks
come back when they are reached, a clear empties the buffer and sends its marks back.

usage: twilio.py URL KEY
Prints one JSON object: what was seen.
"""
import asyncio
import base64
import json
import sys
import time

import websockets

from sound import voice


def mulaw(sample):
    """G.711."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32_635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


SILENCE = bytes([0xFF] * 160)


class Stream:
    def __init__(self, socket):
        self.socket = socket
        self.queue = []
        self.sent = 0
        self.speech = b""
        self.frames = self.marks = self.clears = self.loud = 0
        self.over = False

    async def send(self, event, **members):
        await self.socket.send(json.dumps({"event": event, "streamSid": "MZ0", **members}))

    async def play(self):
        """20 ms each: the caller's sound out, the next of the agent's played."""
        began, tick = time.monotonic(), 0
        while not self.over:
            frame, self.speech = (self.speech[:160], self.speech[160:]) if self.speech else (SILENCE, b"")
            media = {"track": "inbound", "chunk": str(tick), "timestamp": str(20 * tick)}
            await self.send("media", media={**media, "payload": base64.b64encode(frame).decode()})
            while self.queue and self.queue[0][0] == "mark":
                await self.send("mark", mark={"name": self.queue.pop(0)[1]})
                self.marks += 1
            if self.queue:
                self.queue.pop(0)
            tick += 1
            await asyncio.sleep(max(0, began + 0.02 * tick - time.monotonic()))

    async def listen(self):
        try:
            async for text in self.socket:
                message = json.loads(text)
                assert message["streamSid"] == "MZ0", message
                if message["event"] == "media":
                    sound = base64.b64decode(message["media"]["payload"])
                    self.frames += 1
                    self.loud += any(byte & 0x7F < 0x60 for byte in sound)
                    self.queue.append(("sound", sound))
                elif message["event"] == "mark":
                    self.queue.append(("mark", message["mark"]["name"]))
                elif message["event"] == "clear":
                    self.clears += 1
                    for kind, name in self.queue:
                        if kind == "mark":
                            await self.send("mark", mark={"name": name})
                    self.queue.clear()
        finally:
            self.over = True

    def say(self, seconds):
        self.speech = bytes(mulaw(sample) for sample in voice(8_000, seconds))


async def refused(url):
    """A stream without the key becomes no call."""
    async with websockets.connect(url) as socket:
        await socket.send(json.dumps(start({})))
        try:
            while True:
                await asyncio.wait_for(socket.recv(), 10)
        except websockets.ConnectionClosed:
            return True


def start(parameters):
    media_format = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    inner = {"accountSid": "AC0", "streamSid": "MZ0", "callSid": "CA0", "tracks": ["inbound"]}
    inner |= {"customParameters": parameters, "mediaFormat": media_format}
    return {"event": "start", "sequenceNumber": "1", "start": inner, "streamSid": "MZ0"}


async def run(url, key):
    url = url.replace("http", "ws", 1) + "/v1/twilio"
    out = {"refused": await refused(url)}
    async with websockets.connect(url) as socket:
        await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        await socket.send(json.dumps(start({"persona": "porter", "caller": "ada", "key": key})))
        stream = Stream(socket)
        playing, listening = asyncio.create_task(stream.play()), asyncio.create_task(stream.listen())
        # The greeting is over by then; nothing on this wire says so.
        await asyncio.sleep(5)
        out["greeting"] = [stream.loud, stream.marks]
        stream.say(1.2)
        for _ in range(500):
            await asyncio.sleep(0.02)
            if stream.loud > out["greeting"][0] + 30:
                break
        out["answer"] = stream.loud
        # The caller cuts in.
        stream.say(1.5)
        for _ in range(250):
            await asyncio.sleep(0.02)
            if stream.clears:
                break
        out["clears"] = stream.clears
        await stream.send("dtmf", dtmf={"track": "inbound_track", "digit": "5"})
        await asyncio.sleep(0.2)
        await stream.send("stop", stop={"accountSid": "AC0", "callSid": "CA0"})
        await asyncio.wait_for(asyncio.gather(playing, listening, return_exceptions=True), 10)
    return out


print(json.dumps(asyncio.run(run(*sys.argv[1:3]))))
