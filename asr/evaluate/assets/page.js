"use strict";
// The list of all utterances: sorted, filtered, and drawn a page at a time.
(() => {
  const AT_ONCE = 50;
  const UNSURE = [60, 85]; // per cent: below the first a word is doubtful, below the second not quite sure
  const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const several = data.splits.length > 1;
  const number = new Intl.NumberFormat("en-US");
  const counted = (count, one) => `${number.format(count)} ${one}${count === 1 ? "" : "s"}`;
  const order = new Intl.Collator(undefined, { numeric: true });

  const utterances = data.utterances.map(([split, id, speaker, duration, pairs, sure, error, example]) => {
    const both = pairs.map((pair) => (Array.isArray(pair) ? pair : [pair, pair]));
    const words = both.filter(([reference]) => reference !== null).length;
    const errors = both.filter(([reference, heard]) => reference !== heard).length;
    return {
      split, id, speaker, duration, pairs: both, sure, error, example, words, errors,
      wer: words ? errors / words : null,
    };
  });

  // What is searched, made for the first search only.
  const text = (one) => {
    const side = (which) => one.pairs.map((pair) => pair[which] ?? "").join(" ").replace(/ +/g, " ");
    one.text ??= [one.id, one.speaker ?? "", side(0), side(1)].join("\n").toLowerCase();
    return one.text;
  };

  const state = { key: "errors", down: true, picked: null, shown: 0, found: [] };
  let opened = []; // what takes examples away again

  const make = (name, className, ...children) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...children);
    return made;
  };

  const unseen = (text) => make("span", "unseen", text);

  const isolated = (word) => {
    const made = make("bdi", "", word);
    made.dir = "auto";
    return made;
  };

  // A recognised word, with how sure the model was of it.
  const heardWord = (word, sure) => {
    const made = isolated(word);
    if (sure === undefined) return made;
    made.className = sure < UNSURE[0] ? "doubtful" : sure < UNSURE[1] ? "unsure" : "";
    made.title = `confidence ${sure} %`;
    made.append(make("sub", "sure", ` ${sure}`));
    return made;
  };

  const drawPair = ([reference, heard], sure) => {
    if (reference === heard) return heardWord(heard, sure);
    if (heard === null) return make("del", "deleted", unseen("deleted: "), make("span", "mark", "−"), isolated(reference));
    if (reference === null) return make("ins", "inserted", unseen("inserted: "), make("span", "mark", "+"), heardWord(heard, sure));
    return make(
      "span", "substituted",
      unseen("instead of "), make("del", "", isolated(reference)), make("span", "mark", " › "),
      unseen(" recognised: "), make("ins", "", heardWord(heard, sure)),
    );
  };

  // By the first letter; dir="auto" would look into no <bdi>, but at what is written for screen readers.
  const direction = (pairs) => {
    const letter = pairs.flat().join(" ").match(/\p{L}/u);
    return letter && RIGHT_TO_LEFT.test(letter[0]) ? "rtl" : "ltr";
  };

  const drawWords = (utterance) => {
    const line = make("p", "words");
    line.dir = direction(utterance.pairs);
    let place = 0;
    for (const pair of utterance.pairs) {
      line.append(drawPair(pair, pair[1] === null ? undefined : utterance.sure?.[place]), " ");
      if (pair[1] !== null) place += 1;
    }
    if (!utterance.pairs.length) line.append(make("em", "note", "no words in the reference, and none recognised"));
    return line;
  };

  const exampleButton = (utterance, place) => {
    const button = make("button", "hear", "Play and view");
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-label", `Play and view ${utterance.id}`);
    let close = null;
    button.addEventListener("click", () => {
      if (close) {
        close();
        opened = opened.filter((other) => other !== close);
        close = null;
      } else {
        const example = JSON.parse(byId(`example-${utterance.example}`).textContent);
        close = examples.show(example, place, utterance.id);
        opened.push(close);
      }
      button.setAttribute("aria-expanded", String(Boolean(close)));
    });
    return button;
  };

  // A narrow window lays the table out as blocks, and a browser then no longer takes it for a table.
  const ROLES = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };
  const setRoles = (element) => {
    for (const part of [element, ...element.querySelectorAll("*")]) {
      const role = part.tagName === "TH" ? (part.scope === "row" ? "rowheader" : "columnheader") : ROLES[part.tagName];
      if (role) part.setAttribute("role", role);
    }
  };

  const drawUtterance = (utterance) => {
    const id = make("th", "id", isolated(utterance.id));
    id.scope = "row";
    if (several) id.append(make("span", "tag", data.splits[utterance.split]));
    const wer = utterance.wer === null ? "n/a" : (100 * utterance.wer).toFixed(1);
    const cells = [utterance.duration.toFixed(2), utterance.words, utterance.errors, wer];
    const facts = make("tr", "facts", id, make("td", "speaker", isolated(utterance.speaker ?? "–")));
    facts.append(...cells.map((value) => make("td", "number", String(value))));
    const said = make("td", "said", drawWords(utterance));
    said.colSpan = 6;
    if (utterance.error) said.append(make("p", "note", `Could not be read: ${utterance.error}`));
    if (utterance.example !== null) {
      const place = make("div", "example");
      said.append(exampleButton(utterance, place), place);
    }
    const body = make("tbody", "", facts, make("tr", "", said));
    setRoles(body);
    return body;
  };

  const matches = () => {
    const sought = byId("search").value.trim().toLowerCase();
    const split = byId("split") ? byId("split").value : "";
    const errors = byId("errors").checked;
    const heard = byId("with-example").checked;
    const { picked } = state;
    return (one) =>
      (!sought || text(one).includes(sought)) &&
      (!split || data.splits[one.split] === split) &&
      (!errors || one.errors > 0) &&
      (!heard || (one.example !== null && !data.broken.includes(one.example))) &&
      (!picked || (data.splits[one.split] === picked.split && holds(one, picked)));
  };

  const holds = (one, picked) =>
    picked.what === "speaker"
      ? one.speaker === picked.speaker
      : one.pairs.some(([reference, heard]) => reference === picked.reference && heard === picked.hypothesis);

  const compare = (a, b) => {
    const [left, right] = [a[state.key], b[state.key]];
    if (left === null || right === null) return (left === null) - (right === null); // what is unknown comes last
    const found = typeof left === "string" ? order.compare(left, right) : left - right;
    return state.down ? -found : found;
  };

  const more = () => {
    const next = state.found.slice(state.shown, state.shown + AT_ONCE);
    byId("list").append(...next.map(drawUtterance));
    state.shown += next.length;
    const left = state.found.length - state.shown;
    byId("more").hidden = !left;
    byId("more").textContent = `Show ${Math.min(left, AT_ONCE)} more of ${number.format(left)}`;
  };

  const total = (found, what) => found.reduce((sum, one) => sum + one[what], 0);

  // Each split's own: of training and test set together a rate would be of nothing.
  const rates = () => {
    const shown = data.splits.map((name, place) => [name, state.found.filter((one) => one.split === place)]);
    const rated = shown.filter(([, found]) => total(found, "words"));
    const rate = (found) => `${((100 * total(found, "errors")) / total(found, "words")).toFixed(2)} %`;
    if (!rated.length) return "";
    return `, WER ${rated.map(([name, found]) => rate(found) + (several ? ` (${name})` : "")).join(", ")}`;
  };

  const describe = () => {
    const [errors, words] = [total(state.found, "errors"), total(state.found, "words")];
    byId("count").textContent =
      `${number.format(state.found.length)} of ${counted(utterances.length, "utterance")}: ` +
      `${counted(errors, "error")} in ${counted(words, "word")}${rates()}`;
  };

  const refresh = () => {
    for (const close of opened) close();
    opened = [];
    for (const body of byId("list").querySelectorAll("tbody")) body.remove();
    state.found = utterances.filter(matches()).sort(compare);
    state.shown = 0;
    for (const button of document.querySelectorAll("[data-sort]")) {
      const here = button.dataset.sort === state.key;
      button.closest("th").setAttribute("aria-sort", here ? (state.down ? "descending" : "ascending") : "none");
    }
    describe();
    more();
  };

  const describePick = ({ what, split, speaker, reference, hypothesis }) => {
    if (what === "speaker") return `${split}: speaker ${speaker ?? "unknown"}`;
    if (hypothesis === null) return `${split}: − ${reference}`;
    return reference === null ? `${split}: + ${hypothesis}` : `${split}: ${reference} › ${hypothesis}`;
  };

  const clear = () => {
    byId("search").value = "";
    byId("errors").checked = byId("with-example").checked = false;
    if (byId("split")) byId("split").value = "";
  };

  const pick = (picked) => {
    state.picked = picked;
    byId("picked").hidden = !picked;
    byId("picked-text").textContent = picked ? describePick(picked) : "";
    if (picked) clear(); // what else was filtered would hide some of what was just asked for
    refresh();
  };

  // First closes what is open, then shows all again; in a field for text or a menu, Escape is the browser's.
  const escape = () => {
    const open = [...document.querySelectorAll(".hear[aria-expanded=true]")];
    const here = open.find((button) => button.parentElement.contains(document.activeElement));
    for (const button of open) button.click();
    here?.focus(); // else the focus would be lost with the player
    if (open.length || state.found.length === utterances.length) return;
    clear();
    pick(null);
  };

  const wire = () => {
    let waiting;
    byId("search").addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(refresh, 120);
    });
    for (const id of ["split", "errors", "with-example"]) byId(id)?.addEventListener("change", refresh);
    byId("numbers").addEventListener("change", () => byId("list").classList.toggle("numbers", byId("numbers").checked));
    byId("more").addEventListener("click", more);
    byId("unpick").addEventListener("click", () => {
      pick(null);
      byId("search").focus();
    });
    document.addEventListener("keydown", (event) => {
      const busy = event.target.tagName === "SELECT" || (event.target === byId("search") && event.target.value);
      if (event.key === "Escape" && !busy) escape();
    });
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-sort], [data-pick]");
      if (button?.dataset.sort) {
        const key = button.dataset.sort;
        Object.assign(state, { key, down: key === state.key ? !state.down : !["id", "speaker"].includes(key) });
        refresh();
      } else if (button?.dataset.pick) {
        pick(JSON.parse(button.dataset.pick));
        byId("utterances").scrollIntoView();
        byId("utterances").focus({ preventScroll: true });
      }
    });
  };

  setRoles(byId("list"));
  wire();
  refresh();
})();
