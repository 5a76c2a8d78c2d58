"""What chat models write, and the pieces in which a voice is given it."""

import pytest

from voice_ai.turn.sentences import SentenceStream

# A bar stands between two pieces.
ENGLISH = {
    "Hello!": "Hello!",
    "Sure, I can do that for you. One moment.": "Sure, I can do that for you. |One moment.",
    "Well, of course we can.": "Well, of course we can.",
    "If you'd like, I can text you the directions.": (
        "If you'd like, |I can text you the directions."
    ),
    "I understand that you want to cancel your appointment, is that right?": (
        "I understand that you want |to cancel your appointment, is that right?"
    ),
    "Please arrive fifteen minutes early and bring a photo ID with you.": (
        "Please arrive fifteen minutes early |and bring a photo ID with you."
    ),
    "That's a great question \u2014 the short answer is yes.": (
        "That's a great question \u2014 |the short answer is yes."
    ),
    "Here is what I found: three tables.": "Here is what I found: |three tables.",
    "We can do that; it takes a day.": "We can do that; |it takes a day.",
    'He said, "I will be there," and then left.': 'He said, "I will be there," |and then left.',
    # Numbers and prices.
    "The total comes to $1,250.50, including tax.": "The total comes to $1,250.50, |including tax.",
    "It is about 3.5 km from here, or 2.2 miles.": "It is about 3.5 km from here, |or 2.2 miles.",
    "Your number is 5, 6, 7, 8, and that is it.": "Your number is 5, 6, 7, 8, |and that is it.",
    "It is five, six, seven, eight, nine.": "It is five, six, seven, eight, nine.",
    "Your code is 1 2 3 4 5 6 7 8 9 0.": "Your code is 1 2 3 4 5 6 7 8 9 0.",
    "A room costs you one hundred and twenty five dollars a night with us.": (
        "A room costs you one hundred and twenty five dollars a night |with us."
    ),
    "It went up by 20% & fell by ~5%.": "It went up by 20 percent and fell by about 5 percent.",
    "Order #1234 is 2x4 m\u00b2, \u00b11 cm.": (
        "Order number 1234 is 2x4 m\u00b2, plus or minus 1 cm."
    ),
    "It is 25\u00b0C, so 77 \u00b0F.": "It is 25 degrees Celsius, |so 77 degrees Fahrenheit.",
    # Times and dates.
    "We are open Monday through Friday from 9 a.m. to 5:30 p.m. The shop is closed now.": (
        "We are open Monday through Friday |from 9 a.m. to 5:30 p.m. |The shop is closed now."
    ),
    "Your appointment is on Tuesday, March 3, 2026, at 5:30 p.m. with Dr. Smith.": (
        "Your appointment is on Tuesday, March 3, 2026, |at 5:30 p.m. with Dr. Smith."
    ),
    "I have put you down today at five thirty in the afternoon.": (
        "I have put you down today |at five thirty in the afternoon."
    ),
    "The next one is on 3 March 2026 at half past ten.": (
        "The next one is on 3 March 2026 at half past ten."
    ),
    "We are here 24/7.": "We are here 24 7.",
    # Names, places and abbreviations.
    "You are booked with Dr. J. K. Rowling today.": "You are booked with Dr. J. K. Rowling today.",
    "Good morning, Mr. O'Neil, what can I do?": "Good morning, Mr. O'Neil, |what can I do?",
    "Thank you, Anna. How are you?": "Thank you, Anna. |How are you?",
    "Thanks for calling Harbour Street Dental, Anna, I can see your file.": (
        "Thanks for calling Harbour Street Dental, Anna, |I can see your file."
    ),
    "Our address is 12 Baker Street, London, NW1 6XE, just around the corner.": (
        "Our address is 12 Baker Street, London, NW1 6XE, |just around the corner."
    ),
    "We are at 5 main street, apartment 4, near it.": (
        "We are at 5 main street, apartment 4, |near it."
    ),
    "It is open in Paris, France, and Rome.": "It is open in Paris, France, |and Rome.",
    "We sell fruit, e.g., apples, in the U.S. market.": (
        "We sell fruit, |e.g., apples, in the U.S. market."
    ),
    "Take the No. 5 bus, please.": "Take the No. 5 bus, please.",
    # Addresses of the net, and phone numbers.
    "See https://www.example.org/opening-hours?utm=1 for more.": (
        "See example dot org slash opening dash hours for more."
    ),
    "It is at docs.example.com/d/1FAIpQLSd/view.": "It is at docs dot example dot com.",
    "Write to first.last@example.org, or call.": (
        "Write to first dot last at example dot org, |or call."
    ),
    "Call us at 415-555-0134, extension 5, or write.": (
        "Call us at 415-555-0134, extension 5, |or write."
    ),
    "You can reach us at +1 415 555 0134 or at (415) 555-0199 now.": (
        "You can reach us |at +1 415 555 0134 or at (415) 555-0199 now."
    ),
    # Markdown.
    "**Sure!** I can *really* do ***that***.": "Sure! |I can really do that.",
    "__Yes__, _of course_, ~~no~~ `code`.": "Yes, of course, |no code.",
    "## Our hours\nNine to five": "Our hours. |Nine to five",
    "We have:\n\n- **Tea**\n- Coffee, *black*\n- Milk": "We have: |Tea. |Coffee, black. |Milk",
    "1. Open the app\n2. Tap **Settings** \u2192 Billing\n3. Done": (
        "1. Open the app. |2. Tap Settings to Billing. |3. Done"
    ),
    "1) One\n  - a) two\n  - b) three": "1) One. |a) two. |b) three",
    "* [x] Call\n* [ ] Write": "Call. |Write",
    "> **Note:** we are\n> closed today.": "Note: we are closed today.",
    "| Day | Hours |\n|:---|---:|\n| Mon | 9\u20135 |\n\nSee you!": (
        "Day, Hours. |Mon, 9\u20135. |See you!"
    ),
    "See [our page](https://example.org/a_(b)). Bye": "See our page. |Bye",
    "See [**our** page](example.org 'Hours'), please.": "See our page, |please.",
    "![A map](map.png) is here [1] and there[2].": "A map is here and there.",
    "It is so ([example.org](https://example.org/?utm_source=openai)).": (
        "It is so (example dot org)."
    ),
    "It is so\u30104:0\u2020hours.pdf\u3011. Yes.": "It is so. |Yes.",
    "Run this:\n```python\nprint(x)\n```\nThat is `snake_case`.": (
        "Run this: |print(x). |That is snake case."
    ),
    "One\n\n---\n\nTwo<br>three &amp; four": "One. |Two three and four",
    "Press * or # now, 5 \\* 3 = 15.": "Press star or pound now, |5 times 3 equals 15.",
    # Emoji, and marks for emphasis.
    "Thanks \U0001f60a! See you \U0001f469\u200d\U0001f4bb\U0001f1ec\U0001f1e7": "Thanks! |See you",
    "\U0001f44b Hi there\u2764\ufe0f, how are you \U0001f642?": "Hi there, how are you?",
    "Press 1\ufe0f\u20e3 for sales :)": "Press 1 for sales",
    "Great!!! Really?!?! Wait\u2026 what": "Great! |Really?! |Wait... what",
    "\u2705 Done\n\u2705 Paid": "Done. |Paid",
    "\U0001f600 \U0001f600": "",
}
GERMAN = {
    "Gern, das geht heute noch, aber sp\u00e4t.": "Gern, das geht heute noch, |aber sp\u00e4t.",
    "Ich habe am Dienstag um 15:30 Uhr noch einen freien Termin bei Dr. M\u00fcller gefunden.": (
        "Ich habe am Dienstag |um 15:30 Uhr noch einen freien Termin bei Dr. M\u00fcller gefunden."
    ),
    "Es kostet 3,5 Euro, z.B. am 3. M\u00e4rz. Gut.": (
        "Es kostet 3,5 Euro, z.B. am 3. M\u00e4rz. |Gut."
    ),
    "Nur 5 % & mehr an info@praxis.de.": "Nur 5 Prozent und mehr an info at praxis Punkt de.",
    "Wir sind in der Hauptstra\u00dfe 5, 10115 Berlin, zu finden.": (
        "Wir sind in der Hauptstra\u00dfe 5, 10115 Berlin, |zu finden."
    ),
}
SPANISH = {
    "Claro que s\u00ed, tenemos una cita. \u00bfLe va bien?": (
        "Claro que s\u00ed, |tenemos una cita. |\u00bfLe va bien?"
    ),
    "Tenemos una cita libre el martes a las 15:30 con el Sr. Garc\u00eda.": (
        "Tenemos una cita libre el martes |a las 15:30 con el Sr. Garc\u00eda."
    ),
    "Cuesta 3,5 euros, es decir, un 5%.": "Cuesta 3,5 euros, |es decir, un 5 por ciento.",
    "Son treinta y cinco euros con cincuenta c\u00e9ntimos por persona y noche.": (
        "Son treinta y cinco euros con cincuenta c\u00e9ntimos |por persona y noche."
    ),
    "Escriba a info@clinica.es \U0001f600.": "Escriba a info arroba clinica punto es.",
}
CASES = [
    (language, text, pieces)
    for language, cases in (("en", ENGLISH), ("de", GERMAN), ("es", SPANISH))
    for text, pieces in cases.items()
]


@pytest.mark.parametrize(("language", "text", "pieces"), CASES)
def test_pieces(language: str, text: str, pieces: str) -> None:
    for deltas in ([text], [*text], [word + " " for word in text.split(" ")]):
        stream = SentenceStream(language)
        out = [piece for delta in deltas for piece in stream.feed(delta)] + stream.finish()
        assert "|".join(out).rstrip() == pieces
