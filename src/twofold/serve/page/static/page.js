"use strict";
// What the page does by itself: fetches the parts that the server has made, with the key where one is needed.

const KEPT = "twofold-key";
const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const view = find("#view");
const said = find("#said");

class Refused extends Error {
  constructor(status, { message, hint, code }) {
    super(hint ? `${message}; ${hint}` : message);
    Object.assign(this, { status, code, reason: message, hint });
  }
}

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// ---- asking the server ---------------------------------------------------------------------

async function ask(path, body) {
  const headers = {};
  const key = sessionStorage.getItem(KEPT);
  if (key) headers.authorization = `Bearer ${key}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method: body === undefined ? "GET" : "POST", headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Refused(0, { code: "away", message: "The server does not answer", hint: "see whether it runs, then try again" });
  }
  const text = await answer.text();
  const is_json = (answer.headers.get("content-type") || "").startsWith("application/json");
  if (answer.ok) return { status: answer.status, value: is_json ? JSON.parse(text) : text };
  let failure = { code: "failed", message: `The server answered ${answer.status}`, hint: "" };
  if (is_json) failure = JSON.parse(text).error || failure;
  throw new Refused(answer.status, failure);
}

function announce(words) {
  said.textContent = "";
  setTimeout(() => { said.textContent = words; }, 30);
}

function failed(within, error, again) {
  if (!(error instanceof Refused)) throw error;
  const box = make("div", { class: "failure", role: "alert" }, make("p", {}, error.message + "."));
  if (error.status === 401) {
    const enter = make("button", { type: "button" }, "Enter a key");
    enter.addEventListener("click", () => enter_key(again));
    box.append(make("p", { class: "buttons" }, enter));
  }
  within.replaceChildren(box);
}

// ---- the key -------------------------------------------------------------------------------

const key_dialog = find("#key-dialog");
let after_key = null;

function enter_key(again) {
  after_key = again;
  find("#key").value = "";
  key_dialog.returnValue = "cancel";
  key_dialog.showModal();
}

function key_shown() {
  find("#key-button").textContent = sessionStorage.getItem(KEPT) ? "API key set" : "API key";
}

key_dialog.addEventListener("close", () => {
  const key = find("#key").value.trim();
  find("#key").value = "";
  if (key_dialog.returnValue === "use" && key) sessionStorage.setItem(KEPT, key);
  else if (key_dialog.returnValue === "forget") sessionStorage.removeItem(KEPT);
  else return;
  key_shown();
  (after_key || load)();
});
find("#key-button").addEventListener("click", () => enter_key(null));

// ---- views ---------------------------------------------------------------------------------

async function load() {
  view.setAttribute("aria-busy", "true");
  try {
    const { status, value } = await ask(view.dataset.load);
    view.innerHTML = value;
    if (status === 202) { setTimeout(load, 500); return; }
    begin(view);
  } catch (error) {
    failed(view, error, load);
  }
  view.setAttribute("aria-busy", "false");
}

async function state() {
  const place = find("#state");
  try {
    const { value } = await ask("/ready");
    place.textContent = `${value.model}, version ${value.version}`;
    place.classList.toggle("away", value.store !== "reachable");
    if (value.store !== "reachable") place.textContent += ", store away";
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    place.classList.add("away");
    place.textContent = "not ready";
  }
}

function begin(within) {
  all("[data-picker]", within).forEach(picker);
  all("form[data-post]", within).forEach(form);
  all("[data-map]", within).forEach(map);
  all("[data-again]", within).forEach(one => one.addEventListener("click", async () => { await load(); announce("The logs were read again"); find("[data-again]")?.focus(); }));
  if (find("#change", within)) changes(within);
}

// ---- picking items -------------------------------------------------------------------------

function picker(root) {
  const input = find("[role=combobox]", root), list = find("[role=listbox]", root), chips = find(".chips", root);
  let options = [], at = -1, asked = 0, waiting = 0;
  root.chosen = [];

  function close() {
    list.hidden = true; at = -1; asked++; clearTimeout(waiting);
    input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant");
  }
  function mark(place) {
    at = place;
    all("[role=option]", list).forEach((one, n) => one.setAttribute("aria-selected", String(n === at)));
    const marked = find("[aria-selected=true]", list);
    if (marked) { input.setAttribute("aria-activedescendant", marked.id); marked.scrollIntoView({ block: "nearest" }); }
    else input.removeAttribute("aria-activedescendant");
  }
  function choose(one) {
    if (chips) {
      if (!root.chosen.some(old => old.item === one.item)) root.chosen.push(one);
      input.value = ""; show_chips();
      announce(`${one.title} added, ${root.chosen.length} in the history`);
    } else {
      input.value = one.title === one.item ? one.item : `${one.title} (${one.item})`;
      root.chosen = [one];
    }
    close(); input.focus();
  }
  function show_chips() {
    chips.replaceChildren(...root.chosen.map((one, n) => {
      const remove = make("button", { type: "button", "aria-label": `Remove ${one.title}` }, "×");
      remove.addEventListener("click", () => { root.chosen.splice(n, 1); show_chips(); announce(`${one.title} removed`); input.focus(); });
      return make("li", {}, one.title, remove);
    }));
  }
  async function search() {
    const words = input.value.trim();
    if (!words) { close(); return; }
    const mine = ++asked;
    let found;
    try { found = (await ask(`/page/data/items?q=${encodeURIComponent(words)}`)).value.items; }
    catch (error) { if (!(error instanceof Refused)) throw error; announce(error.message); return; }
    if (mine !== asked) return;
    options = found;
    list.replaceChildren(...found.map((one, n) => {
      const line = [one.title === one.item ? "" : one.item, one.line].filter(Boolean).join(" · ");
      const option = make("li", { role: "option", id: `${list.id}-${n}`, "aria-selected": "false" }, one.title, ...(line ? [make("small", {}, line)] : []));
      option.addEventListener("pointerdown", event => { event.preventDefault(); choose(one); });
      return option;
    }));
    if (!found.length) list.append(make("li", { class: "nothing", role: "presentation" }, "Nothing found"));
    list.hidden = false; at = -1;
    input.setAttribute("aria-expanded", "true"); input.removeAttribute("aria-activedescendant");
    announce(found.length ? `${found.length} found` : "Nothing found");
  }
  input.addEventListener("input", () => { if (!chips) root.chosen = []; clearTimeout(waiting); waiting = setTimeout(search, 150); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", event => {
    const open = !list.hidden && options.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) { search(); return; }
      const step = event.key === "ArrowDown" ? 1 : -1;
      mark(at < 0 && step < 0 ? options.length - 1 : (at + step + options.length) % options.length);
    } else if (event.key === "Enter" && open && (at >= 0 || chips)) {
      event.preventDefault(); choose(options[Math.max(at, 0)]);
    } else if (event.key === "Enter" && chips) {
      if (input.value.trim()) event.preventDefault();
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault(); close();
    } else if (event.key === "Backspace" && chips && !input.value && root.chosen.length) {
      const gone = root.chosen.pop(); show_chips(); announce(`${gone.title} removed`);
    }
  });
}

// ---- forms ---------------------------------------------------------------------------------

function form(root) {
  const into = find(`#${root.dataset.into}`);
  const kind = root.dataset.kind;
  let running = 0;

  function wrong(words, field) {
    failed(into, new Refused(422, { code: "missing", message: words }), null);
    field?.focus();
    return null;
  }
  function question() {
    const made = { k: Number(find("[name=k]", root).value), diversity: Number(find("[name=diversity]", root).value), exclude_seen: find("[name=exclude_seen]", root).checked };
    const whom = find("[name=whom]:checked", root).value;
    if (whom === "user") {
      const user = find("[name=user]", root);
      return user.value.trim() ? { ...made, user: user.value.trim() } : wrong("Give a user id, or pick somebody", user);
    }
    if (whom === "history") {
      const chosen = find("[data-picker]", root).chosen;
      return chosen.length ? { ...made, history: chosen.map(one => one.item) } : wrong("Add an item to the history first", find("[role=combobox]", root));
    }
    const words = find("[name=words]", root);
    if (!words) return wrong(find("#no-words").textContent.replace(/\.$/, ""), null);
    return words.value.trim() ? { ...made, words: words.value.trim() } : wrong("Write what they say", words);
  }
  function alike() {
    const input = find("[name=item]", root), chosen = find("[data-picker]", root).chosen;
    const item = chosen.length ? chosen[0].item : input.value.trim();
    return item ? { item } : wrong("Choose an item", input);
  }
  async function submit() {
    const body = kind === "question" ? question() : alike();
    if (!body) return;
    const mine = ++running;
    into.setAttribute("aria-busy", "true");
    try {
      const { value } = await ask(root.dataset.post, body);
      if (mine !== running) return;
      into.innerHTML = value;
      announce(find("[data-said]", into)?.dataset.said || "");
      whys(into);
      const told = new URLSearchParams();
      if (body.user !== undefined) told.set("user", body.user);
      if (body.item !== undefined) told.set("item", body.item);
      history.replaceState(null, "", told.size ? `?${told}` : location.pathname);
    } catch (error) {
      if (mine === running) failed(into, error, submit);
    }
    if (mine === running) into.setAttribute("aria-busy", "false");
  }
  root.addEventListener("submit", event => { event.preventDefault(); submit(); });
  const choose = () => all("[data-whom]", root).forEach(one => { one.hidden = one.dataset.whom !== find("[name=whom]:checked", root).value; });
  all("[name=whom]", root).forEach(one => one.addEventListener("change", choose));
  find("[type=range]", root)?.addEventListener("input", event => { find("output", root).value = event.target.value; });
  find("[data-somebody]", root)?.addEventListener("click", async () => {
    try { find("[name=user]", root).value = (await ask(`/page/data/somebody?not=${encodeURIComponent(find("[name=user]", root).value.trim())}`)).value.user; submit(); }
    catch (error) { failed(into, error, null); }
  });
  const given = new URLSearchParams(location.search);
  for (const name of ["user", "item"]) {
    const field = find(`[name=${name}]`, root);
    if (field && given.get(name)) { field.value = given.get(name); submit(); }
  }
}

function whys(within) {
  const asked = find("[data-asked]", within);
  if (!asked) return;
  const question = JSON.parse(asked.dataset.asked);
  all("[data-why]", within).forEach(button => button.addEventListener("click", async () => {
    const place = document.getElementById(button.getAttribute("aria-controls"));
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    place.hidden = !open;
    if (!open || place.childElementCount) return;
    place.replaceChildren(make("p", { class: "wait" }, "Asking"));
    try {
      place.innerHTML = (await ask("/page/data/why", { question, item: button.dataset.why })).value;
      announce(place.textContent.replace(/\s+/g, " ").trim());
    } catch (error) { failed(place, error, null); }
  }));
}

// ---- the map -------------------------------------------------------------------------------

function map(root) {
  const plane = find(".plane", root), told = find("[data-point]", root), search = find("#find", root);
  const dots = all("circle", plane), places = dots.map(dot => [Number(dot.getAttribute("cx")), Number(dot.getAttribute("cy"))]);
  const whole = [0, 0, plane.viewBox.baseVal.width, plane.viewBox.baseVal.height];
  const ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  let now = -1, box = [...whole], down = null;

  const words = dot => [dot.dataset.title, dot.dataset.title === dot.dataset.item ? "" : `(${dot.dataset.item})`, dot.dataset.of ? `· ${dot.dataset.of}` : ""].filter(Boolean).join(" ");
  const open = n => !dots[n].classList.contains("off") && !dots[n].classList.contains("faint");
  const place = event => new DOMPoint(event.clientX, event.clientY).matrixTransform(plane.getScreenCTM().inverse());
  const middle = () => ({ x: box[0] + box[2] / 2, y: box[1] + box[3] / 2 });
  function choose(n) {
    if (n < 0 || n === now) return;
    if (now >= 0) dots[now].classList.remove("at");
    now = n; dots[n].classList.add("at"); told.textContent = words(dots[n]);
  }
  function near(point, most) {
    let best = -1, least = most * most;
    places.forEach(([x, y], n) => {
      const away = (x - point.x) ** 2 + (y - point.y) ** 2;
      if (away < least && open(n)) { least = away; best = n; }
    });
    return best;
  }
  function show() {
    plane.setAttribute("viewBox", box.join(" "));
    dots.forEach(dot => dot.setAttribute("r", 5 * Math.sqrt(box[2] / whole[2])));
  }
  function zoom(by, point = now >= 0 ? { x: places[now][0], y: places[now][1] } : middle()) {
    const width = by ? Math.min(whole[2], Math.max(whole[2] / 60, box[2] * by)) : whole[2], height = width * whole[3] / whole[2];
    const left = point.x - (point.x - box[0]) * width / box[2], top = point.y - (point.y - box[1]) * height / box[3];
    box = [Math.min(Math.max(left, 0), whole[2] - width), Math.min(Math.max(top, 0), whole[3] - height), width, height];
    show();
  }
  function step([dx, dy]) {
    if (now < 0 || !open(now)) { choose(near(middle(), 1e9)); return; }
    let best = -1, least = Infinity;
    places.forEach(([x, y], n) => {
      if (n === now || !open(n)) return;
      const right = x - places[now][0], under = y - places[now][1];
      const on = right * dx + under * dy, off = Math.abs(right * dy) + Math.abs(under * dx);
      if (on > 0 && off <= on * 1.5 && on + 2 * off < least) { least = on + 2 * off; best = n; }
    });
    choose(best);
  }
  const go = () => { if (now >= 0) location.href = `/page/similar?item=${encodeURIComponent(dots[now].dataset.item)}`; };

  plane.addEventListener("pointermove", event => {
    if (down && box[2] < whole[2]) {
      const scale = box[2] / plane.clientWidth;
      box[0] = Math.min(Math.max(down.box[0] - (event.clientX - down.x) * scale, 0), whole[2] - box[2]);
      box[1] = Math.min(Math.max(down.box[1] - (event.clientY - down.y) * scale, 0), whole[3] - box[3]);
      show();
    } else choose(near(place(event), box[2] / 40));
  });
  plane.addEventListener("pointerdown", event => { down = { x: event.clientX, y: event.clientY, box: [...box] }; choose(near(place(event), box[2] / 20)); });
  addEventListener("pointerup", () => { down = null; });
  plane.addEventListener("dblclick", go);
  plane.addEventListener("wheel", event => { event.preventDefault(); zoom(event.deltaY < 0 ? .85 : 1 / .85, place(event)); }, { passive: false });
  plane.addEventListener("keydown", event => {
    if (ways[event.key]) { event.preventDefault(); step(ways[event.key]); }
    else if (event.key === "+" || event.key === "=") zoom(.7);
    else if (event.key === "-") zoom(1 / .7);
    else if (event.key === "0") zoom(0);
    else if (event.key === "Enter") go();
  });
  all("[data-zoom]", root).forEach(one => one.addEventListener("click", () => zoom(Number(one.dataset.zoom))));
  all("[data-group]", root).forEach(one => one.addEventListener("click", () => {
    const on = one.getAttribute("aria-pressed") !== "true";
    one.setAttribute("aria-pressed", String(on));
    dots.forEach(dot => { if (dot.dataset.g === one.dataset.group) dot.classList.toggle("off", !on); });
  }));
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    const hits = dots.map(dot => !wanted || `${dot.dataset.title} ${dot.dataset.item}`.toLowerCase().includes(wanted));
    dots.forEach((dot, n) => dot.classList.toggle("faint", !hits[n]));
    const found = hits.flatMap((hit, n) => (wanted && hit && open(n) ? [n] : []));
    if (found.length) { choose(found[0]); told.textContent = `${found.length.toLocaleString("en")} found; ${words(dots[found[0]])}`; }
    else told.textContent = wanted ? "Nothing found" : "";
  });
}

// ---- another version -----------------------------------------------------------------------

function changes(within) {
  const dialog = find("#change", within), refusal = find(".refusal", dialog), note = find("[data-note]", dialog);
  const act = find("[data-do]", dialog), force = find("[data-force]", dialog), other = find("#other", dialog);
  let wanted = null;

  function open(button, back) {
    wanted = back ? null : button.dataset.promote;
    find("h2", dialog).textContent = back ? `Roll back to ${button.dataset.name}?` : `Promote ${button.dataset.name}?`;
    find("[data-told]", dialog).textContent = back
      ? "It answers from the next question on; the version that is live now stays registered."
      : "Its report, data and answers are checked against the live version; if nothing speaks against it, it answers from the next question on.";
    act.textContent = back ? "Roll back" : "Promote";
    note.hidden = find("[data-other]", dialog).hidden = back;
    find("#note", dialog).value = "";
    other.checked = false;
    fresh();
    dialog.showModal();
  }
  function fresh() { act.hidden = false; force.hidden = true; refusal.hidden = true; }
  function refused(error) {
    find("[data-reason]", refusal).textContent = error.code === "refused" ? error.reason.split(": ")[0] + ":" : error.message + ".";
    const reasons = error.code === "refused" ? error.reason.slice(error.reason.indexOf(": ") + 2).split(/; (?=its? |\d+ of )/) : [];
    find("ul", refusal).replaceChildren(...reasons.map(one => make("li", {}, one)));
    refusal.hidden = false;
    force.hidden = error.code !== "refused";
    act.hidden = error.code === "refused";
    if (error.status === 401 || error.status === 403) {
      const enter = make("button", { type: "button", class: "small" }, "Enter the administrator's key");
      enter.addEventListener("click", () => enter_key(() => { refusal.hidden = true; }));
      find("ul", refusal).replaceChildren(make("li", {}, enter));
    }
  }
  async function change(by_force) {
    act.disabled = force.disabled = true;
    try {
      const { value } = wanted === null
        ? await ask("/models/rollback", {})
        : await ask(`/models/${wanted}/promote`, { force: by_force, other_data: other.checked, note: find("#note", dialog).value });
      dialog.close();
      await Promise.all([load(), state()]);
      announce(`Version ${value.live} is live`);
      find("h1").setAttribute("tabindex", "-1"); find("h1").focus();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused(error);
    } finally {
      act.disabled = force.disabled = false;
    }
  }
  all("[data-promote]", within).forEach(one => one.addEventListener("click", () => open(one, false)));
  all("[data-back]", within).forEach(one => one.addEventListener("click", () => open(one, true)));
  act.addEventListener("click", () => change(false));
  force.addEventListener("click", () => change(true));
  other.addEventListener("change", fresh);
  find("[data-cancel]", dialog).addEventListener("click", () => dialog.close());
  // Enter in the note does what the main button does, never what the checks refused.
  find("form", dialog).addEventListener("submit", event => { event.preventDefault(); if (!act.hidden && !act.disabled) change(false); });
}

// Not scrollIntoView: it would move the place where Tab begins.
const here = find("nav [aria-current]"), row = find("nav ul");
row.scrollLeft = here.offsetLeft - (row.clientWidth - here.offsetWidth) / 2;
key_shown();
state();
load();
