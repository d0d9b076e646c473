"use strict";
// What a model or a file wrote reaches the page as text nodes and in no other way: nothing here parses HTML, and no
// text becomes the name of an element, an attribute or an address.
(() => {
  const CHUNK = 30; // prompts that are put on the page at a time
  const LONG = 2000; // characters of an answer that are shown before one asks for the rest
  const by = (id) => document.getElementById(id);
  const { models, compared, sets, categories, verdicts, texts, rows: packed } = JSON.parse(by("data").textContent);

  const rows = packed.map(([set, category, id, prompt, change, answers], index) => ({
    index, set: sets[set], category: categories[category] ?? null, id: texts[id], prompt, change,
    answers: answers.map((a) => a && { text: a[0], verdict: verdicts[a[1]], cutOff: a[2] === 1, reason: texts[a[3]] }),
  }));

  // State: what the address holds, and what it does not

  const PLACES = { set: sets.map((s) => s.name), category: categories }; // what the two lists of names offer
  const place = (list, name) => (PLACES[list].includes(name) ? String(PLACES[list].indexOf(name)) : ANY);
  const NONE_PASS = "No prompt passes these filters.";
  const NONE_AT_ALL = "This result has no answers.";
  const ANY = "any";
  const START = { show: "all", model: String(models.length - 1), set: ANY, category: ANY, q: "", at: "" };
  let state = { ...START };
  let shown = []; // the rows that pass the filters
  let built = 0; // how many of them are on the page
  let allOpen = false;
  let turned = new Set(); // answers that are not as the switch has them

  const says = (verdict) => (row, model) =>
    model === ANY ? row.answers.some((a) => a?.verdict === verdict) : row.answers[model]?.verdict === verdict;
  const SHOW = new Map([["all", () => true]]);
  if (compared) ["fixed", "broke"].forEach((word) => SHOW.set(word, (row) => row.change === word));
  verdicts.forEach((word) => SHOW.set(word, says(word)));

  let lower = null; // the texts in lower case, made when they are first searched
  const found = (row, q) => {
    lower ??= texts.map((text) => text.toLowerCase());
    const has = (number) => lower[number].includes(q);
    return has(row.prompt) || row.id.toLowerCase().includes(q) || row.answers.some((a) => a && has(a.text));
  };

  const TESTS = {
    q: (row, s) => s.q === "" || found(row, s.q.toLowerCase()),
    set: (row, s) => s.set === ANY || row.set === sets[s.set],
    category: (row, s) => s.category === ANY || row.category === categories[s.category],
    show: (row, s) => SHOW.get(s.show)(row, s.model),
  };
  const passing = (s, except) => {
    const tests = Object.entries(TESTS).filter(([name]) => name !== except).map(([, test]) => test);
    return rows.filter((row) => tests.every((test) => test(row, s)));
  };

  // Elements

  // An element with properties of ours (ariaLabel is the attribute aria-label) and children; texts become text nodes
  function el(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.startsWith("aria")) made.setAttribute(name.replace(/[A-Z]/, (c) => `-${c.toLowerCase()}`), value);
      else made[name] = value;
    }
    made.append(...children);
    return made;
  }

  // Browsers take seconds to break a word of many thousand letters into lines: say where it may be broken
  const breakable = (text) => text.split(/(\S{500})(?=\S)/u).flatMap((part, i) => (i % 2 ? [part, el("wbr")] : part));

  // A text with what was searched for marked
  function marked(text) {
    const q = state.q.toLowerCase();
    const places = text.toLowerCase();
    if (q === "" || places.length !== text.length) return breakable(text); // some letters change length in lower case
    const parts = [];
    let from = 0;
    for (let at = places.indexOf(q); at >= 0; at = places.indexOf(q, from)) {
      parts.push(...breakable(text.slice(from, at)), el("mark", {}, text.slice(at, at + q.length)));
      from = at + q.length;
    }
    return [...parts, ...breakable(text.slice(from))];
  }

  // The beginning of a text, and a button for the rest
  function fill(place, text) {
    place.replaceChildren(...marked(text.slice(0, LONG)));
    if (text.length <= LONG) return;
    const words = `Show all ${text.length.toLocaleString("en")} characters`;
    const more = el("button", { type: "button", className: "more" }, words);
    more.addEventListener("click", () => place.replaceChildren(...marked(text)));
    place.append("\u2026", more);
  }

  // One prompt with its answers

  function item(row, place) {
    const name = `prompt-${row.index}`;
    const heading = el("h3", { className: "text", id: name, dir: "auto" });
    fill(heading, texts[row.prompt]);
    const meta = el("p", { className: "meta" });
    if (row.change) meta.append(badge(row.change === "fixed" ? "good" : "bad", row.change));
    for (const word of [row.set.name, row.category, row.id]) if (word) meta.append(el("span", {}, ...marked(word)));
    const columns = row.answers.map((answer, model) => column(row, answer, model));
    const answers = el("div", { className: "answers" }, ...columns);
    const made = el("article", {
      className: "item", tabIndex: 0, ariaLabelledby: name, ariaPosinset: place + 1, ariaSetsize: shown.length,
    }, heading, meta, answers);
    made.dataset.index = row.index;
    return made;
  }

  const badge = (tone, word) => el("span", { className: `badge ${tone}` }, word);

  function column(row, answer, model) {
    const { name, colour } = models[model];
    const dot = el("span", { className: "dot" });
    dot.style.background = colour;
    const head = el("header", {}, el("h4", {}, dot, name));
    const made = el("section", { className: "answer", ariaLabel: `${name}: ${answer?.verdict ?? "not asked"}` }, head);
    made.style.borderTopColor = colour;
    if (answer === null) {
      made.append(el("p", { className: "empty" }, "not asked"));
      return made;
    }
    head.append(badge(tone(answer.verdict, row.set.fails), answer.verdict));
    if (answer.cutOff) head.append(badge("", "cut off"));
    head.append(el("button", { type: "button", className: "turn" }));
    const box = el("div", { className: "text", dir: "auto" });
    if (texts[answer.text] === "") box.append(el("span", { className: "empty" }, "empty answer"));
    else fill(box, texts[answer.text]);
    made.append(el("div", { className: "cover" }, box));
    if (answer.reason) made.append(el("p", { className: "reason" }, `Judge: ${answer.reason.slice(0, 300)}`));
    made.dataset.key = `${row.index}:${model}`;
    blur(made);
    return made;
  }

  function tone(verdict, fails) {
    if (verdict === fails) return "bad";
    if (verdict === "degenerate") return "odd";
    return verdict === "unscored" || verdict === "harmful" ? "" : "good";
  }

  // Showing and blurring

  const isOpen = (section) => allOpen !== turned.has(section.dataset.key);
  const sections = (place) => [...place.querySelectorAll(".answer[data-key]")];

  function turn(section) {
    const { key } = section.dataset;
    if (!turned.delete(key)) turned.add(key);
    blur(section);
  }

  function blur(section) {
    const open = isOpen(section);
    section.classList.toggle("blurred", !open);
    section.querySelector(".text").inert = !open; // neither read aloud, nor found, nor copied
    const button = section.querySelector(".turn");
    button.textContent = open ? "Blur" : "Show";
    button.setAttribute("aria-label", `${button.textContent} the answer of ${section.querySelector("h4").textContent}`);
  }

  function reveal() {
    const target = here() >= 0 && article(state.at);
    if (!target) return;
    const all = sections(target);
    const open = all.every(isOpen);
    for (const section of all) if (isOpen(section) === open) turn(section);
  }

  // The list: prompts are put on the page as one comes near them

  const feed = by("feed");
  function grow(until) {
    const end = Math.min(until, shown.length);
    if (built < end) feed.append(...shown.slice(built, end).map((row, i) => item(row, built + i)));
    built = Math.max(built, end);
  }
  new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && more(), { rootMargin: "1500px" })
    .observe(by("end"));
  function more() {
    grow(built + CHUNK);
    if (built < shown.length && by("end").getBoundingClientRect().top < innerHeight + 1500) requestAnimationFrame(more);
  }

  const article = (index) => feed.querySelector(`[data-index="${Number(index)}"]`);

  function stand(index) {
    feed.querySelector(".here")?.classList.remove("here");
    article(index)?.classList.add("here");
    state.at = String(index);
    remember();
  }

  function go(place) {
    if (place < 0 || place >= shown.length) return;
    grow(place + CHUNK);
    const target = article(shown[place].index);
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "start" });
  }
  const here = () => shown.findIndex((row) => String(row.index) === state.at);

  // Filters

  for (const word of SHOW.keys()) {
    const chip = el("button", { type: "button" }, word, el("small"));
    chip.dataset.word = word;
    if (word === "fixed" || word === "broke") chip.title = compared.map((i) => models[i].name).join(" \u2192 ");
    chip.addEventListener("click", () => set({ show: word }));
    by("show").append(chip);
  }

  function options(select, choices, value) {
    select.replaceChildren(...choices.map(([key, text]) => new Option(text, key)));
    select.value = value;
  }

  function draw() {
    const counts = (name, values) => {
      const rest = passing(state, name);
      return values.map((value) => rest.filter((row) => TESTS[name](row, { ...state, [name]: value })).length);
    };
    const words = [...SHOW.keys()];
    const many = counts("show", words);
    for (const [i, chip] of [...by("show").children].entries()) {
      chip.setAttribute("aria-pressed", String(words[i] === state.show));
      chip.classList.toggle("none", many[i] === 0);
      chip.lastChild.textContent = many[i].toLocaleString("en");
    }
    for (const [name, own] of Object.entries(PLACES)) {
      const keys = [ANY, ...own.keys()].map(String);
      const inside = counts(name, keys);
      options(by(name), keys.map((key, i) => [key, `${own[key] ?? "all"} (${inside[i]})`]), state[name]);
    }
    const choices = [...Object.keys(models), ANY];
    const rest = passing(state, "show");
    const isVerdict = verdicts.includes(state.show);
    const named = (key) => (key === ANY ? "any model" : models[key].name);
    const beside = (key) => (isVerdict ? ` (${rest.filter((row) => SHOW.get(state.show)(row, key)).length})` : "");
    options(by("model"), choices.map((key) => [key, named(key) + beside(key)]), state.model);
    by("model").disabled = !isVerdict;
    by("q").value = state.q;
    by("reset").hidden = Object.keys(TESTS).every((name) => state[name] === START[name]);
    by("status").textContent = `${shown.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} prompts`;
  }

  function list() {
    const inside = feed.contains(document.activeElement);
    shown = passing(state);
    built = 0;
    feed.replaceChildren();
    draw();
    if (here() < 0) state.at = "";
    grow(Math.max(CHUNK, here() + CHUNK));
    if (shown.length === 0) feed.append(el("p", { className: "nothing" }, rows.length ? NONE_PASS : NONE_AT_ALL));
    if (state.at) stand(state.at);
    if (inside) article(state.at)?.focus({ preventScroll: true });
  }

  function set(changes) {
    state = { ...state, ...changes };
    list();
    remember();
  }

  // The address

  let writing = 0;
  function remember() { // a little later, since browsers limit how often a page may change its address
    clearTimeout(writing);
    writing = setTimeout(() => history.replaceState(null, "", `#${address()}`), 150);
  }

  function address() {
    const told = Object.entries({ ...state, set: PLACES.set[state.set], category: PLACES.category[state.category] })
      .filter(([name, value]) => value && state[name] !== START[name]);
    return new URLSearchParams(told);
  }

  function recall() {
    const told = new URLSearchParams(location.hash.slice(1));
    const known = (name, values) => (values.includes(told.get(name)) ? told.get(name) : START[name]);
    state = {
      show: known("show", [...SHOW.keys()]),
      model: known("model", [...Object.keys(models), ANY]),
      set: place("set", told.get("set")),
      category: place("category", told.get("category")),
      q: told.get("q") ?? "",
      at: /^\d+$/.test(told.get("at") ?? "") ? told.get("at") : "",
    };
    list();
    if (here() >= 0) go(here());
  }

  // Events

  feed.addEventListener("click", (event) => {
    if (event.target.closest(".turn, .blurred .cover")) turn(event.target.closest(".answer"));
  });
  feed.addEventListener("focusin", (event) => stand(Number(event.target.closest(".item").dataset.index)));
  for (const name of ["set", "category", "model"]) {
    by(name).addEventListener("change", () => set({ [name]: by(name).value }));
  }
  let waiting = 0;
  by("q").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => set({ q: by("q").value }), 150);
  });
  by("reset").addEventListener("click", () => {
    set(START);
    by("q").focus();
  });
  by("all").addEventListener("click", () => {
    allOpen = !allOpen;
    turned = new Set();
    by("all").setAttribute("aria-checked", String(allOpen));
    sections(feed).forEach(blur);
  });
  by("help").addEventListener("click", () => by("keys").showModal());
  by("close").addEventListener("click", () => by("keys").close());

  const THEMES = ["auto", "light", "dark"];
  by("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "auto") + 1) % THEMES.length];
    root.dataset.theme = next;
    by("theme").textContent = `Theme: ${next}`;
  });

  const cycle = (step) => {
    const words = [...SHOW.keys()];
    set({ show: words[(words.indexOf(state.show) + step + words.length) % words.length] });
  };
  const KEYS = {
    j: () => go(here() + 1), k: () => go(here() - 1), f: () => cycle(1), F: () => cycle(-1),
    "/": () => by("q").focus(), "?": () => by("keys").showModal(),
  };
  const IN_LIST = { ArrowDown: KEYS.j, ArrowUp: KEYS.k, Enter: reveal, " ": reveal };
  document.addEventListener("keydown", (event) => {
    const at = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || by("keys").open) return;
    if (at === by("q") && event.key === "Escape") at.blur();
    if (at.matches("input, select")) return;
    const act = KEYS[event.key] ?? (at.matches(".item") ? IN_LIST[event.key] : undefined);
    if (!act) return;
    event.preventDefault();
    act();
  });

  for (const pick of document.querySelectorAll(".pick")) {
    pick.addEventListener("click", () => {
      const { set: name, category } = pick.dataset;
      set({ ...START, set: place("set", name), category: place("category", category) });
      by("answers").focus();
      by("answers").scrollIntoView();
    });
  }

  // The table of categories, sorted by a column; what is unknown stays last

  for (const button of document.querySelectorAll(".sortable thead button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const was = head.getAttribute("aria-sort");
      const up = was === "descending" || (was === null && !head.matches(".number"));
      for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = head.closest("table").tBodies[0];
      const value = (line) => {
        const { dataset, textContent } = line.cells[head.cellIndex];
        return "value" in dataset ? dataset.value && Number(dataset.value) : textContent;
      };
      const order = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b)) * (up ? 1 : -1);
      body.append(...[...body.rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        return x === "" || y === "" ? (x === "") - (y === "") : order(x, y);
      }));
    });
  }

  by("set-label").hidden = sets.length < 2;
  by("category-label").hidden = categories.length === 0;
  by("model-label").hidden = models.length < 2;
  by("tools").hidden = rows.length === 0;
  by("notice").hidden = rows.length === 0;
  new ResizeObserver(() => { // what is scrolled to must not lie under the filters
    const height = getComputedStyle(by("tools")).position === "sticky" ? by("tools").offsetHeight : 0;
    document.documentElement.style.setProperty("--tools", `${height}px`);
  }).observe(by("tools"));
  addEventListener("hashchange", recall);
  recall();
})();
