"use strict";
// The recording of an utterance: a player, and what the model saw, thought and wrote, over one axis of time.
const examples = (() => {
  const PER_SECOND = 160; // pixels
  const NARROWEST = 280;
  const LEFT = 44; // pixels for the names of the bands
  const MEL = 128;
  const LETTERS = { lines: 2, height: 11, width: 7.5 }; // above the posteriors
  const POSTERIORS = { top: MEL + 6 + LETTERS.lines * LETTERS.height, height: 64 };
  const WORDS = { top: POSTERIORS.top + POSTERIORS.height + 10, lines: 3, height: 20, character: 8 };
  const AXIS = WORDS.top + WORDS.lines * WORDS.height + 6;
  const HEIGHT = AXIS + 24;
  const HUES = 6;
  const LABELLED = 30; // per cent

  const node = (name, attributes = {}, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  };

  const html = (name, text, className) => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  const soundUrl = (sound) => {
    const bytes = Uint8Array.from(atob(sound), (character) => character.charCodeAt(0));
    return URL.createObjectURL(new Blob([bytes], { type: "audio/mpeg" }));
  };

  // The steps of a posterior in unbroken runs: [[step, per cent], ...] each.
  const runs = (steps, percents) => {
    const found = [];
    steps.forEach((step, place) => {
      if (!place || step !== steps[place - 1] + 1) found.push([]);
      found[found.length - 1].push([step, percents[place]]);
    });
    return found;
  };

  const height = (percent) => POSTERIORS.top + POSTERIORS.height * (1 - percent / 100);

  // The names of peaks, on the lowest line on which each has room; without one where there is none.
  const drawLetters = (group, peaks) => {
    const ends = Array(LETTERS.lines).fill(-Infinity);
    for (const [x, token, hue] of peaks.sort((a, b) => a[0] - b[0])) {
      const line = ends.findIndex((end) => x - end >= LETTERS.width);
      if (line < 0) continue;
      ends[line] = x;
      const y = POSTERIORS.top - 4 - line * LETTERS.height;
      group.append(node("text", { x, y, class: `letter ${hue}` }, token));
    }
  };

  const drawPosteriors = (group, example, x) => {
    const middle = (step) => x((step + 0.5) * example.step_seconds);
    const blank = example.blank.map((percent, step) => `${middle(step).toFixed(1)},${height(percent).toFixed(1)}`);
    group.append(node("polyline", { points: blank.join(" "), class: "blank" }));
    const peaks = [];
    example.posteriors.forEach(([token, steps, percents]) => {
      const hue = `hue${token.codePointAt(0) % HUES}`;
      for (const run of runs(steps, percents)) {
        const points = [[run[0][0] - 0.5, 0], ...run, [run[run.length - 1][0] + 0.5, 0]];
        const path = points.map(([step, percent]) => `${middle(step).toFixed(1)},${height(percent).toFixed(1)}`);
        group.append(node("polygon", { points: path.join(" "), class: hue }));
        const peak = run.reduce((best, point) => (point[1] > best[1] ? point : best));
        if (peak[1] >= LABELLED) peaks.push([middle(peak[0]), token.trim() || "␣", hue]);
      }
    });
    drawLetters(group, peaks);
  };

  const drawWords = (group, example, x) => {
    const ends = Array(WORDS.lines).fill(-Infinity); // short words may be long to write
    for (const [word, start, end, right] of example.words) {
      const wrong = right === false;
      const free = ends.findIndex((end) => x(start) >= end);
      const line = free < 0 ? ends.indexOf(Math.min(...ends)) : free;
      const y = WORDS.top + line * WORDS.height;
      const state = wrong ? "word wrong" : "word";
      ends[line] = Math.max(x(start) + WORDS.character * (word.length + (wrong ? 1 : 0)), x(end)) + 4;
      group.append(node("line", { x1: x(start), x2: x(end), y1: y, y2: y, class: state }));
      group.append(node("text", { x: x(start), y: y + 14, class: state }, wrong ? `✗${word}` : word));
    }
  };

  const drawAxis = (group, seconds, x) => {
    const between = seconds > 3 ? 0.5 : 0.1;
    for (let tick = 0; tick * between <= seconds; tick += 1) {
      const time = tick * between;
      const long = tick % (seconds > 3 ? 2 : 5) === 0;
      group.append(node("line", { x1: x(time), x2: x(time), y1: AXIS, y2: AXIS + (long ? 6 : 3), class: "tick" }));
      if (long) group.append(node("text", { x: x(time), y: AXIS + 18, class: "time" }, `${+time.toFixed(1)} s`));
    }
    group.append(node("line", { x1: x(0), x2: x(seconds), y1: AXIS, y2: AXIS, class: "tick" }));
  };

  const draw = (example, width) => {
    const x = (time) => LEFT + (Math.min(time, example.seconds) / example.seconds) * width;
    const words = example.words.map(([word]) => word).join(" ");
    const label = `Log-mel features, posteriors of characters and words over ${example.seconds.toFixed(1)} s: ${words}`;
    const picture = node("svg", {
      width: LEFT + width + 16, height: HEIGHT, role: "img", "aria-label": label, direction: "ltr",
    });
    const names = [["mel", MEL / 2], ["token", POSTERIORS.top + POSTERIORS.height / 2 + 4], ["words", WORDS.top + 14]];
    for (const [name, y] of names) picture.append(node("text", { x: 0, y, class: "name" }, name));
    picture.append(node("image", {
      href: `data:image/png;base64,${example.picture}`, x: LEFT, y: 0, width, height: MEL, preserveAspectRatio: "none",
    }));
    drawPosteriors(picture, example, x);
    drawWords(picture, example, x);
    drawAxis(picture, example.seconds, x);
    const cursor = node("line", { x1: LEFT, x2: LEFT, y1: 0, y2: AXIS, class: "cursor" });
    picture.append(cursor);
    return { picture, cursor, x };
  };

  // The line that goes through the picture while the sound plays; a click in the picture is a jump to there.
  const follow = (audio, drawn, box, example, width) => {
    const { picture, cursor, x } = drawn;
    const place = () => {
      const at = x(audio.currentTime);
      cursor.setAttribute("x1", at);
      cursor.setAttribute("x2", at);
      if (audio.paused) return;
      if (at < box.scrollLeft || at > box.scrollLeft + box.clientWidth - 20) box.scrollLeft = at - LEFT;
      requestAnimationFrame(place);
    };
    for (const event of ["play", "seeked", "pause", "ended"]) audio.addEventListener(event, place);
    picture.addEventListener("click", (event) => {
      const at = (event.clientX - picture.getBoundingClientRect().left - LEFT) / width;
      audio.currentTime = Math.max(0, Math.min(1, at)) * example.seconds;
    });
  };

  // Show an example in an element of the page; what comes back takes it away again.
  const show = (example, place, name) => {
    if (example.error) {
      place.append(html("p", `The recording cannot be read: ${example.error}`, "note"));
      return () => place.replaceChildren();
    }
    const url = soundUrl(example.sound);
    const audio = html("audio");
    Object.assign(audio, { controls: true, preload: "metadata", src: url });
    audio.setAttribute("aria-label", `Recording of ${name}`);
    place.append(audio);
    if (example.cut) place.append(html("p", `The first ${example.longest} s of a longer recording.`, "note"));
    const box = html("div", "", "sight");
    Object.assign(box, { tabIndex: 0 });
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", `Picture of ${name}`);
    place.append(box);
    const width = Math.max(NARROWEST, example.seconds * PER_SECOND, Math.min(box.clientWidth - LEFT - 16, 640));
    const drawn = draw(example, width);
    box.append(drawn.picture);
    follow(audio, drawn, box, example, width);
    return () => {
      audio.pause();
      place.replaceChildren();
      URL.revokeObjectURL(url);
    };
  };

  return { show };
})();
