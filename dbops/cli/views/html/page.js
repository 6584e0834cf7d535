"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Dark or light: the system's choice until somebody chooses. Storage may be forbidden, as in a file opened from disk.
  const remembered = (value) => {
    try {
      if (value) localStorage.setItem("dbops-theme", value);
      return localStorage.getItem("dbops-theme");
    } catch {
      return null;
    }
  };
  if (["dark", "light"].includes(remembered())) root.dataset.theme = remembered();
  for (const button of all(".theme")) {
    button.addEventListener("click", () => {
      const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = isDark ? "light" : "dark";
      remembered(root.dataset.theme);
    });
  }

  // Search: every word must occur in what an object's data-find holds.
  const search = document.getElementById("search");
  if (search) {
    const items = all("[data-find]");
    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const item of items) {
        const hit = words.every((word) => item.dataset.find.includes(word));
        item.hidden = !hit;
        shown += hit && item.matches("article");
      }
      for (const group of all("main section.leaves, aside nav details, aside .group")) {
        group.hidden = !group.querySelector("[data-find]:not([hidden])");
      }
      for (const drawing of all(".diagram")) drawing.hidden = words.length > 0;
      document.getElementById("nothing").hidden = shown > 0 || !words.length;
      document.getElementById("found").textContent = words.length ? `${shown} found` : "";
    };
    search.addEventListener("input", filter);
    search.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { search.value = ""; filter(); }
      if (event.key === "Enter") document.querySelector("aside li:not([hidden]) a")?.focus();
    });
    document.addEventListener("keydown", (event) => {
      const typing = event.target.matches?.("input, select, textarea");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); search.focus(); search.select(); }
    });
    // A link to an object that the search hides shows it again.
    addEventListener("hashchange", () => {
      const target = document.getElementById(location.hash.slice(1));
      if (target?.hidden) { search.value = ""; filter(); target.scrollIntoView(); }
    });
  }

  // Diagrams: move by dragging, wheel and arrow keys; zoom by pinching, Ctrl and wheel, plus and minus.
  for (const sheet of all(".sheet")) {
    const svg = sheet.querySelector("svg");
    const whole = svg.getAttribute("viewBox").split(" ").map(Number);
    let view = [...whole];
    const show = () => svg.setAttribute("viewBox", view.map((value) => value.toFixed(1)).join(" "));
    const perPixel = () => Math.max(view[2] / sheet.clientWidth, view[3] / sheet.clientHeight);
    const zoom = (factor, x = 0.5, y = 0.5) => {
      const least = 120 / whole[2];
      const wanted = Math.min(Math.max((view[2] * factor) / whole[2], least), 1.6);
      const ratio = (wanted * whole[2]) / view[2];
      view = [view[0] + view[2] * (1 - ratio) * x, view[1] + view[3] * (1 - ratio) * y, view[2] * ratio, view[3] * ratio];
      show();
    };
    const move = (dx, dy) => { view[0] += dx; view[1] += dy; show(); };
    const acts = {
      in: () => zoom(0.8),
      out: () => zoom(1.25),
      fit: () => { view = [...whole]; show(); },
      one: () => zoom(sheet.clientWidth && 1 / perPixel()),
    };
    sheet.acts = acts;
    sheet.addEventListener("wheel", (event) => {
      const box = sheet.getBoundingClientRect();
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        zoom(Math.exp(event.deltaY * 0.0035), (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
      } else if (view[2] < whole[2] * 0.99) {
        event.preventDefault();
        move(event.deltaX * perPixel(), event.deltaY * perPixel());
      }
    }, { passive: false });
    sheet.addEventListener("keydown", (event) => {
      const step = view[2] / 12;
      const keys = {
        ArrowLeft: () => move(-step, 0), ArrowRight: () => move(step, 0), ArrowUp: () => move(0, -step), ArrowDown: () => move(0, step),
        "+": acts.in, "=": acts.in, "-": acts.out, 0: acts.fit, 1: acts.one,
      };
      if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    const fingers = new Map();
    let dragged = 0;
    sheet.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
      dragged = 0;
    });
    sheet.addEventListener("pointermove", (event) => {
      const last = fingers.get(event.pointerId);
      if (!last) return;
      const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
      if (fingers.size === 2) {
        const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
        const before = Math.hypot(last[0] - other[0], last[1] - other[1]);
        zoom(before / Math.max(Math.hypot(event.clientX - other[0], event.clientY - other[1]), 1));
      } else {
        dragged += Math.abs(dx) + Math.abs(dy);
        if (dragged > 4 && !sheet.hasPointerCapture(event.pointerId)) {
          sheet.setPointerCapture(event.pointerId);
          sheet.classList.add("moving");
        }
        move(-dx * perPixel(), -dy * perPixel());
      }
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    for (const kind of ["pointerup", "pointercancel"]) {
      sheet.addEventListener(kind, (event) => { fingers.delete(event.pointerId); sheet.classList.remove("moving"); });
    }
    sheet.addEventListener("click", (event) => { if (dragged > 4) { event.preventDefault(); event.stopPropagation(); } }, true);
    sheet.addEventListener("dragstart", (event) => event.preventDefault());

    // What a table refers to, and what refers to it, stands out.
    const lines = all(".line", svg);
    const tables = new Map(all(".table", svg).map((table) => [table.dataset.ref, table]));
    const choose = (ref) => {
      svg.classList.toggle("choosing", Boolean(ref));
      for (const item of all(".near", svg)) item.classList.remove("near");
      if (!ref) return;
      tables.get(ref)?.classList.add("near");
      for (const line of lines) {
        if (line.dataset.child !== ref && line.dataset.parent !== ref) continue;
        line.classList.add("near");
        for (const end of [line.dataset.child, line.dataset.parent]) tables.get(end)?.classList.add("near");
      }
    };
    for (const [ref, table] of tables) {
      table.addEventListener("pointerenter", () => choose(ref));
      table.addEventListener("pointerleave", () => choose(null));
      table.addEventListener("focus", () => {
        choose(ref);
        const [box, frame] = [table.getBoundingClientRect(), sheet.getBoundingClientRect()];
        const outside = box.left < frame.left || box.right > frame.right || box.top < frame.top || box.bottom > frame.bottom;
        if (outside) move(((box.left + box.right - frame.left - frame.right) / 2) * perPixel(), ((box.top + box.bottom - frame.top - frame.bottom) / 2) * perPixel());
      });
      table.addEventListener("blur", () => choose(null));
    }
  }
  const chooser = document.getElementById("sheet");
  const chosen = () => document.getElementById(`sheet-${chooser ? chooser.value : 0}`);
  const turn = () => { for (const sheet of all(".sheet")) sheet.hidden = sheet !== chosen(); };
  if (chooser) { chooser.addEventListener("change", turn); turn(); }
  for (const button of all("[data-zoom]")) button.addEventListener("click", () => chosen().acts[button.dataset.zoom]());
})();
