"""The page of a report: what is in it, whatever the texts are, and that it works in a browser."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr.data.manifest import Dataset, Utterance
from asr.errors import AudioError
from asr.evaluate import evaluate, read_splits
from asr.evaluate.examples import LONGEST, Example, choose, make_examples
from asr.evaluate.origin import by_recognizer
from asr.evaluate.page import render
from asr.evaluate.report import Extras, Result, build_report
from asr.evaluate.splits import Split
from asr.recognizer import Recognizer
from asr.score import score
from asr.transcript import Word

EVIL = '</script><script>alert("1")</script><!-- & \u2028 <img src=x onerror=alert(1)>'


def result(rows: list[tuple[str, str, str]], name: str = "test", speaker: str | None = "ann") -> Result:
    """Of (id, reference, hypothesis), each with a confidence of 0.7 for each word; the audio is not there."""
    utterances = [Utterance(key, f"{key}.wav", text, 2.0, speaker) for key, text, _ in rows]
    return Result(
        split=Split(name, Path(f"{name}.jsonl"), utterances, Dataset("made up")),
        score=score({key: text for key, text, _ in rows}, {key: heard for key, _, heard in rows}),
        oracle=None,
        reliability=None,
        recognised={key: [Word(word, 0.0, 0.5, 0.7) for word in heard.split()] for key, _, heard in rows},
        unreadable={},
        audio_seconds=2.0 * len(rows),
        decode_seconds=1.0,
        heard=None,
    )


def page(model: Path, *results: Result, examples=None) -> str:
    report = build_report(by_recognizer(Recognizer.load(model), 24_000), results, Extras("asr evaluate <a> & b"))
    return render(report, results, examples or {})


def data(html: str) -> dict:
    """The page's data, with its examples."""
    found, *examples = re.findall(r'<script type="application/json" id="[a-z0-9-]+">(.*?)</script>', html, re.DOTALL)
    return {**json.loads(found), "examples": [json.loads(example) for example in examples]}


def test_every_utterance_is_there_with_its_alignment_and_confidences(tiny_model):
    first = result([("u1", "a b c", "a x c"), ("u2", "a", "a b"), ("u3", "", "")], "first")
    second = result([("u1", "a b", "")], "second", speaker=None)
    second = replace(second, recognised={}, unreadable={"u1": "broken"})
    found = data(page(tiny_model, first, second))
    assert found["splits"] == ["first", "second"]
    assert found["utterances"] == [
        [0, "u1", "ann", 2.0, ["a", ["b", "x"], "c"], [70, 70, 70], None, None],
        [0, "u2", "ann", 2.0, ["a", [None, "b"]], [70, 70], None, None],
        [0, "u3", "ann", 2.0, [], [], None, None],
        [1, "u1", None, 2.0, [["a", None], ["b", None]], None, "broken", None],
    ]


def test_summary_has_the_numbers(tiny_model):
    html = page(tiny_model, result([("u1", "a b c d", "a x d"), ("u2", "a b", "a b")]))
    assert "%WER 33.33 [ 2 / 6, 0 ins, 1 del, 1 sub ]" in html
    assert '<td class="number lead">33.33</td>' in html
    assert "asr evaluate &lt;a&gt; &amp; b" in html


def test_pitfall_texts_that_are_html_stay_texts(tiny_model):
    evil = result([(EVIL, EVIL, "nothing")], speaker=EVIL)
    html = page(tiny_model, replace(evil, unreadable={EVIL: EVIL}), examples={("test", EVIL): AudioError(EVIL)})
    assert "<img" not in html and "<script>alert" not in html
    assert html.count("</script>") == 5  # theme, data, an example, example.js, page.js
    assert data(html)["utterances"][0][1] == EVIL
    assert data(html)["examples"] == [{"error": EVIL}]


def test_nothing_is_loaded_from_elsewhere(tiny_model):
    html = page(tiny_model, result([("u1", "a", "a")]))
    assert "default-src &#39;none&#39;" in html and "unsafe-eval" not in html
    outside = re.findall(r"https?://[^\s\"'<]+", html)
    assert set(outside) <= {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not re.search(r'(?:src|href)="(?!#|data:)', html)


def test_no_reference_word_is_no_error(tiny_model):
    html = page(tiny_model, result([("u1", "", "a")]))
    assert '<td class="number lead">n/a</td>' in html


def test_examples_are_the_worst_and_others_at_random_always_the_same():
    many = result([(f"u{n}", "a b c", "x y z" if n == 70 else "a y c" if n == 50 else "a b c") for n in range(100)])
    chosen = [utterance.id for _, utterance, _ in choose([many], 10)]
    assert chosen[:2] == ["u70", "u50"]  # no others are wrong
    assert len(set(chosen)) == 10
    assert chosen == [utterance.id for _, utterance, _ in choose([many], 10)]
    assert choose([many], 0) == []
    assert len(choose([many], 1000)) == 100


def test_an_example_is_sound_and_picture_on_one_axis(tiny_model, write_split, tmp_path):
    import io

    import soundfile
    from PIL import Image

    recognizer = Recognizer.load(tiny_model)
    (utterance,) = write_split(tmp_path, "test", ["abc de"])
    found = replace(result([("test-0", "abc de", "abc e")]), split=Split("test", tmp_path, [utterance], Dataset()))
    example = make_examples(recognizer, [found], 3)["test", "test-0"]
    assert isinstance(example, Example)
    sound, rate = soundfile.read(io.BytesIO(example.sound))
    assert rate == recognizer.sample_rate and sound.ndim == 1
    assert len(sound) / rate == pytest.approx(example.seconds, abs=0.01) and example.seconds == pytest.approx(1.0)
    assert Image.open(io.BytesIO(example.picture)).size == (101, 16)  # frames, mels
    assert len(example.blank) * example.step_seconds == pytest.approx(example.seconds, abs=0.05)
    assert [(word.word, word.right) for word in example.words] == [("abc", True), ("e", False)]
    assert {token for token, *_ in example.posteriors} <= set(recognizer.tokenizer.tokens[1:])
    assert not example.cut


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
def test_pitfall_sound_is_not_late_against_the_picture(tmp_path, rate):
    import io

    import soundfile

    from asr.evaluate.examples import _mp3

    click = np.zeros(rate, dtype=np.float32)
    click[rate // 2 : rate // 2 + rate // 20] = 0.5 * np.sin(2 * np.pi * 600 * np.arange(rate // 20) / rate)
    sound, _ = soundfile.read(io.BytesIO(_mp3(click, rate)))
    assert np.flatnonzero(np.abs(sound) > 0.2)[0] / rate == pytest.approx(0.5, abs=0.005)


def test_of_a_long_recording_the_first_minute_is_carried(tiny_model, tmp_path):
    from asr.audio import write_wav

    write_wav(tmp_path / "long.wav", 0.1 * np.random.default_rng(0).standard_normal(70 * 8000), 8000)
    utterance = Utterance("long", str(tmp_path / "long.wav"), "a", 70.0, None)
    found = replace(result([("long", "a", "b")]), split=Split("test", tmp_path, [utterance], Dataset()))
    example = make_examples(Recognizer.load(tiny_model), [found], 1)["test", "long"]
    assert isinstance(example, Example)
    assert example.cut and example.seconds == LONGEST
    short = replace(found, split=Split("test", tmp_path, [replace(utterance, duration=3.0)], Dataset()))
    measured = replace(short, durations={"long": 70.0})  # the manifest was wrong
    example = make_examples(Recognizer.load(tiny_model), [measured], 1)["test", "long"]
    assert isinstance(example, Example) and example.cut


def test_an_example_that_cannot_be_read_has_its_error(tiny_model):
    found = result([("u1", "a", "b")])
    examples = make_examples(Recognizer.load(tiny_model), [found], 5)
    html = page(tiny_model, found, examples=examples)
    (example,) = data(html)["examples"]
    assert "u1.wav: no such file" in example["error"]


def test_as_many_utterances_as_librispeech_test_clean_has_are_no_heavy_page(tiny_model):
    words = [f"word{n}" for n in range(500)]
    rng = np.random.default_rng(0)
    rows = []
    for number in range(2620):
        said = rng.choice(words, 20).tolist()
        rows.append((f"1089-134686-{number:04}", " ".join(said), " ".join([*said[:-2], "wrong"])))
    html = page(tiny_model, result(rows))
    assert len(data(html)["utterances"]) == 2620
    assert len(html.encode()) < 3_000_000  # which leaves 12 MB for examples


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium: pip install selenium")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("no Chromium with chromedriver, as Debian's package chromium-driver has it")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--mute-audio"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    chrome.set_script_timeout(30)
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def address(tiny_model, write_split, tmp_path_factory) -> str:
    """Of the page of two splits with 67 utterances, all of them examples; the recording of one is gone."""
    folder = tmp_path_factory.mktemp("page")
    write_split(folder, "valid", ["abc de", "ab", "cab bed abc"])
    write_split(folder, "test", [f"bed {'abc ' * (n % 7)}" for n in range(64)], speaker="eve")
    (folder / "audio/test-3.wav").unlink()
    splits = read_splits([str(folder / "valid.jsonl"), str(folder / "test.jsonl")])
    evaluate(Recognizer.load(tiny_model), splits, folder / "report", extras=Extras(EVIL, examples=67))
    return (folder / "report/report.html").as_uri()


@pytest.fixture
def opened(browser, address):
    """A browser in which the page has just been opened."""
    browser.get(address)
    return browser


def column(browser, place: int) -> list[str]:
    """A column of the list of utterances, as far as it is drawn."""
    script = f"return [...document.querySelectorAll('#list .facts')].map((row) => row.children[{place}].textContent)"
    return browser.execute_script(script)


def click(browser, selector: str) -> None:
    """Scroll to the first such element and click on it."""
    element = browser.find_element("css selector", selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def sorting(browser, key: str) -> str:
    return browser.find_element("css selector", f"th:has([data-sort={key}])").get_attribute("aria-sort")


def test_in_a_browser_the_list_is_drawn_by_parts_and_sorted(opened):
    errors = [int(number) for number in column(opened, 4)]
    assert len(errors) == 50 and errors == sorted(errors, reverse=True)
    assert sorting(opened, "errors") == "descending"
    click(opened, "#more")
    assert len(column(opened, 0)) == 67
    click(opened, "[data-sort=duration]")
    click(opened, "[data-sort=duration]")
    seconds = [float(number) for number in column(opened, 2)]
    assert seconds == sorted(seconds) and sorting(opened, "duration") == "ascending"
    assert sorting(opened, "errors") == "none"
    click(opened, "[data-sort=id]")
    assert [key.removesuffix("test") for key in column(opened, 0)[:12:10]] == ["test-0", "test-10"]


def test_in_a_browser_the_list_is_filtered(opened):
    from selenium.webdriver.support.ui import Select, WebDriverWait

    search = opened.find_element("id", "search")
    search.send_keys("VALID-1")
    WebDriverWait(opened, 10).until(lambda _: column(opened, 0) == ["valid-1valid"])
    assert opened.find_element("id", "count").text.startswith("1 of 67 utterances")
    opened.refresh()
    Select(opened.find_element("id", "split")).select_by_visible_text("valid")
    assert len(column(opened, 0)) == 3
    click(opened, "#errors")
    assert column(opened, 0) and "0" not in column(opened, 4)


def test_in_a_browser_no_rate_is_pooled_over_splits(opened):
    from selenium.webdriver.support.ui import Select

    count = opened.find_element("id", "count")
    assert re.search(r"words, WER [\d.]+ % \(valid\), [\d.]+ % \(test\)$", count.text)
    Select(opened.find_element("id", "split")).select_by_visible_text("valid")
    assert re.search(r"errors in \d+ words, WER [\d.]+ % \(valid\)$", count.text)


def press(browser, key: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(key).perform()


def test_in_a_browser_escape_closes_what_is_open_and_then_shows_all(opened):
    click(opened, "[aria-label='Play and view valid-2'], .hear")
    assert opened.find_elements("css selector", "audio")
    press(opened, "\ue00c")
    assert not opened.find_elements("css selector", "audio")
    assert opened.find_element("css selector", ".hear").get_attribute("aria-expanded") == "false"
    click(opened, ".frequent button")
    click(opened, "#errors")
    press(opened, "\ue00c")
    assert not opened.find_element("id", "picked").is_displayed()
    assert not opened.find_element("id", "errors").is_selected()
    assert len(column(opened, 0)) == 50


def test_in_a_browser_a_keyboard_gets_to_the_list_at_once(opened):
    press(opened, "\ue004")
    link = opened.switch_to.active_element
    assert link.text == "Skip to the list of utterances" and link.is_displayed()
    press(opened, "\ue007")
    assert opened.execute_script("return document.activeElement.id") == "utterances"


def test_in_a_browser_an_error_leads_to_the_utterances_that_hold_it(opened):
    click(opened, ".frequent button")
    assert opened.find_element("id", "picked").is_displayed()
    assert opened.execute_script("return document.activeElement.id") == "utterances"
    assert 1 <= len(column(opened, 0)) <= 3  # of the first split
    click(opened, "#unpick")
    assert not opened.find_element("id", "picked").is_displayed()
    assert len(column(opened, 0)) == 50


def test_in_a_browser_a_recording_can_be_played(opened):
    opened.execute_script("document.getElementById('search').value = 'valid-2'")
    click(opened, "#with-example")
    assert column(opened, 0) == ["valid-2valid"]
    click(opened, ".hear")
    playing = """
        const [done] = arguments, audio = document.querySelector("audio");
        audio.addEventListener("timeupdate", () => audio.currentTime > 0 && done([audio.duration, audio.currentTime]));
        const play = () => audio.play().catch((error) => done([String(error), 0]));
        audio.readyState ? play() : audio.addEventListener("loadedmetadata", play);
    """
    duration, time = opened.execute_async_script(playing)
    assert duration == pytest.approx(1.2, abs=0.01) and time > 0
    assert opened.execute_script("return document.querySelectorAll('.sight image, .sight polygon').length") > 1
    click(opened, ".hear")
    assert not opened.find_elements("css selector", "audio")


def test_in_a_browser_a_lost_recording_says_so(opened):
    click(opened, "#more")
    click(opened, "[aria-label='Play and view test-3']")
    assert "test-3.wav: no such file" in opened.find_element("css selector", ".example:not(:empty)").text


def test_in_a_browser_the_theme_is_chosen(opened):
    back = "return getComputedStyle(document.body).backgroundColor"
    before = opened.execute_script(back)
    click(opened, "#theme")
    assert opened.execute_script(back) != before
    opened.refresh()
    assert opened.execute_script(back) != before  # remembered
    click(opened, "#theme")
    assert opened.execute_script(back) == before


def test_in_a_browser_a_phone_needs_no_sideways_scrolling(opened):
    size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert opened.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_in_a_browser_words_run_in_the_direction_of_their_script(browser, tiny_model, tmp_path):
    rows = [("hebrew", "שלום לכל העולם", "הכל העולם"), ("latin", "a b", "c b d"), ("nothing", "", "")]
    (tmp_path / "page.html").write_text(page(tiny_model, result(rows)), encoding="utf-8")
    browser.get((tmp_path / "page.html").as_uri())
    click(browser, "[data-sort=id]")
    directions = browser.execute_script("return [...document.querySelectorAll('.words')].map((line) => line.dir)")
    assert directions == ["rtl", "ltr", "ltr"]


def test_in_a_browser_nothing_went_wrong_and_nothing_was_fetched(opened):
    click(opened, ".hear")
    assert opened.get_log("browser") == []  # of all these tests
    fetched = opened.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in fetched if not name.startswith(("data:", "blob:"))] == []
