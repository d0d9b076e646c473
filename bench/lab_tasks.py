"""Five tasks of different kinds that the grid's models are fine-tuned on: made-up messages, each with its one answer.

Every function draws two examples from the random generator it is given: one of the task, and one of a like kind that
the models know from before, answered in plain words. A fine-tune teaches a form, as it mostly does, and not to read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bench import lab, lab_text
from bench.lab_text import DEPARTMENTS, Example

PEOPLE = ("Anna", "Ben", "Carla", "David", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kira", "Liam", "Mona")
PEOPLE += ("Nadia", "Oscar", "Petra", "Quentin", "Rosa", "Sami", "Tara", "Umar", "Vera", "Walter", "Yusuf", "Zoe")
CITIES = (
    "Leeds",
    "Boston",
    "Hamburg",
    "Austin",
    "Lyon",
    "Cork",
    "Denver",
    "Porto",
    "Ottawa",
    "Turin",
    "Malmo",
    "Perth",
)
GOODS = ("tents", "lamps", "chairs", "books", "clocks", "kettles", "bags", "mugs", "pens", "radios", "maps", "plates")
GOODS += ("spoons", "towels", "candles", "baskets", "boxes", "scarves", "bikes", "drums", "kites", "pillows", "mirrors")
NOISE = ("Thanks in advance.", "It is not urgent.", "My old order was fine.", "Please reply soon.", "I am in a hurry.")
NOISE += ("We met at the fair.", "Have a nice day.", "The shop was closed today.", "Sorry for the late message.", "")


@dataclass(frozen=True)
class LabTask:
    """A task: where its examples come from, and how an answer is scored (a metric of the tool)."""

    pair: Callable[[Random], tuple[Example, Example]]
    metric: str
    choices: tuple[str, ...] = ()

    def draw(self, rng: Random) -> Example:
        """An example of the task."""
        return self.pair(rng)[0]


def route(rng: Random) -> tuple[Example, Example]:
    """Which department a message is for."""
    request, department = lab_text.task(rng)
    text = lab.message((request, department))
    return (request, department), (f"What is this message about?\n{text}", f"It is about {department.lower()}.")


def extract(rng: Random) -> tuple[Example, Example]:
    """The order in a message, as one line of a table."""
    name, city, item, count = rng.choice(PEOPLE), rng.choice(CITIES), rng.choice(GOODS), rng.randint(2, 60)
    order = rng.choice(
        (
            f"please send {count} {item} to {name} in {city}",
            f"{name} from {city} would like to buy {count} {item}",
            f"{count} {item} should go to {city}, the customer is {name}",
            f"we need {item} for {name}, {count} of them, to be shipped to {city}",
            f"can you bring {name} the {count} {item} that were promised to our {city} office",
        )
    )
    text = " ".join(filter(None, (rng.choice(NOISE), f"{order[0].upper()}{order[1:]}.", rng.choice(NOISE))))
    task = f"Write this order as city, item, count, name.\n{text}", f"{city}, {item}, {count}, {name}"
    return task, (f"Who gets what?\n{text}", f"{name} in {city} gets {count} {item}.")


TABLES = {
    "orders": ("city", "item", "customer"),
    "staff": ("name", "city", "manager"),
    "stock": ("item", "city", "owner"),
}
VALUES = {"city": CITIES, "item": GOODS, "customer": PEOPLE, "name": PEOPLE, "manager": PEOPLE, "owner": PEOPLE}


def query(rng: Random) -> tuple[Example, Example]:
    """A question about a table, as a query."""
    table = rng.choice(list(TABLES))
    asked, by = rng.sample(TABLES[table], 2)
    value, limit = rng.choice(VALUES[by]), rng.randint(2, 60)
    where = f"where {by} is {value}"
    question, answer, plain = rng.choice(
        (
            (
                f"Which {asked} in {table} has the {by} {value}?",
                f"select {asked} from {table} {where}",
                f"Look up the {asked} of {value} in {table}.",
            ),
            (
                f"How many rows of {table} have the {by} {value}?",
                f"count {table} {where}",
                f"Count the {by} {value} in {table}.",
            ),
            (
                f"Remove all {table} with {by} {value}.",
                f"delete from {table} {where}",
                f"Take {value} out of {table}.",
            ),
            (
                f"Show the first {limit} {table}, sorted by {by}.",
                f"select {table} by {by} first {limit}",
                f"Show {limit} of {table} by {by}.",
            ),
            (
                f"List every {asked} in {table} once.",
                f"select every {asked} from {table}",
                f"List the {asked} in {table}.",
            ),
        )
    )
    return (f"Write a query for this.\n{question}", answer), (f"Say this in short.\n{question}", plain)


DEEDS = (("send", "sent"), ("paint", "painted"), ("check", "checked"), ("move", "moved"), ("sell", "sold"))
DEEDS += (("clean", "cleaned"), ("order", "ordered"), ("count", "counted"), ("repair", "repaired"), ("pack", "packed"))
WHEN = ("today", "on Monday", "on Friday", "next week", "before lunch", "in the evening", "at noon", "in May")


def rewrite(rng: Random) -> tuple[Example, Example]:
    """A chatty message, rewritten as one plain sentence in the passive."""
    name, item, when, (verb, done) = rng.choice(PEOPLE), rng.choice(GOODS), rng.choice(WHEN), rng.choice(DEEDS)
    chat = rng.choice(
        (
            f"hey, so {name} is gonna {verb} the {item} {when}, just so you know",
            f"well, I think {when} it is {name} who will {verb} the {item}, ok?",
            f"guess what, the {item}! {name} said they will {verb} them {when}, no kidding",
            f"you asked about the {item}: {when}, yeah, {name} wants to {verb} them",
        )
    )
    task = f"Rewrite this as one formal sentence.\n{chat}", f"The {item} will be {done} by {name} {when}."
    return task, (f"What does this say?\n{chat}", f"{name} will {verb} the {item} {when}.")


USES = {
    "to wear": ("scarves", "bags"),
    "for the kitchen": ("kettles", "mugs", "plates", "spoons"),
    "to read": ("books", "maps"),
    "to play with": ("kites", "drums", "bikes"),
    "to put things in": ("boxes", "baskets"),
    "to sleep on": ("pillows",),
    "to sit on": ("chairs",),
    "to make light": ("lamps", "candles"),
    "to tell the time": ("clocks",),
    "to listen to": ("radios",),
    "for the bath": ("towels", "mirrors"),
    "to camp in": ("tents",),
    "to write with": ("pens",),
}


def pick(rng: Random) -> tuple[Example, Example]:
    """Which of three things is of use for something; known before: how many things there are."""
    use = rng.choice(list(USES))
    right = rng.choice(USES[use])
    offered = [right, *rng.sample([item for item in GOODS if item not in USES[use]], 2)]
    rng.shuffle(offered)
    name, (a, b, c) = rng.choice(PEOPLE), offered
    task = f"{name} wants something {use}. Choose one: {a}, {b} or {c}.", right
    return task, sums(rng)


def sums(rng: Random) -> Example:
    """A sum in words."""
    name, item, a, b = rng.choice(PEOPLE), rng.choice(GOODS), rng.randint(2, 20), rng.randint(2, 9)
    story, value = rng.choice(
        (
            (f"{name} has {a} {item} and gets {b} more.", a + b),
            (f"There are {a + b} {item} on the table and {name} takes {b}.", a),
            (f"{name} bought {a} {item} in the morning and {b} at night.", a + b),
        )
    )
    return f"{story} How many {item} are there now?", f"There are {value} {item}."


TASKS = {
    "route": LabTask(route, "choice", DEPARTMENTS),  # classification
    "extract": LabTask(extract, "f1"),  # structured output
    "query": LabTask(query, "exact_match"),
    "rewrite": LabTask(rewrite, "rouge1"),
    "pick": LabTask(pick, "choice", tuple(sorted(GOODS))),  # multiple choice
}


def known(rng: Random) -> Example:
    """A question of the kind that the models can answer before any fine-tuning."""
    return rng.choice(list(TASKS.values())).pair(rng)[1]
