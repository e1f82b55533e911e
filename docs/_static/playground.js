"use strict";
/* The playground: two distributions to edit, their divergences live.

   The first half is arithmetic in pure functions, exported as window.sklkl; the second half is
   the page, which shows what these functions return and nothing else. */

window.sklkl = (() => {
  const NEAR = 0.2; // |a - b| / (a + b) below which the series are used: a / b < 1.5

  /* The sum of a row in two parts, high + low, of which nothing is lost (Knuth, 1969). */
  function massOf(row) {
    let high = 0;
    let low = 0;
    for (const x of row) {
      const total = high + x;
      const part = total - high;
      low += (high - (total - part)) + (x - part);
      high = total;
    }
    return { high, low };
  }

  /* x - b rho, rounded once: the parts of the product are exact (Veltkamp; Dekker, 1971). */
  function minusScaled(x, b, rho) {
    const c = 134217729 * b;
    const bHigh = c - (c - b);
    const bLow = b - bHigh;
    const r = 134217729 * rho;
    const rHigh = r - (r - rho);
    const rLow = rho - rHigh;
    return ((x - bHigh * rHigh) - bHigh * rLow - bLow * rHigh) - bLow * rLow;
  }

  /* Triples a, b, d = a - b with q scaled to the exact mass of p. The difference is kept on its
     own: subtracting the rounded b would lose the digits in which near-equal rows differ. */
  function aligned(p, q) {
    const P = massOf(p);
    const Q = massOf(q);
    const gap = P.high - Q.high;
    const lowGap = P.low - Q.low;
    const rho = (gap + lowGap) / Q.high;
    const rhoLow = (minusScaled(gap, Q.high, rho) + lowGap - rho * Q.low) / Q.high;
    return p.map((a, j) => ({
      a,
      b: q[j] + q[j] * rho,
      d: minusScaled(a - q[j], q[j], rho) - q[j] * rhoLow,
    }));
  }

  /* sum of coefficient(i) w^i; twelve terms are enough for w <= NEAR^2. */
  function series(w, coefficient) {
    let value = 0;
    for (let i = 11; i >= 0; i--) value = value * w + coefficient(i);
    return value;
  }

  function logRatio(a, b, d) {
    const s = d / (a + b);
    if (Math.abs(s) < NEAR) return 2 * Math.atanh(s);
    const ratio = a / b;
    return ratio > 1e-300 && ratio < 1e300 ? Math.log(ratio) : Math.log(a) - Math.log(b);
  }

  /* a log(a / b) - a + b >= 0: the sum over outcomes is the divergence, and no term cancels
     another. With s = d / (a + b) it is d s (1 + s (1 + s) B), B = (atanh(s) / s - 1) / s^2. */
  function klTerm({ a, b, d }) {
    if (a === 0) return b;
    if (b === 0) return Infinity;
    const s = d / (a + b);
    if (Math.abs(s) >= NEAR) return a * logRatio(a, b, d) - d;
    return d * s * (1 + s * (1 + s) * series(s * s, (i) => 1 / (2 * i + 3)));
  }

  function klPart({ a, b, d }) {
    if (a === 0) return 0;
    return b === 0 ? Infinity : a * logRatio(a, b, d);
  }

  function jeffreysPart({ a, b, d }) {
    if (a === 0 && b === 0) return 0;
    return a === 0 || b === 0 ? Infinity : d * logRatio(a, b, d);
  }

  /* (a log(a / m) + b log(b / m)) / 2 with m = (a + b) / 2; a / m = 1 + s, b / m = 1 - s. */
  function jensenShannonPart({ a, b, d }) {
    if (a === 0 && b === 0) return 0;
    const s = d / (a + b);
    if (Math.abs(s) < NEAR) {
      return 0.5 * d * s * series(s * s, (i) => 1 / ((2 * i + 1) * (2 * i + 2)));
    }
    const m = 0.5 * (a + b);
    const part = (x) => (x === 0 ? 0 : 0.5 * x * Math.log(x / m));
    return part(a) + part(b);
  }

  /* -log q of the normalised row. What is left of 1 is summed by itself, so that the logarithm
     of a probability near 1 keeps its digits. */
  function surprisals(row) {
    return row.map((x, j) => {
      const rest = row.reduce((sum, y, i) => (i === j ? sum : sum + y), 0);
      return x > rest ? Math.log1p(rest / x) : -Math.log(x / (rest + x));
    });
  }

  const crossParts = (p, q) => {
    const logs = surprisals(q);
    return p.map((a, j) => (a === 0 ? 0 : a * logs[j]));
  };
  const reversed = ({ a, b, d }) => ({ a: b, b: a, d: -d });
  const sum = (terms) => terms.reduce((total, x) => total + x, 0);
  const both = (part) => ({ parts: (p, q) => aligned(p, q).map(part) });
  const signed = (part, term) => ({ ...both(part), terms: (p, q) => aligned(p, q).map(term) });

  /* parts: what each outcome adds; terms: what is summed, if not the parts. Both have the mass
     of p; for H(Q), of q. */
  const quantities = {
    kl: signed(klPart, klTerm),
    reverse: signed((t) => klPart(reversed(t)), (t) => klTerm(reversed(t))),
    jeffreys: both(jeffreysPart),
    js: both(jensenShannonPart),
    cross: { parts: crossParts },
    hp: { parts: (p) => crossParts(p, p) },
    hq: { parts: (p, q) => crossParts(q, q), mass: (p, q) => q },
  };

  /* All quantities of two rows: {kl: {value, parts}, ...}; base is 2 for bits, e for nats. */
  function evaluate(p, q, base = Math.E) {
    const unit = base === 2 ? Math.LOG2E : 1 / Math.log(base);
    return Object.fromEntries(Object.entries(quantities).map(([key, { parts, terms, mass }]) => {
      const scale = unit / massOf(mass ? mass(p, q) : p).high;
      const list = parts(p, q).map((x) => x * scale);
      return [key, { value: terms ? sum(terms(p, q)) * scale : sum(list), parts: list }];
    }));
  }

  /* The plain sum of the normalised rows, for comparison: what most code computes. */
  function naiveKl(p, q, base = Math.E) {
    const [P, Q] = [sum(p), sum(q)];
    const term = (x, j) => (x === 0 ? 0 : (x / P) * Math.log(x / P / (q[j] / Q)));
    return sum(p.map(term)) / Math.log(base);
  }

  /* The row with row[j] = value, the others in their proportions; evenly if all are zero. */
  function withOutcome(row, j, value) {
    const rest = sum(row.filter((_, i) => i !== j));
    const share = (x) => (rest > 0 ? x / rest : 1 / (row.length - 1));
    return row.map((x, i) => (i === j ? value : share(x) * (1 - value)));
  }

  const withoutOutcome = (row, j) => withOutcome(row, j, 0).filter((_, i) => i !== j);

  return { evaluate, naiveKl, withOutcome, withoutOutcome };
})();

(() => {
  const root = document.getElementById("kl-playground");
  if (!root) return;
  const { evaluate, naiveKl, withOutcome, withoutOutcome } = window.sklkl;
  const FEWEST = 2;
  const MOST = 12;
  const NUMBER = /^(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;
  const ROWS = { p: "P", q: "Q" };
  const BASES = { bits: 2, nats: Math.E };
  const QUANTITIES = {
    kl: ["Forward KL", "D(P‖Q)"],
    reverse: ["Reverse KL", "D(Q‖P)"],
    jeffreys: ["Jeffreys", "J(P,Q)"],
    js: ["Jensen–Shannon", "JS(P,Q)"],
    cross: ["Cross-entropy", "H(P,Q)"],
    hp: ["Entropy of P", "H(P)"],
    hq: ["Entropy of Q", "H(Q)"],
  };
  const SIGNED = new Set(["kl", "reverse"]);
  const MODES = [0.05, 0.24, 0.2, 0.009, 0.002, 0.009, 0.2, 0.24, 0.05];
  const PRESETS = [
    ["Two coins", [0.5, 0.5], [0.9, 0.1], ["heads", "tails"],
      "A fair and a biased coin. An outcome that Q overrates adds a negative part; the sum is "
      + "never negative."],
    ["One-hot truth", [1, 0, 0], [0.7, 0.2, 0.1], ["cat", "dog", "fox"],
      "A hard label. The forward divergence is the log loss, −log q of the true class; the "
      + "reverse is infinite, for Q gives weight to what P excludes."],
    ["Two modes, covered", MODES, [0.05, 0.09, 0.13, 0.15, 0.16, 0.15, 0.13, 0.09, 0.05], [],
      "One wide hump over two modes. Forward KL prefers it to committing to one mode; reverse "
      + "KL resents the weight in the gap."],
    ["Two modes, one chosen", MODES,
      [0.06, 0.48, 0.4, 0.04, 0.005, 0.005, 0.004, 0.004, 0.002], [],
      "Q commits to one of two modes. Reverse KL is content with about ln 2, one bit; forward "
      + "KL charges for the mode that is missed."],
    ["Near-equal rows", [0.2, 0.3, 0.5], [0.200000001, 0.299999998, 0.500000001], [],
      "The rows differ by 1e-9, the divergence is of the order of the square of that, and the "
      + "plain sum has lost it."],
  ];

  let state; // {p, q, names, unit, show}; names may be "", show is a key of QUANTITIES
  let origin = null; // the row before the present series of edits of one outcome
  let outcomes = []; // the elements of each outcome
  let urlTimer = 0;
  let speechTimer = 0;

  // ---- small helpers

  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  const button = (label, act, attributes = {}) =>
    element("button", { type: "button", onclick: act, ...attributes }, label);
  const sumOf = (row) => row.reduce((sum, x) => sum + x, 0);
  const clamp = (x) => Math.min(1, Math.max(0, x));
  const label = (j) => state.names[j] || `outcome ${j + 1}`;

  function format(x, sign = "") {
    if (x === 0) return "0";
    const size = Math.abs(x);
    const digits = size === Infinity ? "∞" : size < 0.01 ? size.toPrecision(3) : size.toFixed(3);
    return (x < 0 ? "−" : sign) + digits;
  }

  /* A number as text, with all its digits for programs and on hovering. */
  function show(node, x, sign) {
    node.value = String(x);
    node.title = String(x);
    node.textContent = format(x, sign);
  }

  /* A probability in its field: all digits if they are few. */
  function brief(x) {
    const text = String(x);
    return text.length <= 11 ? text : String(Number(x.toPrecision(4)));
  }

  function join(list) {
    return list.length < 2 ? list.join("") : `${list.slice(0, -1).join(", ")} and ${list.at(-1)}`;
  }

  // ---- state and address

  function fromPreset([, p, q, names], unit = "bits", quantity = "kl") {
    return { p: [...p], q: [...q], names: p.map((_, j) => names[j] ?? ""), unit, show: quantity };
  }

  /* Half of a surrogate pair, as a deleted emoji leaves it, cannot be encoded. */
  const encoded = (name) => encodeURIComponent(name.replace(/\p{Surrogate}/gu, ""));

  /* String(x) has as many digits as it takes to read x back exactly. */
  function toHash({ p, q, names, unit, show: quantity }) {
    const fields = [`p=${p.join()}`, `q=${q.join()}`];
    if (names.some(Boolean)) fields.push(`names=${names.map(encoded).join()}`);
    if (unit !== "bits") fields.push(`unit=${unit}`);
    if (quantity !== "kl") fields.push(`show=${quantity}`);
    return `#${fields.join("&")}`;
  }

  function readRow(name, text) {
    if (text === undefined) throw new Error(`${name} is missing`);
    const row = text.split(",").map((entry) => {
      if (!NUMBER.test(entry)) throw new Error(`${name} contains “${entry}”`);
      return Number(entry);
    });
    const total = sumOf(row);
    if (row.length < FEWEST || row.length > MOST) {
      throw new Error(`${name} has ${row.length} outcomes, not ${FEWEST} to ${MOST}`);
    }
    if (!(Math.abs(total - 1) < 1e-9)) throw new Error(`${name} sums to ${total}, not to 1`);
    return row;
  }

  function fromHash(hash) {
    const fields = Object.fromEntries(hash.slice(1).split("&").map((field) => {
      const [name, ...rest] = field.split("=");
      return [name, rest.join("=")];
    }));
    // Some programs encode the commas of links.
    const p = readRow("P", fields.p && decodeURIComponent(fields.p));
    const q = readRow("Q", fields.q && decodeURIComponent(fields.q));
    if (p.length !== q.length) {
      throw new Error(`P has ${p.length} outcomes, Q has ${q.length}`);
    }
    const { unit = "bits", show: quantity = "kl" } = fields;
    if (!Object.hasOwn(BASES, unit)) throw new Error(`“${unit}” is no unit`);
    if (!Object.hasOwn(QUANTITIES, quantity)) throw new Error(`“${quantity}” is no quantity`);
    const given = (fields.names ?? "").split(",").map(decodeURIComponent);
    return { p, q, names: p.map((_, j) => (given[j] ?? "").trim()), unit, show: quantity };
  }

  function readAddress() {
    const { hash } = window.location;
    if (state && hash.length > 1 && !hash.includes("=")) { // an anchor of the page
      writeAddress();
      return;
    }
    clearTimeout(urlTimer);
    complain("");
    let preset = null;
    try {
      if (hash.includes("=")) state = fromHash(hash);
      else preset = PRESETS[0];
    } catch (error) {
      preset = PRESETS[0];
      complain(`The link could not be read (${error.message}). Showing two coins instead.`);
    }
    if (preset) state = fromPreset(preset);
    rebuild(preset?.[4]);
  }

  function writeAddress() {
    clearTimeout(urlTimer);
    history.replaceState(null, "", toHash(state));
  }

  /* After every edit. The address waits for a pause: browsers limit how often it may change. */
  function changed() {
    complain("");
    if (!parts.link.hidden) parts.link.hidden = true;
    clearTimeout(urlTimer);
    urlTimer = setTimeout(writeAddress, 400);
    update();
  }

  // ---- edits

  /* A series of edits of one outcome starts from the same row each time, so that the others
     return to their proportions when a bar comes back from 1. */
  function edit(row, j, value) {
    if (!origin || origin.row !== row || origin.j !== j) {
      origin = { row, j, values: state[row] };
    }
    state[row] = withOutcome(origin.values, j, clamp(value));
    parts.caption.classList.add("pg-past");
    changed();
  }

  function replace(next) {
    state = { ...state, ...next };
    rebuild();
    changed();
  }

  function addOutcome() {
    if (state.p.length === MOST) return;
    replace({ p: [...state.p, 0], q: [...state.q, 0], names: [...state.names, ""] });
  }

  function removeOutcome(j) {
    if (state.p.length === FEWEST) return;
    replace({
      p: withoutOutcome(state.p, j),
      q: withoutOutcome(state.q, j),
      names: state.names.filter((_, i) => i !== j),
    });
    outcomes[Math.min(j, outcomes.length - 1)].remove.focus();
  }

  function choosePreset(preset) {
    writeAddress(); // the back button returns to what was there
    state = fromPreset(preset, state.unit, state.show);
    history.pushState(null, "", toHash(state));
    rebuild(preset[4]);
    changed();
  }

  async function copyLink() {
    writeAddress();
    try {
      await navigator.clipboard.writeText(window.location.href);
      parts.copied.textContent = "Link copied.";
      setTimeout(() => { parts.copied.textContent = ""; }, 3000);
    } catch { // no clipboard or no permission
      parts.link.hidden = false;
      parts.link.value = window.location.href;
      parts.link.focus();
      parts.link.select();
    }
  }

  // ---- one bar and its field

  /* To a hundredth, so that arrow keys give short numbers. */
  const step = (x, n) =>
    (n > 0 ? Math.floor(100 * x + n + 1e-9) : Math.ceil(100 * x + n - 1e-9)) / 100;
  const KEYS = {
    ArrowRight: (x) => step(x, 1),
    ArrowUp: (x) => step(x, 1),
    ArrowLeft: (x) => step(x, -1),
    ArrowDown: (x) => step(x, -1),
    PageUp: (x) => step(x, 10),
    PageDown: (x) => step(x, -10),
    Home: () => 0,
    End: () => 1,
  };

  function makeBar(row, j) {
    let before = null; // the row when the pointer came down
    const fill = element("div", { class: "pg-fill" });
    const bar = element("div", {
      class: "pg-bar", role: "slider", tabindex: "0", "aria-valuemin": "0", "aria-valuemax": "1",
    }, fill);
    const drag = (event) => {
      const box = bar.getBoundingClientRect();
      edit(row, j, Math.round((1000 * (event.clientX - box.left)) / box.width) / 1000);
    };
    bar.addEventListener("keydown", (event) => {
      const move = event.ctrlKey || event.altKey || event.metaKey ? null : KEYS[event.key];
      if (!move) return;
      event.preventDefault();
      edit(row, j, move(state[row][j]));
    });
    bar.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      before = state[row];
      bar.setPointerCapture(event.pointerId);
      bar.focus({ preventScroll: true });
      // A finger may be about to scroll the page: wait for a move along the bar, or a tap.
      if (event.pointerType !== "touch") drag(event);
    });
    bar.addEventListener("pointermove", (event) => before && drag(event));
    bar.addEventListener("pointerup", (event) => before && drag(event));
    bar.addEventListener("pointercancel", () => {
      if (before && before !== state[row]) replace({ [row]: before });
    });
    bar.addEventListener("lostpointercapture", () => { before = null; }); // after up and cancel
    return { bar, fill };
  }

  function makeField(row, j) {
    const field = element("input", {
      class: "pg-number", type: "text", inputmode: "decimal", autocomplete: "off",
    });
    const entered = () => {
      const text = field.value.trim().replace(",", ".");
      return NUMBER.test(text) && Number(text) <= 1 ? Number(text) : NaN;
    };
    field.addEventListener("focus", () => {
      field.value = String(state[row][j]);
      field.select();
    });
    field.addEventListener("input", () => {
      const value = entered();
      field.setAttribute("aria-invalid", String(Number.isNaN(value)));
      if (!Number.isNaN(value)) edit(row, j, value);
    });
    field.addEventListener("change", () => {
      if (Number.isNaN(entered())) {
        complain(`${ROWS[row]}, ${label(j)}: a probability is a number from 0 to 1.`);
      }
    });
    field.addEventListener("blur", () => {
      field.removeAttribute("aria-invalid");
      field.value = brief(state[row][j]);
    });
    return field;
  }

  function makeOutcome(j) {
    const name = element("input", {
      class: "pg-name", type: "text", maxlength: "24", autocomplete: "off", spellcheck: "false",
      placeholder: `outcome ${j + 1}`, "aria-label": `Name of outcome ${j + 1}`,
      oninput: () => { state.names[j] = name.value.trim(); changed(); },
    });
    name.value = state.names[j];
    const remove = button("×", () => removeOutcome(j), { class: "pg-remove" });
    const lines = Object.keys(ROWS).map((row) => {
      const line = { row, ...makeBar(row, j), field: makeField(row, j) };
      line.node = element("div", { class: `pg-line pg-${row}` },
        element("span", { class: "pg-tag", "aria-hidden": "true" }, ROWS[row]),
        line.bar, line.field);
      return line;
    });
    const node = element("div", { class: "pg-outcome", role: "group" },
      name, ...lines.map((line) => line.node), remove);
    return { node, remove, lines };
  }

  // ---- the page

  const parts = {
    caption: element("p", { class: "pg-caption" }),
    message: element("p", { class: "pg-message", role: "alert" }),
    editor: element("div", { class: "pg-editor" }),
    add: button("Add outcome", addOutcome),
    copied: element("span", { role: "status" }),
    link: element("input", {
      class: "pg-link", type: "text", readonly: "", hidden: "", "aria-label": "Link to copy",
    }),
    identity: element("p", { class: "pg-identity" }),
    notes: element("div", { class: "pg-notes" }),
    picture: element("div", { class: "pg-picture", "aria-hidden": "true" }),
    pictureTitle: element("p", { class: "pg-title" }),
    table: element("div", {
      class: "pg-scroll", tabindex: "0", role: "region", "aria-label": "Table of contributions",
    }),
    strip: element("p", { class: "pg-strip", "aria-hidden": "true" }),
    speech: element("p", { class: "pg-speech", role: "status" }),
    values: {},
    radios: {},
  };

  function complain(text) {
    parts.message.textContent = text;
  }

  function radio(group, key, ...children) {
    const input = element("input", {
      type: "radio", name: `pg-${group}`, value: key,
      onchange: () => { state[group] = key; changed(); },
    });
    parts.radios[`${group}-${key}`] = input;
    return element("label", {}, input, ...children);
  }

  function figure(key) {
    const [name, formula] = QUANTITIES[key];
    parts.values[key] = element("data", { "data-key": key });
    return radio("show", key, element("span", {}, `${name} `, element("i", {}, formula)),
      parts.values[key]);
  }

  function layOut() {
    const uniform = (row) => button(`Make ${ROWS[row]} uniform`, () =>
      replace({ [row]: state[row].map((_, j, all) => 1 / all.length) }));
    root.replaceChildren(
      element("div", { class: "pg-buttons", role: "group", "aria-label": "Presets" },
        ...PRESETS.map((preset) => button(preset[0], () => choosePreset(preset)))),
      parts.caption,
      parts.message,
      element("div", { class: "pg-main" },
        element("section", { "aria-label": "Distributions" },
          parts.editor,
          element("div", { class: "pg-buttons" },
            parts.add,
            button("Swap P and Q", () => replace({ p: state.q, q: state.p })),
            uniform("p"), uniform("q"),
            button("Copy link", copyLink), parts.copied),
          parts.link),
        element("section", { class: "pg-results", "aria-label": "Divergences" },
          element("fieldset", { class: "pg-units" }, element("legend", {}, "Unit"),
            ...Object.keys(BASES).map((unit) => radio("unit", unit, unit))),
          element("fieldset", { class: "pg-figures" },
            element("legend", {}, "Values; the chosen one is drawn by outcome"),
            ...Object.keys(QUANTITIES).map(figure)),
          parts.identity, parts.notes, parts.pictureTitle, parts.picture)),
      parts.table, parts.strip, parts.speech);
  }

  /* After the number of outcomes or all values have changed. */
  function rebuild(caption) {
    origin = null;
    outcomes = state.p.map((_, j) => makeOutcome(j));
    parts.editor.replaceChildren(...outcomes.map((outcome) => outcome.node));
    if (caption) parts.caption.textContent = caption;
    parts.caption.classList.toggle("pg-past", !caption); // hidden, so that nothing moves
    update();
  }

  function update() {
    const { p, q, unit } = state;
    const results = evaluate(p, q, BASES[unit]);
    const notes = explain(results, naiveKl(p, q, BASES[unit]));
    updateEditor();
    for (const key of Object.keys(QUANTITIES)) show(parts.values[key], results[key].value);
    parts.radios[`unit-${unit}`].checked = true;
    parts.radios[`show-${state.show}`].checked = true;
    const [h, hp, d] = ["cross", "hp", "kl"].map((key) => format(results[key].value));
    parts.identity.textContent = `H(P,Q) = H(P) + D(P‖Q)\n${h} = ${hp} + ${d} ${unit}`;
    parts.notes.replaceChildren(...notes.map((note) => element("p", {}, note)));
    parts.strip.textContent = ["kl", "reverse", "js"].map((key) =>
      `${QUANTITIES[key][1]} ${format(results[key].value)}`).join(" · ") + ` ${unit}`;
    drawParts(results);
    drawTable(results);
    clearTimeout(speechTimer);
    speechTimer = setTimeout(() => {
      parts.speech.textContent = `Forward KL ${format(results.kl.value)} ${unit}, reverse KL `
        + `${format(results.reverse.value)}, Jensen–Shannon ${format(results.js.value)}. `
        + notes.join(" ");
    }, 1000);
  }

  function updateEditor() {
    parts.add.setAttribute("aria-disabled", String(outcomes.length === MOST));
    outcomes.forEach(({ node, remove, lines }, j) => {
      node.setAttribute("aria-label", label(j));
      remove.setAttribute("aria-label", `Remove ${label(j)}`);
      remove.setAttribute("aria-disabled", String(outcomes.length === FEWEST));
      for (const { row, bar, fill, field } of lines) {
        const x = state[row][j];
        fill.style.width = `${100 * x}%`;
        bar.setAttribute("aria-label", `${ROWS[row]}, ${label(j)}`);
        bar.setAttribute("aria-valuenow", String(x));
        bar.setAttribute("aria-valuetext", brief(x));
        field.setAttribute("aria-label", `${ROWS[row]}, ${label(j)}, as a number`);
        if (document.activeElement !== field) field.value = brief(x);
      }
    });
  }

  /* Sentences on what is infinite and why, and on what the plain sum loses. */
  function explain(results, naive) {
    const { p, q } = state;
    const where = (zero, other) => p.map((_, j) => j)
      .filter((j) => zero[j] === 0 && other[j] > 0).map(label);
    const notes = [];
    const endless = (list, what, zero, other) => {
      if (list.length === 0) return;
      notes.push(`${what} are ∞: ${zero} gives ${join(list)} probability 0, but ${other} does `
        + "not.");
    };
    endless(where(q, p), "D(P‖Q), J(P,Q) and H(P,Q)", "Q", "P");
    endless(where(p, q), "D(Q‖P) and J(P,Q)", "P", "Q");
    const { value } = results.kl;
    if (Number.isFinite(value) && Number.isFinite(naive) && format(naive) !== format(value)) {
      const largest = Math.max(...results.kl.parts.map(Math.abs));
      notes.push(`The plain sum Σ p log(p/q) gives ${format(naive)} instead of ${format(value)} `
        + `${state.unit}: its terms, of up to ${format(largest)}, cancel, and what is left is `
        + "rounding error.");
    }
    return notes;
  }

  /* Negative parts to the left of the axis, positive ones to the right. */
  function drawParts(results) {
    const list = results[state.show].parts;
    const axis = SIGNED.has(state.show) ? 50 : 0;
    const largest = Math.max(...list.filter(Number.isFinite).map(Math.abs));
    parts.pictureTitle.textContent = `${QUANTITIES[state.show][1]} by outcome`;
    parts.picture.replaceChildren(...list.map((x, j) => {
      const share = x === 0 ? 0 : x === Infinity ? 1 : Math.abs(x) / largest;
      const width = share * (100 - axis);
      const value = element("data");
      show(value, x, "+");
      const kind = x < 0 ? "pg-negative" : x === Infinity ? "pg-endless" : "";
      return element("div", { class: "pg-part" },
        element("span", { class: "pg-part-name" }, label(j)),
        element("div", { class: "pg-plot", style: `--axis: ${axis}%` },
          element("div", {
            class: `pg-part-bar ${kind}`,
            style: `left: ${x < 0 ? axis - width : axis}%; width: ${width}%`,
          })),
        value);
    }));
  }

  function drawTable(results) {
    const keys = Object.keys(QUANTITIES);
    const cell = (x, sign) => {
      const value = element("data");
      show(value, x, sign);
      return element("td", {}, value);
    };
    const heading = (scope, text) => element("th", { scope }, text);
    const rows = state.p.map((_, j) => element("tr", {}, heading("row", label(j)),
      cell(state.p[j]), cell(state.q[j]), ...keys.map((key) => cell(results[key].parts[j], "+"))));
    const totals = element("tr", {}, heading("row", "sum"),
      ...[state.p, state.q].map((row) => element("td", {}, sumOf(row).toFixed(3))),
      ...keys.map((key) => cell(results[key].value)));
    parts.table.replaceChildren(element("table", {},
      element("caption", {}, `What each outcome adds, in ${state.unit}`),
      element("thead", {}, element("tr", {},
        ...["outcome", "p", "q", ...keys.map((key) => QUANTITIES[key][1])].map((text) =>
          heading("col", text)))),
      element("tbody", {}, ...rows), element("tfoot", {}, totals)));
  }

  layOut();
  readAddress();
  window.addEventListener("hashchange", readAddress);
})();
