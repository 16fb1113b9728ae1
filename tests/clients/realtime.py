"""The official OpenAI SDK holds a conversation with the server. Every event is held against the SDK's own types.

usage: realtime.py URL KEY    (URL as in http://127.0.0.1:8080)
Prints one JSON object: what was seen.
"""
import asyncio
import base64
import json
import struct
import sys

from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from sound import little_endian, loudness, voice

RATE_HZ = 24_000
EVENT = TypeAdapter(RealtimeServerEvent)
WITHIN_S = 20


class Conversation:
    def __init__(self, connection):
        self.connection = connection
        self.kinds = []
        self.sound = {}

    async def next(self):
        raw = json.loads(await asyncio.wait_for(self.connection.recv_bytes(), WITHIN_S))
        event = EVENT.validate_python(raw)
        self.kinds.append(event.type)
        if event.type == "response.output_audio.delta":
            pcm = base64.b64decode(event.delta)
            self.sound.setdefault(event.item_id, []).extend(struct.unpack(f"<{len(pcm) // 2}h", pcm))
        return event

    async def until(self, *kinds):
        seen = []
        while True:
            event = await self.next()
            seen.append(event)
            if event.type in kinds:
                return seen

    async def response(self):
        """Everything up to the next response that is done."""
        return await self.until("response.done")

    async def say(self, seconds, then_silent):
        """Faster than it is spoken, in pieces of 100 ms."""
        samples = voice(RATE_HZ, seconds) + [0] * int(RATE_HZ * then_silent)
        for at in range(0, len(samples), RATE_HZ // 10):
            piece = base64.b64encode(little_endian(samples[at : at + RATE_HZ // 10])).decode()
            await self.connection.input_audio_buffer.append(audio=piece)


def of(events, kind):
    return [event for event in events if event.type == kind]


async def talk(url, key):
    client = AsyncOpenAI(api_key=key, websocket_base_url=url.replace("http", "ws", 1) + "/v1")
    out = {}
    async with client.realtime.connect(model="gpt-realtime") as connection:
        call = Conversation(connection)
        created = await call.next()
        out["created"] = [created.type, created.session.audio.output.format.rate]

        await connection.session.update(
            session={
                "type": "realtime",
                "instructions": "Be brief.",
                "audio": {"input": {"turn_detection": {"type": "server_vad"}}, "output": {"voice": "marin"}},
            }
        )
        updated = of(await call.until("session.updated"), "session.updated")[0]
        out["instructions"] = updated.session.instructions

        # Whoever answers greets.
        greeting = await call.response()
        while not of(greeting, "response.done"):
            greeting += await call.response()
        done = of(greeting, "response.done")[0].response
        item = done.output[0]
        out["greeting"] = {
            "status": done.status,
            "transcript": item.content[0].transcript,
            "deltas": "".join(e.delta for e in of(greeting, "response.output_audio_transcript.delta")),
            "seconds": len(call.sound[item.id]) / RATE_HZ,
            "loudness": loudness(call.sound[item.id]),
        }

        # A spoken question.
        await call.say(1.2, 2.0)
        answered = await call.response()
        out["question"] = {
            "order": [e.type for e in answered if not e.type.endswith(".delta")],
            "heard": of(answered, "conversation.item.input_audio_transcription.completed")[0].transcript,
            "answer": of(answered, "response.done")[0].response.output[0].content[0].transcript,
            "started_ms": of(answered, "input_audio_buffer.speech_started")[0].audio_start_ms,
            "stopped_ms": of(answered, "input_audio_buffer.speech_stopped")[0].audio_end_ms,
        }

        # The same again, and the caller cuts in on the answer.
        await call.say(1.2, 2.0)
        begun = await call.until("response.created")
        item_id = of(await call.until("response.output_item.added"), "response.output_item.added")[0].item.id
        while len(call.sound.get(item_id, [])) < RATE_HZ // 2:
            await call.next()
        await call.say(1.5, 0.1)
        cut = await call.response()
        done = of(cut, "response.done")[0].response
        sent_ms = len(call.sound[item_id]) * 1000 // RATE_HZ
        out["barge_in"] = {
            "status": done.status,
            "reason": done.status_details.reason,
            "speech_started": bool(of(begun + cut, "input_audio_buffer.speech_started")),
            "sent_ms": sent_ms,
            "transcript": done.output[0].content[0].transcript if done.output[0].content else "",
        }
        truncate = connection.conversation.item.truncate
        await truncate(item_id=item_id, content_index=0, audio_end_ms=sent_ms + 1_000)
        out["beyond"] = of(await call.until("error"), "error")[0].error.code
        await truncate(item_id=item_id, content_index=0, audio_end_ms=min(400, sent_ms))
        truncated = of(await call.until("conversation.item.truncated"), "conversation.item.truncated")[0]
        out["truncated"] = [truncated.item_id == item_id, truncated.audio_end_ms]

        # What he cut in with is answered too; then something is typed, and its answer cancelled.
        await call.say(0.1, 2.5)
        await call.response()
        text = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Are dogs welcome?"}]}
        await connection.conversation.item.create(item=text)
        await connection.response.create()
        await call.until("response.created")
        await connection.response.cancel()
        cancelled = of(await call.response(), "response.done")[0].response
        out["cancelled"] = [cancelled.status, cancelled.status_details.reason]

        # What is not there is named.
        await connection.conversation.item.delete(item_id=item_id)
        error = of(await call.until("error"), "error")[0].error
        out["refused"] = [error.code, error.param]
        await connection.session.update(
            session={"type": "realtime", "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]}
        )
        error = of(await call.until("session.updated"), "error")[0].error
        out["no_tools"] = [error.code, error.param]
        out["kinds"] = sorted(set(call.kinds))
    return out


print(json.dumps(asyncio.run(talk(*sys.argv[1:3]))))
