/* Keys: off while typing, listed under "?". */
"use strict";

{
  const { $, $$ } = portal;
  let going = false; // after g

  const isTyping = (target) =>
    target.isContentEditable || target.matches?.("textarea, select, input:not([type=checkbox], [type=radio], [type=submit], [type=button])");
  const rows = () => {
    const marked = $$("[data-nav]");
    const links = marked.length ? marked : $$(".data-table tbody th a");
    return links.filter((link) => link.offsetParent !== null);
  };
  const move = (by) => {
    if ($(":is(#drawer, #pair-diff)[data-item]")) {
      portal.step(by > 0 ? "next" : "previous");
      return;
    }
    const links = rows();
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by));
    links[next]?.focus();
  };
  const press = (key) => {
    const row = document.activeElement.closest("[data-row]"); // its own keys, else the page's
    const named = (within) => $$(`[data-key="${CSS.escape(key)}"]`, within).find((each) => each.offsetParent !== null);
    const target = (row && named(row)) ?? named(document);
    if (!target) return false;
    const after = target.closest("[data-row]");
    if (after && after !== row) {
      after.focus(); // what is done to is seen before
      return true;
    }
    if ("next" in target.dataset) after?.nextElementSibling?.focus();
    if (target.matches("input, textarea")) {
      target.focus();
      target.select();
    } else {
      target.click();
    }
    return true;
  };
  const go = (key) => {
    const link = $(`[data-go="${key}"]`);
    link?.click();
    return Boolean(link);
  };
  const escape = () => {
    if (portal.closeMenus()) return true;
    if (isTyping(document.activeElement)) {
      document.activeElement.blur();
      return true;
    }
    return portal.closeDrawer();
  };
  const actions = {
    j: () => press("j") || move(1),
    k: () => press("k") || move(-1),
    "/": () => press("/"),
    n: () => press("n"),
    c: () => press("c"),
    x: () => {
      const box = document.activeElement.closest("tr")?.querySelector("input[type=checkbox]");
      box?.click();
      return Boolean(box);
    },
    y: () => portal.copy(location.href, "Link copied"),
    "?": () => $("#shortcuts")?.togglePopover(),
  };

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      const form = event.target.closest?.("form[data-submit-keys]");
      if (form) {
        event.preventDefault();
        form.requestSubmit($("[data-kind=primary][type=submit]", form));
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return; // Escape and Tab are the browser's there
    if (event.key === "Escape") {
      if (escape()) event.preventDefault();
      return;
    }
    if (isTyping(event.target)) return;
    if (going) {
      going = false;
      if (go(event.key)) event.preventDefault();
      return;
    }
    if (event.key === "g") {
      going = true;
      setTimeout(() => (going = false), 1500);
      return;
    }
    const action = actions[event.key] ?? (() => event.key.length === 1 && press(event.key));
    if (action() !== false) event.preventDefault();
  });
}
