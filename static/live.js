/* Live pages: what the socket brings is swapped by id, under the house rules: never a fragment that
   holds focus or an open menu, never what someone reads, and no card jumps in. */
"use strict";

{
  const { $, $$ } = portal;
  const BOARD_LEAVES = ["status", "score", "grid", "facts", "question", "stream"];
  const LOG_KEPT = 2000;
  const unseen = new Set();
  let missed = false; // something was held back, or the socket was away

  /* The connection's state, in the top bar ------------------------------------------ */
  const showState = (state) => {
    const connection = $("#connection");
    if (connection && connection.dataset.state !== state) connection.dataset.state = state;
  };
  document.addEventListener("htmx:wsOpen", () => {
    showState("live");
    if (missed) reread();
  });
  const OUTSIDER = 4404;
  const REOPENED_BY_HTMX = [1006, 1011, 1012, 1013];
  htmx.config.wsReconnectDelay = (tried) => 200 + Math.random() * Math.min(10_000, 500 * 2 ** tried);
  document.addEventListener("htmx:wsClose", (event) => {
    const code = event.detail.event?.code;
    const gone = !document.contains(event.target) || code === OUTSIDER;
    missed = true;
    showState(gone ? "off" : "retrying");
    if (!gone && !REOPENED_BY_HTMX.includes(code)) setTimeout(() => event.detail.socketWrapper.reconnect(), 1000 + Math.random() * 2000);
  });
  const reread = () => {
    const connection = $("#connection");
    if (!connection) return;
    missed = false;
    const query = "ownQuery" in connection.dataset ? location.search : ""; // the URL is the state, also of what is live
    return htmx.ajax("GET", connection.dataset.fragments + query, { source: connection, target: connection, swap: "none" });
  };
  document.addEventListener("run-changed", async (event) => {
    acting = event.target.closest(".run-card, #run-header, #drawer")?.id ?? "run-header";
    portal.closeMenus();
    await reread();
    if (acting === "drawer") await portal.reloadDrawer();
    const title = acting && $(`#${acting} :is(h3 a, h1, h2[tabindex])`);
    if (document.activeElement === document.body && title) {
      if (!title.matches("a, [tabindex]")) title.tabIndex = -1;
      title.focus();
    }
    acting = null;
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && missed && $("#connection")?.dataset.state === "live") reread();
  });

  /* What may be swapped now --------------------------------------------------------- */
  let acting = null; // the run whose button was just pressed: its parts may be swapped under the focus
  const isBusy = (target) =>
    !acting &&
    (target.contains(document.activeElement) || target.querySelector("details[open], :popover-open") !== null || isSelected(target));
  const isSelected = (target) => {
    const selection = getSelection();
    return Boolean(selection && !selection.isCollapsed && selection.containsNode(target, true));
  };
  document.addEventListener("focusout", () => {
    if (missed) setTimeout(() => $("#connection")?.dataset.state === "live" && reread(), 300);
  });

  /* A card or head whose status is the same is taken apart, so that only leaves move. */
  const leavesOf = (fragment, names) =>
    names.map((name) => fragment.querySelector(`[id$="-${name}"]`)).filter((leaf) => leaf && $(`#${leaf.id}`));
  const takeApart = (fragment) => {
    const shown = $(`#${fragment.id}`);
    const isCard = fragment.matches(".run-card");
    if (!isCard && fragment.id !== "run-header") return [fragment];
    const same = shown.dataset.status === fragment.dataset.status && !("stale" in shown.dataset);
    if (same) return leavesOf(fragment, isCard ? BOARD_LEAVES : ["status", "facts"]);
    if (!isBusy(shown)) return [fragment];
    shown.dataset.status = fragment.dataset.status; // someone is in it: all but what they hold, the rest later
    shown.dataset.stale = "";
    missed = true;
    return leavesOf(fragment, isCard ? ["status", "score", "grid", "facts", "slot"] : ["status", "facts"]);
  };
  const onlyNewLines = (list) => {
    const last = Number($(`#${list.id} > li:last-child`)?.dataset.id ?? 0);
    for (const line of [...list.children]) if (Number(line.dataset.id) <= last) line.remove();
    return list.children.length ? [list] : [];
  };
  /* A table whose rows are others now is not swapped under the reader: a button offers it. */
  const offersRows = (fragment, shown) => {
    if (!("rows" in fragment.dataset) || fragment.dataset.rows === shown.dataset.rows) return false;
    const button = $("[data-renew]", shown);
    if (button) button.hidden = false;
    return Boolean(button);
  };
  const admit = (fragment) => {
    if ("reread" in fragment.dataset) {
      reread();
      return [];
    }
    const shown = fragment.id && $(`#${CSS.escape(fragment.id)}`);
    if (!shown) {
      if (fragment.matches(".run-card") && $("#runs-summary")) offerNew(fragment.id);
      return [];
    }
    if (fragment.matches("ol[id$='-log-lines']")) return onlyNewLines(fragment);
    if (offersRows(fragment, shown)) return [];
    return takeApart(fragment).filter((part) => {
      const target = $(`#${part.id}`);
      if (stripped(target).isEqualNode(stripped(part))) return false;
      if (!isBusy(target)) return true;
      missed = true;
      return false;
    });
  };
  const stripped = (part) => {
    const copy = part.cloneNode(true);
    copy.removeAttribute("hx-swap-oob");
    copy.removeAttribute("style"); // its height may be held
    return copy;
  };
  const offerNew = (id) => {
    unseen.add(id);
    const button = $("#board-new");
    if (!button) {
      location.reload(); // the empty board has nothing to disturb
      return;
    }
    const words = `${unseen.size} new ${unseen.size === 1 ? "run" : "runs"}`;
    $("span", button).textContent = words;
    button.hidden = false;
    portal.announce(words);
  };

  /* On a page of figures the panel in the middle of the window stays where it is, whatever grows above it;
     nothing shrinks, for at the top of the page there is nowhere to scroll back to. */
  const SETTLED_MS = 100;
  let held = null;
  const hold = () => {
    const middle = innerHeight / 2;
    const off = ({ top, bottom }) => Math.max(top - middle, middle - bottom, 0);
    const places = new Map($("[data-steady]") ? $$("#main [id]").map((part) => [part.id, part.getBoundingClientRect()]) : []);
    const panels = $$("#main section[id]").filter((panel) => places.has(panel.id));
    const nearest = panels.sort((one, other) => off(places.get(one.id)) - off(places.get(other.id)))[0];
    held = nearest ? { id: nearest.id, top: places.get(nearest.id).top, places } : null;
    setTimeout(() => (held = null), SETTLED_MS);
  };
  const keepPlace = (event) => {
    const panel = held && $(`#${CSS.escape(held.id)}`);
    if (!panel) return;
    const before = held.places.get(event.target.id)?.height ?? 0;
    if (event.target.getBoundingClientRect().height < before) event.target.style.minBlockSize = `${before}px`;
    scrollBy({ top: panel.getBoundingClientRect().top - held.top, behavior: "instant" });
  };
  document.addEventListener("htmx:oobAfterSwap", keepPlace);
  document.addEventListener("htmx:afterSettle", keepPlace); // settling takes the height away again

  htmx.defineExtension("live", {
    transformResponse(text) {
      hold();
      const template = document.createElement("template");
      template.innerHTML = text;
      const parts = [...template.content.children].flatMap(admit);
      for (const part of parts) if (!part.hasAttribute("hx-swap-oob")) part.setAttribute("hx-swap-oob", "true");
      return parts.map((part) => part.outerHTML).join("");
    },
  });

  /* A status that changed is said once ------------------------------------------------ */
  const statuses = new Map();
  const sayStatus = () => {
    for (const status of $$(".status[id^='run-'][id$='-status']")) {
      const before = statuses.get(status.id);
      if (before && before !== status.dataset.status) {
        portal.announce(`Run ${status.id.split("-")[1]}: ${status.textContent.trim()}`);
      }
      statuses.set(status.id, status.dataset.status);
    }
  };

  /* The log follows only at its end; else it counts --------------------------------------- */
  const atEnd = (list) => list.scrollHeight - list.scrollTop - list.clientHeight < 24;
  const following = new WeakMap(); // list → is it followed, and how many lines came since
  const watch = (list) => {
    following.set(list, { on: true, came: 0, last: list.lastElementChild });
    list.scrollTop = list.scrollHeight;
    list.addEventListener("scroll", () => {
      const state = following.get(list);
      state.on = atEnd(list);
      if (state.on) state.came = 0;
      showLogState(list);
    }, { passive: true });
  };
  const showLogState = (list) => {
    const panel = list.closest("[data-log]");
    const footer = $("footer", panel);
    const { on, came } = following.get(list);
    footer.hidden = on;
    $("span", footer).textContent = came ? `Paused while you read, ${came} new ${came === 1 ? "line" : "lines"}` : "Paused while you read";
  };
  const followLogs = () => {
    for (const list of $$("[data-log] > ol")) {
      if (!following.has(list)) {
        watch(list);
        continue;
      }
      const state = following.get(list);
      if (state.last === list.lastElementChild) continue;
      for (let line = list.lastElementChild; line && line !== state.last; line = line.previousElementSibling) state.came += 1;
      state.last = list.lastElementChild;
      if (state.on) {
        while (list.children.length > LOG_KEPT) list.firstElementChild.remove();
        list.scrollTop = list.scrollHeight;
        state.came = 0;
      }
      showLogState(list);
    }
  };
  document.addEventListener("click", (event) => {
    const list = event.target.closest("[data-log-end]") && $("ol", event.target.closest("[data-log]"));
    if (!list) return;
    list.scrollTop = list.scrollHeight;
    list.focus();
  });

  /* New results are offered, never inserted --------------------------------------------------- */
  const offerResults = () => {
    const items = $("#items[data-finished]");
    const button = $("#items-new");
    const facts = $(".facts[data-finished]");
    if (!items || !button || !facts) return;
    const fresh = Number(facts.dataset.finished) - Number(items.dataset.finished);
    button.hidden = fresh <= 0;
    $("span", button).textContent = `${fresh.toLocaleString("en")} new ${fresh === 1 ? "result" : "results"}`;
  };

  /* An open item that was on its way is read again when results come, unless someone is in it. */
  let finishedThen = null;
  const renewDrawer = () => {
    const finished = $(".facts[data-finished]")?.dataset.finished;
    const drawer = $("#drawer[data-unfinished]");
    if (drawer && finishedThen !== null && finished !== finishedThen && !isBusy(drawer)) portal.reloadDrawer();
    finishedThen = finished ?? null;
  };

  const settle = () => {
    sayStatus();
    followLogs();
    offerResults();
    renewDrawer();
  };
  document.addEventListener("htmx:wsAfterMessage", settle);
  document.addEventListener("htmx:afterSettle", settle);
  settle();
}
