// Adds to pages that work without it: sliders that the page follows, keys, copying, lost connections.
"use strict";
(() => {
  document.documentElement.classList.add("scripted");
  const $ = (query, of = document) => of.querySelector(query);
  const all = (query, of = document) => [...of.querySelectorAll(query)];
  let dragging = false, waiting = null, chord = "";
  let wish = null, underway = null;
  const PATIENCE = 2000;

  // -- the page follows the address: the parts that a moment changes are put in place of the old

  // One page is asked for at a time, and then the last that was wished for meanwhile: a service that
  // is asked for every step of a slider at once is slower with each.
  async function show(address, { push = true, dragged = null } = {}) {
    wish = { address, push: push || Boolean(wish?.push), dragged };
    if (underway) {
      if (performance.now() - underway.began > PATIENCE) underway.abort.abort();
      return;
    }
    while (wish) {
      const next = wish;
      wish = null;
      underway = { abort: new AbortController(), began: performance.now() };
      await put(next, underway.abort.signal);
      underway = null;
    }
  }

  async function put({ address, push, dragged }, signal) {
    try {
      const answer = await fetch(address, { signal, headers: { accept: "text/html" } });
      if (answer.redirected) { location.assign(answer.url); return; }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!answer.ok) { say(($("main section", fresh) ?? $("main", fresh))?.textContent.trim() || `The service answered ${answer.status}.`); return; }
      say("");
      const open = all("details[open] summary").map((each) => each.textContent);
      follow($("header"), $("header", fresh));
      for (const id of ["main", "hint"]) {
        const old = document.getElementById(id), now = fresh.getElementById(id);
        if (old && now) old.replaceWith(document.adoptNode(now));
      }
      const bar = $("#time"), barNow = $("#time", fresh);
      if (bar && barNow) {
        $(".printed", bar).replaceWith(document.adoptNode($(".printed", barNow)));
        bar.className = barNow.className;
        for (const axis of all("[data-axis]", bar)) {
          const now = $(`[data-axis=${axis.dataset.axis}]`, barNow);
          const slider = $("[type=range]", axis), from = $("[type=range]", now);
          if (!slider !== !from) { $(".slider", axis).replaceWith(document.adoptNode($(".slider", now))); }
          else if (slider && slider !== dragged) {
            slider.dataset.steps = from.dataset.steps;
            slider.dataset.index = from.getAttribute("value");
            scale(slider);
          }
          const field = $(".field", axis);
          if (document.activeElement?.closest(".field") !== field) field.replaceWith(document.adoptNode($(".field", now)));
          const link = $(".now", axis);
          if (link) link.replaceWith(document.adoptNode($(".now", now)));
        }
      }
      document.title = fresh.title;
      for (const each of all("details summary")) if (open.includes(each.textContent)) each.parentElement.open = true;
      history[push ? "pushState" : "replaceState"](null, "", address);
      prepare();
      document.dispatchEvent(new CustomEvent("shown"));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      say("The connection is lost. What you see and what you typed is kept; move again to retry.");
    }
  }

  // Where the links and the forms of one part lead, without touching what is typed or focused there.
  function follow(old, fresh) {
    const links = all("a[href]", fresh), forms = all("form", fresh);
    all("a[href]", old).forEach((link, i) => { if (links[i]) link.href = links[i].getAttribute("href"); });
    all("form", old).forEach((form, i) => {
      if (!forms[i]) return;
      all("[type=hidden]", form).forEach((each) => each.remove());
      form.prepend(...all("[type=hidden]", forms[i]).map((each) => document.adoptNode(each)));
    });
  }

  function say(sentence) {
    const banner = $("#lost");
    banner.hidden = !sentence;
    banner.textContent = sentence;
  }

  // -- sliders: steps of equal width, or to scale

  // The lock and the scale are in the address too, so that a link shows the same page.
  const on = (mode) => new URLSearchParams(location.search).has(mode);

  function toggle(mode) {
    const url = new URL(location.href);
    if (on(mode)) url.searchParams.delete(mode);
    else url.searchParams.set(mode, "1");
    history.replaceState(null, "", url);
    prepare();
    show(url, { push: false });
  }

  const steps = (slider) => JSON.parse(slider.dataset.steps);
  const SCALED = 1000;

  function scale(slider) {
    const list = steps(slider), index = Number(slider.dataset.index ?? slider.getAttribute("value"));
    slider.dataset.index = index;
    const first = list[0][2], span = list[list.length - 1][2] - first;
    slider.max = on("scale") && span ? SCALED : list.length - 1;
    slider.value = on("scale") && span ? Math.round((list[index][2] - first) / span * SCALED) : index;
    slider.setAttribute("aria-valuetext", list[index][1]);
  }

  function indexOf(slider) {
    const list = steps(slider), value = Number(slider.value);
    if (Number(slider.max) !== SCALED || list.length - 1 === SCALED) return value;
    const first = list[0][2], at = first + value / SCALED * (list[list.length - 1][2] - first);
    let best = 0;
    list.forEach((each, i) => { if (Math.abs(each[2] - at) < Math.abs(list[best][2] - at)) best = i; });
    return best;
  }

  function addressAt(name, value, instant) {
    const url = new URL(location.href);
    for (const each of ["page", "day"]) url.searchParams.delete(each);
    url.searchParams.set(name, value);
    if (on("lock")) {
      const other = name === "as_of" ? "known_at" : "as_of";
      const at = written(instant);
      if (other === "known_at" && instant / 1000 > Date.now()) url.searchParams.delete(other);
      else url.searchParams.set(other, at);
    }
    return url;
  }

  // To the microsecond: what was recorded at that instant was known by then.
  function written(instant) {
    const whole = Math.floor(instant / 1000), rest = String(instant - whole * 1000).padStart(3, "0");
    return new Date(whole).toISOString().replace("Z", `${rest}Z`).replace(/\.0+Z$/, "Z");
  }

  function moved(event) {
    const slider = event.target, name = slider.closest("[data-axis]").dataset.axis;
    const index = indexOf(slider), step = steps(slider)[index];
    const push = !dragging;  // a whole drag is one page of the history
    dragging = event.type === "input";
    if (Number(slider.dataset.index) === index) return;
    slider.dataset.index = index;
    slider.setAttribute("aria-valuetext", step[1]);
    const field = $(".field input:not([type=hidden])", slider.closest("[data-axis]"));
    field.value = step[1];
    show(addressAt(name, step[0], step[2]), { push, dragged: slider });
  }

  function press(axis, which) {
    $(`[data-axis=${axis}] [data-step=${which}][href]`)?.click();
  }

  // -- what is on every page

  function prepare() {
    for (const slider of all("[type=range][data-steps]")) { slider.hidden = false; if (!slider.matches(":active")) scale(slider); }
    for (const each of all("[data-mode], [data-copy], [data-keys]")) each.hidden = false;
    for (const each of all("[data-mode]")) each.setAttribute("aria-pressed", on(each.dataset.mode));
  }

  document.addEventListener("input", (event) => { if (event.target.matches("[type=range][data-steps]")) moved(event); });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[type=range][data-steps]")) moved(event);
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-axis], .jump")) return;
    event.preventDefault();
    const words = new URLSearchParams(new FormData(form));
    for (const [name, value] of [...words]) if (!value) words.delete(name);
    const known = words.get("known_at");
    if (known) words.set("known_at", known.split(" · ")[0]);
    document.activeElement?.blur();
    show(`${form.action.split("?")[0]}?${words}`);
  });
  // A form is sent once the ledger is there: else what was typed would go with the page.
  document.addEventListener("submit", async (event) => {
    const form = event.target, by = event.submitter;
    if (form.method !== "post" || form.dataset.sure) return;
    event.preventDefault();
    if (form.dataset.asking) return;
    form.dataset.asking = "1";
    const kept = "What you see and what you typed is kept; send it again in a while.";
    try {
      const answer = await fetch("/readyz");
      say(answer.ok ? "" : `The ledger cannot be used at the moment. ${kept}`);
      if (answer.ok) {
        form.dataset.sure = "1";
        form.requestSubmit(by);
      }
    } catch {
      say(`The connection is lost. ${kept}`);
    } finally {
      delete form.dataset.asking;
      delete form.dataset.sure;
    }
  });
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[href]");
    if (link && link.closest("#time, .known, .pages, #events") && !event.ctrlKey && !event.metaKey && !event.shiftKey && link.origin === location.origin && link.pathname === location.pathname) {
      event.preventDefault();
      const url = new URL(link.href);
      const axis = link.closest("[data-axis]")?.dataset.axis;
      show(link.dataset.at ? addressAt(axis, url.searchParams.get(axis), Number(link.dataset.at)) : url);
    }
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const text = copy.closest("details").querySelector("pre").textContent;
      try { await navigator.clipboard.writeText(text); copy.textContent = "Copied"; } catch { copy.textContent = "Select and copy"; }
    }
    if (event.target.closest("[data-keys]")) $("#keys").showModal();
    const mode = event.target.closest("[data-mode]");
    if (mode) toggle(mode.dataset.mode);
  });
  addEventListener("popstate", () => {
    wish = null;
    underway?.abort.abort();
    show(location.href, { push: false });
  });
  addEventListener("offline", () => say("The connection is lost. What you see and what you typed is kept."));
  addEventListener("online", () => say(""));

  const ROOMS = { e: "/exams", x: "/exceptions", u: "/authorizations", r: "/reports", p: "/policies", o: "/proposals", a: "/audit", h: "/health" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=range]), textarea, select")) return;
    if ($("#keys").open) return;
    const key = event.key;
    if (chord === "g") {
      chord = "";
      clearTimeout(waiting);
      const link = ROOMS[key] && $(`header nav a[href^="${ROOMS[key]}"]`);
      if (link) { event.preventDefault(); link.click(); return; }
    }
    const does = {
      "/": () => $("[data-key='/']").focus(),
      "[": () => press("as_of", "before"), "]": () => press("as_of", "after"),
      "{": () => press("known_at", "before"), "}": () => press("known_at", "after"),
      n: () => $(".now")?.click(), l: () => $("[data-mode=lock]")?.click(),
      s: () => $("[data-mode=scale]")?.click(),
      "?": () => $("#keys").showModal(),
      g: () => { chord = "g"; waiting = setTimeout(() => { chord = ""; }, 1200); },
    }[key];
    if (does) { event.preventDefault(); does(); }
  });

  prepare();
})();
