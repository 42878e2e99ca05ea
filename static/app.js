/* The portal without a framework: theme, menus, dialogs, the item drawer, copying, elapsed time, toasts.
   Everything is delegated, so parts that htmx swaps in need no set-up of their own. */
"use strict";

const portal = {};

{
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const svg = (name) => {
    const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    icon.setAttribute("class", "icon");
    icon.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `#i-${name}`);
    icon.append(use);
    return icon;
  };
  Object.assign(portal, { $, $$ });

  /* Toasts and announcements ------------------------------------------------ */
  portal.toast = (text, tone = "ok") => {
    const toast = document.createElement("div");
    toast.className = "toast";
    toast.dataset.tone = tone;
    const words = document.createElement("span");
    words.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.dataset.kind = "quiet";
    close.dataset.icon = "";
    close.dataset.size = "small";
    close.setAttribute("aria-label", "Dismiss");
    close.append(svg("x"));
    close.addEventListener("click", () => toast.remove());
    toast.append(svg(tone === "bad" ? "failed" : tone === "warn" ? "warning" : "ok"), words, close);
    $("#toasts")?.append(toast);
    setTimeout(() => toast.remove(), 6000);
  };
  portal.announce = (text) => {
    const announcer = $("#announcer");
    if (announcer) announcer.textContent = text;
  };

  /* Theme ------------------------------------------------------------------- */
  const setTheme = (theme) => {
    if (theme === "system") {
      localStorage.removeItem("theme");
      delete document.documentElement.dataset.theme;
    } else {
      localStorage.setItem("theme", theme);
      document.documentElement.dataset.theme = theme;
    }
  };
  const showTheme = () => {
    const chosen = $(`input[name="theme"][value="${document.documentElement.dataset.theme ?? "system"}"]`);
    if (chosen) chosen.checked = true;
  };
  document.addEventListener("change", (event) => {
    if (event.target.name === "theme") setTheme(event.target.value);
  });

  /* What is being mended is no longer called wrong; the server looks again ------ */
  document.addEventListener("input", (event) => {
    const field = event.target.closest(".field");
    if (!field) return;
    for (const error of $$(".error", field)) error.remove();
    for (const wrong of $$("[aria-invalid]", field)) wrong.removeAttribute("aria-invalid");
  });

  /* Menus close on a click elsewhere, on Escape, and after a choice ----------- */
  const closeMenus = (except = null) => {
    for (const menu of $$("details.menu[open]")) if (menu !== except) menu.open = false;
  };
  document.addEventListener("click", (event) => {
    const menu = event.target.closest("details.menu");
    const chosen = event.target.closest("details.menu > div :is(a, button)");
    closeMenus(chosen ? null : menu);
    if (event.target.closest(".menu-list :is(a, button)")) event.target.closest("[popover]").hidePopover();
  });
  portal.closeMenus = () => {
    const open = $("details.menu[open]");
    if (!open) return false;
    open.open = false;
    $("summary", open)?.focus();
    return true;
  };

  /* Copying ------------------------------------------------------------------ */
  portal.copy = async (text, said = "Copied") => {
    try {
      await navigator.clipboard.writeText(text);
      portal.toast(said);
    } catch {
      portal.toast("The browser does not allow copying here", "bad");
    }
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-copy-link]");
    if (!button) return;
    if ("copyLink" in button.dataset) {
      portal.copy(new URL(button.dataset.copyLink || location.href, location.href).href, "Link copied");
    } else {
      const source = $(button.dataset.copy);
      portal.copy(source?.value ?? source?.textContent ?? "");
    }
  });

  /* Dialogs: a fragment in #dialogs is opened as modal; closing removes it ------ */
  const openDialogs = () => {
    for (const dialog of $$("#dialogs dialog[data-modal]:not([open])")) {
      dialog.showModal();
      const wrong = $('[aria-invalid="true"]', dialog);
      (wrong ?? $("[autofocus], [tabindex='-1'], input:not([type=hidden])", dialog))?.focus();
    }
  };
  document.addEventListener(
    "close",
    (event) => {
      const dialog = event.target;
      if (!dialog.matches?.("#dialogs dialog[data-modal]")) return;
      const url = new URL(location.href);
      if (dialog.dataset.urlParam && url.searchParams.has(dialog.dataset.urlParam)) {
        for (const name of ["launch", "from", "model", "dataset_version"]) url.searchParams.delete(name);
        history.replaceState(null, "", url);
      }
      dialog.remove();
    },
    true,
  );
  const fetchDialog = (href) => htmx.ajax("GET", href, { target: "#dialogs", swap: "innerHTML" });
  const plain = (event) => event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-dismiss]") && event.target.closest("dialog[open]")) {
      event.preventDefault();
      event.target.closest("dialog").close();
      return;
    }
    if (event.target.matches?.("dialog[data-modal]")) {
      const box = event.target.getBoundingClientRect();
      const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
      if (!inside && event.target.matches(".dialog")) event.target.close();
    }
    const link = event.target.closest("a[data-dialog], a[data-sheet]");
    if (!link || !plain(event)) return;
    const sheet = "sheet" in link.dataset;
    if (sheet && !$("#runs-summary")) return; // the sheet opens over the board; elsewhere it is a page
    event.preventDefault();
    if (sheet) {
      const url = new URL(location.href);
      const asked = new URL(link.href, location.href).searchParams;
      url.hash = "";
      url.searchParams.set("launch", "1");
      for (const [name, value] of asked) url.searchParams.set(name, value);
      history.pushState({ sheet: true }, "", url);
    }
    fetchDialog(link.href);
  });

  /* Deleting waits for the typed words ------------------------------------------ */
  const checkTyped = (form) => {
    const typed = $("input[name=confirm]", form)?.value.trim().toLowerCase().replace(/\s+/g, " ");
    const button = $("button[type=submit]", form);
    if (button) button.disabled = typed !== form.dataset.typed;
  };
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-typed]");
    if (form) checkTyped(form);
  });

  /* Pickers: a search box narrows its list ---------------------------------------- */
  document.addEventListener("input", (event) => {
    const list = event.target.dataset?.filter && $(event.target.dataset.filter);
    if (!list) return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const entry of list.children) entry.hidden = !entry.textContent.toLowerCase().includes(wanted);
  });

  /* The item drawer: a link opens it beside the list, its state is the URL ---------- */
  let returnTo = null;
  const showDrawer = async (href, { push = true, focus = true } = {}) => {
    await htmx.ajax("GET", href, { target: "#drawer", swap: "outerHTML" });
    if (push) history.pushState({ drawer: true }, "", href);
    const drawer = $("#drawer");
    const item = drawer?.dataset.item;
    for (const row of $$("tr[aria-current]")) row.removeAttribute("aria-current");
    const row = item && $(`#item-${item}`);
    row?.setAttribute("aria-current", "true");
    if (item) {
      returnTo = item;
      if (focus) $("#drawer-title")?.focus();
      row?.scrollIntoView({ block: "nearest" });
    } else if (returnTo) {
      $(`#item-${returnTo} a`)?.focus();
    }
  };
  portal.reloadDrawer = () => showDrawer(location.href, { push: false, focus: false });
  portal.step = (direction) => $(`:is(#drawer, #pair-diff) [data-step="${direction}"]`)?.click();
  portal.closeDrawer = () => {
    const close = $(":is(#drawer, #pair-diff) [data-close]");
    close?.click();
    return Boolean(close);
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-drawer][href]");
    if (!link || !plain(event) || !$("#drawer")) return;
    event.preventDefault();
    showDrawer(link.href);
  });
  addEventListener("popstate", (event) => {
    if (event.state?.htmx) return; // htmx restores its own
    const launching = new URL(location.href).searchParams.has("launch");
    const sheet = $("#dialogs dialog[data-url-param]");
    if (sheet && !launching) sheet.close();
    if (!sheet && launching && $("#runs-summary")) location.reload();
    if ($("#drawer")) showDrawer(location.href, { push: false });
  });

  /* Empty filters stay out of the URL ------------------------------------------------ */
  document.addEventListener("htmx:configRequest", (event) => {
    if (!event.target.matches?.("form[data-tidy]")) return;
    const { parameters } = event.detail;
    for (const name of Object.keys(parameters)) if (parameters[name] === "") delete parameters[name];
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-tidy]") || event.defaultPrevented) return;
    for (const control of form.elements) if (control.name && control.value === "") control.disabled = true;
  });

  /* Elapsed time ticks here, nobody sends ticks ---------------------------------------- */
  const clock = (seconds) => {
    const pad = (number) => String(number).padStart(2, "0");
    const whole = Math.max(0, Math.floor(seconds));
    const hours = Math.floor(whole / 3600);
    const minutes = Math.floor(whole / 60) % 60;
    return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
  };
  const served = Number($("#connection")?.dataset.now ?? 0) * 1000;
  const ahead = served ? Date.now() - served - performance.now() : 0; // of this clock before the server's
  const skew = Math.abs(ahead) > 2000 ? ahead : 0;
  const tick = () => {
    for (const time of $$("time[data-elapsed-since]")) {
      const text = clock((Date.now() - skew - Date.parse(time.dataset.elapsedSince)) / 1000);
      if (time.textContent !== text) time.textContent = text;
    }
  };
  setInterval(tick, 1000);

  /* htmx: what it brings is opened, what fails is said ---------------------------------- */
  const settle = () => {
    openDialogs();
    for (const form of $$("form[data-typed]")) checkTyped(form);
    showTheme();
    tick();
  };
  document.addEventListener("htmx:afterSettle", settle);
  document.addEventListener("htmx:responseError", (event) => {
    const { xhr } = event.detail;
    const words = xhr.getResponseHeader("content-type")?.startsWith("text/plain") ? xhr.responseText : "";
    if (xhr.status === 401 || (xhr.status === 403 && !words)) portal.toast("You may not do that, or are logged out", "bad");
    else portal.toast(words.slice(0, 300) || `That did not work (${xhr.status})`, "bad");
  });
  document.addEventListener("htmx:sendError", () => portal.toast("The portal does not answer", "bad"));
  document.documentElement.dataset.script = "";
  settle();
}
