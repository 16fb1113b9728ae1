"""How well the language model answers on the telephone: typed calls with the four personas, put to it as a chat and as a transcript.

A reply is good when it has what it must (the fact of the prompt, or any words where talk is free), is no canned refusal and
no repetition; it is repeated when half of its runs of four words or more stand in one reply before it (or in the opening).
The request is as a call makes it: system prompt, examples, opening, turns. Without a server: the worker is asked by its own API.

    python3 benches/replies.py WORKER MODEL [-v] [--seeds N]
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import urllib.request

PERSONAS = pathlib.Path(__file__).parent.parent / "personas"
# What is said, what an answer must have, and what it must not.
ANY = r"\w"
CALLS = {
    "porter": [
        ("Good evening. I'm in room twelve. There is no hot water in my room.", r"sorry|look|send|bring|see to|plumb|morning|boiler", None),
        ("When is breakfast?", r"seven (to|until|till|and) ten", None), ("Is it included?", r"yes|included", r"\bnot\b"),
        ("Is there somewhere to eat now?", r"kitchen|bar", None), ("I'd like to be woken at six, please.", r"\bsix\b", r"\bI'll wake up\b"),
        ("Can I bring my dog?", r"yes|welcome|free", r"not allowed"), ("How do I get to the station?", r"ten minutes|foot|walk", None),
        ("What does a double room cost?", r"ninety.five|95", None), ("When do I have to check out?", r"eleven", None),
        ("Thank you, good night.", r"night|sleep|welcome", None),
    ],
    "clinic": [
        ("Hello, when are you open on Friday?", r"eight", None), ("Are you open on Sunday?", r"closed|\bno\b|not", None),
        ("When can I see the doctor?", r"tomorrow|ten past nine|half past two", None), ("The second one, please.", r"half past two|two|yes|book", None),
        ("My name is Ada Lovelace and I am allergic to penicillin.", r"thank|ada|lovelace|note|doctor|allerg|tell", None),
        ("When are my tablets ready?", r"two (working )?days|desk", None),
        ("When will I get my blood test result?", r"two (and|to) four|telephone|between", None),
        ("I walked to the harbour yesterday, and my knee hurts since then.", r"doctor|sorry to hear|appointment|tomorrow", None),
        ("How late are you open today?", r"\bsix\b", None),
    ],
    "companion": [
        ("My day was long. I argued with my brother.", ANY, None), ("He says I never listen.", ANY, None),
        ("I don't know what to tell him.", ANY, None), ("Do you like rain?", r"yes|love|like|do\b", r"don't (really )?like"),
        ("What would you do?", ANY, None), ("Tell me something about maps.", r"map|road|way|draw", None),
    ],
    "tutor": [
        ("I don't understand fractions.", r"\?|half|part|piece|slice|cake", None),
        ("Is one third more than one quarter?", r"yes|more|right|bigger|think", r"quarter is (more|bigger)"),
        ("So what is one half plus one quarter?", r"quarter|how many|half", None),
        ("I think it is two sixths.", r"not|\bno\b|close|quarter|try", None), ("Okay, give me another one.", r"\?|what|try", None),
    ],
}
CANNED = re.compile(
    r"can'?t (assist|help)|know what you mean|\bAI\b|language model|an assistant|unable to|any information|how can I (help|assist) you",
    re.I,
)


def persona(name):
    head, prompt = (PERSONAS / f"{name}.md").read_text().split("---", 2)[1:]
    examples = re.findall(r'^  - caller: "(.*)"\n    agent: "(.*)"$', head, re.M)
    opening = re.search(r"^opening: (.*)$", head, re.M)[1]
    return prompt.strip(), opening, examples, float(re.search(r"^temperature: (.*)$", head, re.M)[1])


def fours(text):
    words = re.sub(r"[^a-z0-9 ]", "", text.lower()).split()
    return {tuple(words[at : at + 4]) for at in range(len(words) - 3)}


def repeats(reply, before):
    runs = fours(reply)
    return bool(runs) and any(2 * len(runs & fours(other)) >= len(runs) for other in before)


def ask(port, messages, temperature, seed):
    body = {"model": "it", "messages": messages, "stream": False,
            "options": {"temperature": temperature, "num_predict": 70, "seed": seed}}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/chat", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["message"]["content"].strip()


def turn(role, content):
    return {"role": role, "content": content}


def held(port, seed, tell):
    """Counts of all four calls: good, canned, repeated, all."""
    counts = [0, 0, 0, 0]
    for name, lines in CALLS.items():
        prompt, opening, examples, temperature = persona(name)
        messages, before = [turn("system", prompt)], [opening]
        for caller, agent in examples:
            messages += [turn("user", caller), turn("assistant", agent)]
        messages.append(turn("assistant", opening))
        for line, must, must_not in lines:
            messages.append(turn("user", line))
            reply = ask(port, messages, temperature, seed)
            canned, again = bool(CANNED.search(reply)), repeats(reply, before)
            right = re.search(must, reply, re.I) and not (must_not and re.search(must_not, reply, re.I))
            good = bool(right) and not canned and not again
            counts = [count + is_so for count, is_so in zip(counts, (good, canned, again, True))]
            if tell:
                verdict = "good" if good else "canned" if canned else "repeated" if again else "wrong"
                print(f"  {verdict:8} {name}: {line} -> {reply}")
            messages.append(turn("assistant", reply))
            before.append(reply)
    return counts


def main():
    options = argparse.ArgumentParser()
    options.add_argument("worker")
    options.add_argument("model")
    options.add_argument("-v", action="store_true", help="show the replies")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--layouts", default="chat,transcript")
    options = options.parse_args()
    for layout in options.layouts.split(","):
        process = subprocess.Popen([options.worker, "--model", options.model, "--name", "it", "--port", "0", "--layout", layout],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            port = json.loads(process.stdout.readline())["port"]
            runs = [held(port, seed, options.v) for seed in range(1, options.seeds + 1)]
        finally:
            process.kill()
        goods = sorted(run[0] for run in runs)
        good, canned, repeated, total = (sum(counts) for counts in zip(*runs))
        print(f"{layout}: {good} of {total} replies are good ({goods[0]} to {goods[-1]} a seed), {canned} canned, {repeated} repeated", flush=True)


main()
