"""What a telephone's sound costs: rtpengine, which only changes codecs (PCMU to Opus and back, in user space), beside our server, which
listens and talks. Both get the same RTP from here, over loopback, one after the other.

usage: telephone.py SERVER_CONFIG SERVER_BINARY SIP_PORT [CALLS] [SECONDS]
"""
import math, os, random, re, socket, struct, subprocess, sys, threading, time

TICK = 0.02


def mu_law(sample):
    """ITU-T G.711, table 2a."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> (exponent + 3) & 0x0F) & 0xFF


def voice(seconds):
    """A buzz with the harmonics of a voice, 1.5 s in four, in packets of 20 ms."""
    sound = bytearray()
    for n in range(int(seconds * 8000)):
        t = n / 8000 * math.tau
        loud = 0.2 * (0.7 + 0.3 * math.sin(t * 4)) if n % 32000 < 12000 else 0.0005
        sound.append(mu_law(int(32767 * loud * sum(math.sin(t * 140 * k) / k for k in range(1, 13)))))
    return [bytes(sound[n:n + 160]) for n in range(0, len(sound), 160)]


class Leg:
    """One end of a call's sound: a socket, numbers, and where to."""

    def __init__(self, payload_type, step):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.payload_type, self.step, self.ssrc = payload_type, step, random.getrandbits(32)
        self.sequence, self.stamp, self.to, self.heard = 0, 0, None, 0

    def send(self, payload):
        head = struct.pack(">BBHII", 0x80, self.payload_type, self.sequence & 0xFFFF, self.stamp & 0xFFFFFFFF, self.ssrc)
        self.socket.sendto(head + payload, self.to)
        self.sequence += 1
        self.stamp += self.step

    def hear(self):
        """The payloads that came; reports have other types."""
        came = []
        while True:
            try:
                packet = self.socket.recv(2048)
            except BlockingIOError:
                return came
            if len(packet) > 12 and packet[1] & 0x7F in (self.payload_type, 0, 96):
                self.heard += 1
                came.append(packet[12:])


def sdp(port, formats):
    maps = {0: "PCMU/8000", 96: "opus/48000/2"}
    lines = "".join(f"a=rtpmap:{f} {maps[f]}\r\n" for f in formats)
    listed = " ".join(str(f) for f in formats)
    return (f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {listed}\r\n"
            f"{lines}a=ptime:20\r\na=sendrecv\r\n")


def media_of(text):
    return ("127.0.0.1", int(re.search(r"m=audio (\d+)", text).group(1)))


# rtpengine's control protocol: bencoding over UDP, a cookie before each message.
def bencode(value):
    if isinstance(value, dict):
        return "d" + "".join(bencode(k) + bencode(value[k]) for k in sorted(value)) + "e"
    if isinstance(value, list):
        return "l" + "".join(map(bencode, value)) + "e"
    return f"{len(value)}:{value}"


class Rtpengine:
    def __init__(self):
        self.control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.control.settimeout(5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.at = free.getsockname()
        self.process = subprocess.Popen(
            ["rtpengine", "--foreground", "--log-stderr", "--log-level=3", "--table=-1", "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{self.at[1]}",
             "--port-min=51000", "--port-max=59000", "--num-threads=2"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(2)

    def ask(self, **command):
        command = {key.replace("_", "-"): value for key, value in command.items()}
        cookie = f"{random.getrandbits(32):08x}"
        self.control.sendto(f"{cookie} {bencode(command)}".encode(), self.at)
        answer = self.control.recv(65536).decode()
        assert "6:result2:ok" in answer, answer
        found = re.search(r"3:sdp(\d+):", answer)
        return answer[found.end():found.end() + int(found.group(1))] if found else ""

    def call(self, n):
        caller, callee = Leg(0, 160), Leg(96, 960)
        call, sides = f"call-{n}-{random.getrandbits(32)}", {"from_tag": "a"}
        # The callee knows Opus alone, the caller PCMU alone: everything is decoded and encoded.
        offered = self.ask(command="offer", call_id=call, sdp=sdp(caller.port, [0]), codec={"transcode": ["opus"], "mask": ["PCMU"]}, **sides)
        callee.to = media_of(offered)
        callee.payload_type = int(re.search(r"a=rtpmap:(\d+) opus", offered).group(1))
        answer = sdp(callee.port, [96]).replace("96", str(callee.payload_type))
        caller.to = media_of(self.ask(command="answer", call_id=call, to_tag="b", sdp=answer, **sides))
        return caller, callee


class Server:
    def __init__(self, binary, config, port):
        self.process = subprocess.Popen([binary, "serve", "--config", config], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            if "telephones" in line:
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        self.at = ("127.0.0.1", port)

    def call(self, n):
        caller, sip = Leg(0, 160), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sip.bind(("127.0.0.1", 0))
        sip.settimeout(5)
        here, call = f"127.0.0.1:{sip.getsockname()[1]}", f"{n}-{random.getrandbits(32)}"
        body = sdp(caller.port, [0])

        def request(method, branch, to, more=""):
            return (f"{method} sip:porter@127.0.0.1:{self.at[1]} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{call}{branch}\r\nFrom: <sip:caller{n}@{here}>;tag=1\r\n"
                    f"To: {to}\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\nContact: <sip:caller{n}@{here}>\r\nMax-Forwards: 70\r\n{more}").encode()

        to = f"<sip:porter@127.0.0.1:{self.at[1]}>"
        sip.sendto(request("INVITE", "i", to, f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"), self.at)
        while not (answer := sip.recv(65536).decode()).startswith("SIP/2.0 200"):
            assert answer.startswith("SIP/2.0 1"), answer
        to = re.search(r"(?im)^To: *(.+?)\r", answer).group(1)
        sip.sendto(request("ACK", "a", to, "Content-Length: 0\r\n\r\n"), self.at)
        caller.to, caller.sip = media_of(answer), sip
        return caller, None


def cpu_ms(process):
    fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def measure(name, side, calls, seconds, sound):
    legs = [side.call(n) for n in range(calls)]
    due, before, sent = time.monotonic(), None, 0
    for tick in range(int((seconds + 2) / TICK)):
        # The first two seconds are for setting up.
        if tick == int(2 / TICK):
            before, began = cpu_ms(side.process), time.monotonic()
        for n, (caller, callee) in enumerate(legs):
            caller.send(sound[(tick + 37 * n) % len(sound)])
            caller.hear()
            if callee:
                # What it hears is what it says: real Opus packets, to be decoded.
                for payload in callee.hear():
                    callee.send(payload)
        due += TICK
        time.sleep(max(0.0, due - time.monotonic()))
    spent, took = cpu_ms(side.process) - before, time.monotonic() - began
    heard = sum(caller.heard for caller, _ in legs) / calls / (seconds + 2) / 50
    print(f"{name}: {spent / took / calls:.2f} CPU-ms per call-second ({calls} calls, {took:.0f} s; {100 * heard:.0f} % of the packets came back)")


if __name__ == "__main__":
    config, binary, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    calls, seconds = int(sys.argv[4]) if len(sys.argv) > 4 else 10, int(sys.argv[5]) if len(sys.argv) > 5 else 20
    sound = voice(8)
    print(f"load average: {open('/proc/loadavg').read().rsplit(' ', 2)[0]}, cores: {os.cpu_count()}")
    sides = [("duologue, PCMU and an agent with scripted models", lambda: Server(binary, config, port))]
    try:
        subprocess.run(["rtpengine", "--version"], check=True, capture_output=True)
        sides.insert(0, ("rtpengine, PCMU and Opus", Rtpengine))
    except FileNotFoundError:
        print("rtpengine is not here (Debian: rtpengine-daemon)")
    for name, start in sides:
        side = start()
        try:
            measure(name, side, calls, seconds, sound)
        finally:
            side.process.terminate()
            side.process.wait()
