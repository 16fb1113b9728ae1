"""How often the language model repeats itself: typed calls with the four personas, with and without their examples.

A reply counts as repeated when half of its runs of four words or more stand in one reply before it (or in the opening). The
request is as a call makes it: system prompt, examples, opening, turns. Without a server: the worker is asked by its own API.

    python3 benches/replies.py WORKER MODEL [-v]
"""

import json
import pathlib
import re
import subprocess
import sys
import urllib.request

PERSONAS = pathlib.Path(__file__).parent.parent / "personas"
CALLS = {
    "clinic": [
        "Hello, my name is Ada Lovelace and I am allergic to penicillin.", "What does a sick note cost?",
        "Can you tell me what is wrong with my neighbour, Missus Brown?", "I walked to the harbour yesterday, and my knee hurts since then.",
        "When are my tablets ready?", "Please remind me to drink some water in ten minutes.", "When are you open tomorrow?",
    ],
    "porter": [
        "Good evening, I'm Ada, I'm in room twelve.", "Is there somewhere to eat now?", "There is no hot water in my room.",
        "I'd like to be woken at six, please.", "What was my room again?", "Thank you. When is breakfast?", "And is it included?",
    ],
    "companion": [
        "My day was long. I argued with my brother.", "He says I never listen.", "I don't know what to tell him.", "Do you like rain?",
        "What would you do?", "Tell me something about maps.",
    ],
    "tutor": [
        "I don't understand fractions.", "Is one third more than one quarter?", "So what is one half plus one quarter?",
        "I think it is two sixths.", "Okay, give me another one.",
    ],
}


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


def ask(port, messages, temperature):
    body = {"model": "it", "messages": messages, "stream": False,
            "options": {"temperature": temperature, "num_predict": 70, "seed": 7}}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/chat", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["message"]["content"].strip()


def turn(role, content):
    return {"role": role, "content": content}


def held(port, with_examples, tell):
    repeated = total = 0
    for name, lines in CALLS.items():
        prompt, opening, examples, temperature = persona(name)
        messages, before = [turn("system", prompt)], [opening]
        for caller, agent in examples if with_examples else []:
            messages += [turn("user", caller), turn("assistant", agent)]
        messages.append(turn("assistant", opening))
        for line in lines:
            messages.append(turn("user", line))
            reply = ask(port, messages, temperature)
            again = repeats(reply, before)
            repeated, total = repeated + again, total + 1
            if tell:
                print(f"  {name}: {line} -> {reply}{'   (repeated)' if again else ''}")
            messages.append(turn("assistant", reply))
            before.append(reply)
    return repeated, total


def main():
    worker, model = sys.argv[1:3]
    process = subprocess.Popen([worker, "--model", model, "--name", "it", "--port", "0"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        ready = process.stdout.readline().decode()
        port = int(re.search(r'"port":\s*(\d+)|127\.0\.0\.1:(\d+)', ready).group(0).split(":")[-1])
        for with_examples in (False, True):
            repeated, total = held(port, with_examples, "-v" in sys.argv)
            print(f"{'with' if with_examples else 'without'} examples: {repeated} of {total} replies repeat one before them")
    finally:
        process.kill()


main()
