import sys

import pytest

from voice_ai.agent import Agent, Answer
from voice_ai.errors import UsageError
from voice_ai.providers.local.answering import answer_to
from voice_ai.server.agents import load_agent

MODULE = '''
"""An agent of a user's."""
from voice_ai.agent import Agent, tool

class Shop:
    agent = Agent(instructions="In a class.")

@tool
async def opening_hours(day: str) -> str:
    """Say when we are open."""
    return day

def prices() -> str:
    """Say what it costs."""
    return "nothing"

def silent() -> None:
    pass

agent = Agent(instructions="Sell shoes.", tools=[opening_hours])
number = 7
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "a_shoe_shop.py").write_text(MODULE)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("a_shoe_shop")]:
        del sys.modules[name]


def refused(spec: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_agent(spec)
    return str(caught.value)


@pytest.mark.parametrize("spec", ["", "shop", ":agent", "shop:", "a..b:c", ".a:b", "a:b:c", "a.py"])
def test_what_names_nothing_is_told_the_forms(folder, spec):
    assert refused(spec) == f"{spec!r} names nothing, needed module:attribute or a .toml file"


def test_a_missing_module_or_attribute_is_named(folder):
    assert refused("no_such_shop:agent") == (
        f"there is no module 'no_such_shop' in {folder} or installed"
    )
    assert "a_shoe_shop has no 'clerk'" in refused("a_shoe_shop:clerk")
    assert "a_shoe_shop.py" in refused("a_shoe_shop:clerk")


def test_a_module_that_lacks_another_says_which(folder):
    (folder / "a_shoe_shop_too.py").write_text("import no_such_leather")
    assert refused("a_shoe_shop_too:agent") == (
        "a_shoe_shop_too needs a module that is not installed: no_such_leather"
    )


def test_a_module_that_is_no_python_says_where(folder):
    (folder / "a_shoe_shop_too.py").write_text("\nagent = = 1")
    assert "a_shoe_shop_too.py, line 2" in refused("a_shoe_shop_too:agent")


@pytest.mark.parametrize(
    ("name", "what"),
    [("number", "of type int"), ("Shop", "the class Shop"), ("agent.greeting", "of type str")],
)
def test_something_else_is_no_agent(folder, name, what):
    assert refused(f"a_shoe_shop:{name}") == f"a_shoe_shop:{name} is {what}, needed an Agent"


def test_an_agent_in_a_module_of_the_current_folder(folder):
    assert load_agent("a_shoe_shop:agent").instructions == "Sell shoes."
    assert load_agent("a_shoe_shop:Shop.agent").instructions == "In a class."


def test_a_missing_file_is_named(folder):
    assert refused("no_such.toml") == (
        "cannot read the agent's file no_such.toml: No such file or directory"
    )


@pytest.mark.parametrize("content", [b"a = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_named(folder, content):
    (folder / "shop.toml").write_bytes(content)
    assert refused("shop.toml").startswith("shop.toml is not a TOML file: ")


def test_everything_wrong_in_a_file_is_told_at_once(folder):
    (folder / "shop.toml").write_text(
        """
        greeting = 7
        fallback = " "
        colour = "red"
        keyterms = "shoes"
        fillers = "Hm."
        max_call_s = "long"
        protected_ms = true
        interruptible_greeting = 1
        sends_digits = 1
        transfers = ["+15550100009"]
        tools = ["a_shoe_shop:number", "a_shoe_shop:silent", "nowhere", 3]
        [[answers]]
        when = ["open", 7]
        say = "Now."
        ends_call = "yes"
        [[answers]]
        what = 1
        """
    )
    lines = refused("shop.toml").splitlines()
    assert lines[0] == "shop.toml is no agent:"
    assert sorted(line.split(": ")[0] for line in lines[1:]) == sorted(
        "greeting fallback colour keyterms fillers max_call_s protected_ms "
        "interruptible_greeting sends_digits transfers "
        "tools[0] tools[1] tools[2] tools[3] tools[3] "
        "answers[0].when[1] answers[0].ends_call answers[1].what answers[1].when "
        "answers[1].say instructions".split()
    )
    assert "greeting: needed a text, found 7" in lines


@pytest.mark.parametrize(
    "transfers", ["'front desk' = 7", "desk = ''", "desk = '0555 0100'", "'' = '+15550100009'"]
)
def test_transfers_to_nobody(folder, transfers):
    (folder / "shop.toml").write_text(f"instructions = 'x'\n[transfers]\n{transfers}")
    assert "transfers" in refused("shop.toml")


@pytest.mark.parametrize("answers", ["answers = 7", "answers = ['a']", "[answers]\nsay = 'a'"])
def test_answers_that_are_no_tables(folder, answers):
    (folder / "shop.toml").write_text(f"instructions = 'x'\n{answers}")
    assert "answers: needed tables, each [[answers]], found" in refused("shop.toml")


def test_what_the_agent_itself_refuses_names_the_file(folder):
    twice = '["a_shoe_shop:prices", "a_shoe_shop:prices"]'
    (folder / "shop.toml").write_text(f"instructions = 'x'\ntools = {twice}")
    assert refused("shop.toml").startswith("shop.toml is no agent: 2 tools with the same name")


def test_a_files_manners(folder):
    (folder / "shop.toml").write_text(
        """
        instructions = "x"
        language = "de"
        still_there = "Sind Sie noch da?"
        fillers = ["Hm.", "Also."]
        moments = []
        max_call_s = 600
        protected_ms = 500.5
        interruptible_greeting = false
        """
    )
    agent = load_agent("shop.toml")
    assert (agent.language, agent.still_there) == ("de", "Sind Sie noch da?")
    assert (agent.fillers, agent.moments) == (("Hm.", "Also."), ())
    assert (agent.max_call_s, agent.protected_ms) == (600.0, 500.5)
    assert agent.interruptible_greeting is False


def test_an_agent_in_a_file(folder):
    (folder / "shop.toml").write_text(
        """
        instructions = "Sell shoes."
        voice = "heart"
        keyterms = ["brogue"]
        tools = ["a_shoe_shop:opening_hours", "a_shoe_shop:prices"]
        fillers = ["Let me see."]
        interruptible_greeting = false
        max_call_s = 600
        [transfers]
        "front desk" = "+15550100009"
        [[answers]]
        when = ["bye"]
        say = "Bye."
        ends_call = true
        """
    )
    agent = load_agent("shop.toml")
    assert [made.name for made in agent.tools] == ["opening_hours", "prices"]
    assert agent == Agent(
        instructions="Sell shoes.",
        voice="heart",
        keyterms=("brogue",),
        tools=agent.tools,
        fillers=("Let me see.",),
        interruptible_greeting=False,
        max_call_s=600.0,
        transfers={"front desk": "+15550100009"},
        answers=(Answer(("bye",), "Bye.", True),),
    )


def test_the_front_desk_says_what_it_is():
    assert "demonstration" in load_agent(None).greeting


@pytest.mark.parametrize(
    ("heard", "part"),
    [
        ("What time do you open?", "nine to six"),
        ("Where are you?", "Harbour Street"),
        ("How much is a check-up?", "forty-five"),
        ("I'd like to book an appointment.", "Thursday"),
        ("Who are you?", "software"),
        ("Can you say that again?", "I can tell you"),
        ("Hello?", "Hello"),
        ("Go forward 10 meters.", "I heard: Go forward 10 meters."),
        ("10 of clubs.", "I heard: 10 of clubs."),
        ("10 of close.", "I heard: 10 of close."),
        ("He was not an ill-disposed young man.", "I heard: He was not an ill-disposed young man."),
        ("how much there might be prudently in his power", "I heard: How much"),
    ],
)
def test_the_front_desk_answers_and_stays(heard, part):
    text, ends_call = answer_to(load_agent(None), heard)
    assert part in text and not ends_call


@pytest.mark.parametrize("heard", ["Goodbye.", "Bye-bye!", "Thanks, that's all.", "No, thank you."])
def test_the_front_desk_knows_when_a_call_is_over(heard):
    text, ends_call = answer_to(load_agent(None), heard)
    assert "Goodbye" in text and ends_call
