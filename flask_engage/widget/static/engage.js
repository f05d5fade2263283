/*
 * What the people of this site see of flask_engage: one message at a time, in a shadow root.
 *
 * It asks `inbox` for the next message and tells `seen` what became of it. It tells `track` what
 * people do. Whatever fails, fails silently: the page is the host's. All that it stores in the
 * browser is which messages were answered in this tab, for as long as the tab is open.
 *
 * The look follows the host through custom properties, set on :root or body:
 *   --engage-color      the colour of buttons and banners
 *   --engage-on-color   text on it (default: black or white, whichever reads better)
 *   --engage-radius     corners (default 12px)
 *   --engage-font       font family (default: the body's)
 * Light or dark follows the page's `color-scheme`.
 */
(function () {
  "use strict";

  var PERIOD = 30000; // ms between two questions, while somebody looks at the page
  var LONGEST = 1800000; // ms, where the pauses stop to grow when the server is away
  var READ = 1000; // ms for which half of a message must be in view to count as opened
  var TYPING = 2000; // ms without a key before a dialog may take the focus
  var ANSWERS = 20; // the newest, that a tab remembers
  var LATE = 10000; // ms after which an answer that the server doesn't know must have been lost

  var SOON = 1000; // ms for which events are gathered
  var MANY = 20; // events that are sent at once
  var MOST = 50; // events in one request
  var LARGEST = 20000; // characters of them, at most 60 KB
  var HELD = 500; // events that wait while the server is away
  var TRIES = 8; // in a row, before events are given up

  var script = document.currentScript;
  var early = window.Engage; // perhaps calls from before this script was here
  if (!script || (early && !early.q)) return; // once per page
  // A frame inside of a page of the same host tells what is done in it and shows nothing.
  var framed = Boolean(window.frameElement);
  var base = new URL(script.getAttribute("data-engage"), location.origin).href;

  var timer = 0;
  var asked = 0; // when, ms
  var failures = 0;
  var stopped = false;
  var current = null; // the message on screen
  var done = {}; // deliveries that were answered here or in another tab
  var lastKey = 0;
  var waiting = 0; // timer of a dialog that waits for its moment
  var somebody = false; // whether anybody is logged in, as far as we know
  var policy = null; // for pages with Trusted Types
  var asking = false;

  /* ---- asking ---- */

  function later(pause) {
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(ask, pause * (1 + Math.random() / 10));
  }

  function get(name) {
    asking = true;
    return fetch(base + name, {
      cache: "no-store",
      credentials: "same-origin",
      headers: { Accept: "application/json" },
      redirect: "manual"
    }).then(function (response) {
      if (response.ok) return response.json();
      if (response.body) response.body.cancel(); // else it would hold its connection
      // Not here, not for us, or a login page instead: silent until the next page.
      if (response.status < 500 && response.status !== 429) stopped = true;
      else throw response;
    }).then(function (answer) {
      asking = false;
      meet((answer && answer.who) || null);
      return answer;
    }, function (problem) {
      asking = false;
      throw problem;
    });
  }

  function ask() {
    clearTimeout(timer);
    if (stopped || current || framed || document.hidden) return;
    asked = Date.now();
    get("inbox").then(function (answer) {
      failures = 0;
      somebody = Boolean(answer && ("who" in answer || "message" in answer));
      if (!somebody) return; // asked again when the page is looked at anew
      later(PERIOD);
      if (answer.message) show(answer.message, answer.labels || {});
    }).catch(function () {
      failures += 1;
      later(Math.min(PERIOD * Math.pow(2, failures), LONGEST));
      if (queue.length) pause();
    });
  }

  function back() {
    if (document.hidden) clearTimeout(timer);
    else if (Date.now() - asked >= PERIOD) ask();
    else if (somebody) later(PERIOD);
  }

  /* ---- telling ---- */

  function tell(delivery, kind, button) {
    var body = JSON.stringify({ delivery: delivery, kind: kind, button: button });
    var type = "application/json";
    function send() {
      return fetch(base + "seen", {
        method: "POST",
        body: body,
        keepalive: true, // outlives the page
        credentials: "same-origin",
        headers: { "Content-Type": type }
      });
    }
    if ("keepalive" in Request.prototype) {
      send().catch(function () {
        setTimeout(function () { send().catch(function () {}); }, 5000);
      });
    } else {
      navigator.sendBeacon(base + "seen", new Blob([body], { type: type }));
    }
  }

  /* ---- what was answered: the next page may ask before the report of it has arrived ---- */

  function answers() {
    try {
      var kept = JSON.parse(sessionStorage.getItem("engage-answers"));
      return Array.isArray(kept) ? kept : [];
    } catch (e) {
      return []; // refused, or not written by us
    }
  }

  function settle(delivery, kind, button) {
    tell(delivery, kind, button);
    try {
      var kept = answers().concat({ delivery: delivery, kind: kind, button: button, at: Date.now() });
      sessionStorage.setItem("engage-answers", JSON.stringify(kept.slice(-ANSWERS)));
    } catch (e) { /* refused, or full: then this page alone remembers */ }
  }

  function answered(delivery) {
    // A delivery is one message to one person: whoever logs in next has none of these.
    return answers().find(function (given) { return given && given.delivery === delivery; });
  }

  /* ---- what people do ---- */

  var queue = []; // what is to be told, oldest first
  var who; // the token of who is logged in; null: nobody; undefined: not known yet
  var sender = 0; // timer
  var telling = false;
  var pausing = false; // the server has asked for it, or could not be reached
  var tries = 0;
  var metAt = 0; // when we last heard who is there
  var fetched = []; // pages that scripts have asked the server for of late
  var turned = 0; // timer
  var viewed = place();
  var viewedAt = -1; // when it was counted by itself, ms of the page's life
  var nonce = Array.from(crypto.getRandomValues(new Uint32Array(4)), function (n) { return n.toString(36); }).join("");
  var count = 0;

  function warn(what) {
    console.warn("Engage: " + what);
    return false;
  }

  function place() {
    // Routes in the fragment are pages, other fragments are places in a page.
    return location.pathname + (/^#!?\//.test(location.hash) ? location.hash.split("?")[0] : "");
  }

  function track(name, properties) {
    return note({ type: "event", name: name, properties: properties });
  }

  function page(name, properties) {
    clearTimeout(turned);
    // A host's own router may tell of a page that has just been counted by itself.
    var again = viewed === place() && viewedAt >= 0 && performance.now() - viewedAt < 2 * SOON;
    viewedAt = -1;
    if (!again) view(viewed !== place());
    return name === undefined || track(name, properties);
  }

  function moved() {
    clearTimeout(turned);
    if (framed || document.prerendering || viewed === place()) return;
    view(true);
    viewedAt = performance.now();
  }

  function view(isNew) {
    viewed = place();
    note({ type: "page" }, isNew && location.pathname);
  }

  function note(what, path) {
    // Nobody there: asked once in a while, for somebody may have logged in without a new page.
    if (who === null && Date.now() - metAt >= PERIOD) who = undefined;
    if (stopped || who === null) return false;
    if (queue.length >= HELD) return warn("the server is away; an event was dropped");
    var text;
    count += 1;
    what.id = nonce + "-" + count;
    what.path = place();
    try {
      // Half an emoji would be no text to the server.
      text = JSON.stringify(what).replace(/\\(u(d[89a-f]..)|.)/g, function (all, _, half) {
        return half ? "\ufffd" : all;
      });
    } catch (e) {
      return warn(e.message);
    }
    if (text.length > LARGEST) return warn("an event is too large");
    queue.push({ text: text, at: performance.now(), who: who, path: path });
    if (who === undefined) learn();
    else plan();
    return true;
  }

  function learn() {
    if (asking || stopped || document.prerendering) return;
    get("inbox?who").catch(pause);
  }

  function meet(token) {
    who = token;
    metAt = Date.now();
    queue = queue.filter(function (item) {
      // Who was there longer ago is not known any more.
      if (item.who === undefined && performance.now() - item.at < 60 * SOON) item.who = token;
      return item.who;
    });
    plan();
  }

  function plan() {
    if (pausing || telling || !queue.length) return;
    if (queue.length >= MANY) flush();
    else if (!sender) sender = setTimeout(flush, SOON);
  }

  function pause(seconds) {
    pausing = true;
    if (navigator.onLine !== false) tries += 1;
    if (tries > TRIES) {
      tries = 0;
      queue = [];
    }
    var wait = Math.max(seconds * SOON || 0, Math.min(SOON * Math.pow(2, tries - 1), 60 * SOON));
    clearTimeout(sender);
    sender = setTimeout(resume, wait * (1 + Math.random() / 4));
  }

  function resume() {
    pausing = false;
    flush();
  }

  function batch() {
    // What the host was asked for, it has seen.
    queue = queue.filter(function (item) {
      return !item.path || !fetched.some(function (page) {
        return page.path === item.path && Math.abs(page.at - item.at) < 5 * SOON;
      });
    });
    var size = 0;
    var length = 0;
    var token = queue.length ? queue[0].who : undefined;
    while (length < MOST && length < queue.length && queue[length].who === token) {
      size += queue[length].text.length;
      if (length && size > LARGEST) break;
      length += 1;
    }
    return token ? queue.splice(0, length) : [];
  }

  function body(items) {
    return '{"who":' + JSON.stringify(items[0].who) + ',"events":[' + items.map(function (item) {
      return item.text.slice(0, -1) + ',"ago":' + Math.round(performance.now() - item.at) + "}";
    }).join() + "]}";
  }

  function flush() {
    clearTimeout(sender);
    sender = 0;
    if (stopped) queue = [];
    if (pausing || telling || !queue.length) return;
    var items = batch();
    if (!items.length) {
      if (queue.length) learn();
      return;
    }
    telling = true;
    fetch(base + "track", {
      method: "POST",
      body: body(items),
      keepalive: true,
      credentials: "same-origin",
      redirect: "manual",
      headers: { "Content-Type": "application/json" }
    }).then(function (response) {
      telling = false;
      var status = response.status;
      if (status === 429 || status >= 500) {
        queue = items.concat(queue);
        pause(response.headers.get("Retry-After"));
        return;
      }
      tries = 0;
      if (status === 200) response.json().then(complain, function () {});
      else if (response.body) response.body.cancel();
      if (status === 204 || status === 401 || status === 409) {
        // Not theirs any more: another tab has logged out, or somebody else in.
        queue = queue.filter(function (item) { return item.who !== items[0].who; });
        if (who === items[0].who) who = status === 409 ? undefined : null;
      }
      plan();
    }, function () {
      telling = false;
      queue = items.concat(queue);
      pause();
    });
  }

  function complain(answer) {
    answer.rejected.forEach(function (wrong) { warn("not recorded: " + wrong.error); });
  }

  function leave() {
    moved();
    for (var items = batch(); items.length; items = batch()) {
      navigator.sendBeacon(base + "track", new Blob([body(items)], { type: "application/json" }));
    }
  }

  function marked(event) {
    if (event.type === "auxclick" && event.button !== 1) return;
    var path = event.composedPath();
    for (var i = 0; i < path.length; i += 1) {
      var node = path[i];
      var name = node.getAttribute && node.getAttribute("data-engage-track");
      if (!name || (node.nodeName === "FORM") !== (event.type === "submit")) continue;
      // A click on a label is followed by one on what it labels.
      if (node.control && node.nodeName === "LABEL" && node.control !== path[0]) return;
      track(name, described(node));
      return;
    }
  }

  function described(node) {
    var properties = {};
    Array.from(node.attributes).forEach(function (attribute) {
      var name = /^data-engage-prop-(.+)/.exec(attribute.name);
      if (name) properties[name[1].replace(/-/g, "_")] = typed(attribute.value);
    });
    return properties;
  }

  function typed(text) {
    if (/^(true|false)$/.test(text)) return text === "true";
    // A number is one that would be written in just this way; a code such as 007 is a text.
    return isFinite(text) && String(Number(text)) === text ? Number(text) : text;
  }

  function remember(list) {
    list.getEntries().forEach(function (entry) {
      if (!/^(fetch|xmlhttprequest)$/.test(entry.initiatorType) || entry.responseStatus >= 400) return;
      var url = new URL(entry.name);
      if (url.origin !== location.origin || entry.name.indexOf(base) === 0) return;
      fetched.push({ path: url.pathname, at: entry.responseEnd });
      if (fetched.length > MANY) fetched.shift();
    });
  }

  function turn() {
    // Where it leads to in the end, if a router goes several steps at once.
    clearTimeout(turned);
    turned = setTimeout(moved, 50);
  }

  function watchHistory() {
    if (window.navigation) return navigation.addEventListener("currententrychange", turn);
    ["pushState", "replaceState"].forEach(function (name) {
      var original = history[name];
      history[name] = function () {
        original.apply(history, arguments);
        turn();
      };
    });
    addEventListener("popstate", turn);
  }

  /* ---- content: the server cleaned it, and here it is built anew from known parts ---- */

  var KEEP = /^(A|B|BLOCKQUOTE|BR|CODE|DEL|EM|H[1-6]|HR|I|IMG|LI|OL|P|PRE|S|STRONG|SUB|SUP|TABLE|TBODY|TD|TH|THEAD|TR|U|UL)$/;
  var DROP = /^(EMBED|IFRAME|MATH|NOSCRIPT|OBJECT|SCRIPT|STYLE|SVG|TEMPLATE|TEXTAREA|TITLE)$/i;

  function address(text) {
    // Either a path on this host, or a whole http(s) address without a user name in it.
    if (typeof text !== "string" || /[\u0000- \u007f\\]|^\/\//.test(text)) return null;
    try {
      var url = new URL(text, location.href);
      var whole = /^https?:\/\//i.test(text) || !/^[a-z][a-z0-9+.-]*:/i.test(text);
      return whole && /^https?:$/.test(url.protocol) && !url.username && !url.password ? url.href : null;
    } catch (e) {
      return null;
    }
  }

  function element(name, className, text) {
    var made = document.createElement(name);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  }

  function parse(html) {
    var types = window.trustedTypes;
    if (types && !policy) policy = types.createPolicy("engage", { createHTML: String });
    if (policy) html = policy.createHTML(html);
    return new DOMParser().parseFromString(html, "text/html").body;
  }

  function copy(from, to) {
    from.childNodes.forEach(function (node) {
      if (node.nodeType === 3) to.append(node.data);
      if (node.nodeType !== 1 || DROP.test(node.nodeName)) return;
      var into = to;
      if (KEEP.test(node.nodeName)) {
        into = element(node.nodeName);
        var url = address(node.getAttribute(node.nodeName === "IMG" ? "src" : "href"));
        if (node.nodeName === "A" && url) into.href = url;
        if (node.nodeName === "IMG") {
          if (!url) return;
          into.alt = node.alt;
          into.src = url;
        }
        to.append(into);
      }
      copy(node, into);
    });
  }

  function fill(body, html) {
    try {
      copy(parse(html), body);
    } catch (e) {
      // A page that forbids parsing (Trusted Types) gets the words alone.
      body.textContent = html.replace(/<[^>]*>/g, " ").replace(/&(amp|lt|gt|quot|#39|#34);/g, function (_, name) {
        return { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'", "#34": '"' }[name];
      });
    }
  }

  /* ---- showing ---- */

  function busy() {
    var modal = null;
    try { modal = document.querySelector("dialog:modal"); } catch (e) { /* unknown selector */ }
    return modal || document.fullscreenElement || Date.now() - lastKey < TYPING;
  }

  function show(message, labels) {
    if (current) return;
    var given = answered(message.delivery);
    if (given) {
      if (Date.now() - given.at > LATE) tell(given.delivery, given.kind, given.button);
      return;
    }
    if (done[message.delivery]) return;
    if (document.hidden) {
      asked = 0; // ask again as soon as somebody looks
      return;
    }
    if (message.style === "popup" && busy()) {
      clearTimeout(waiting);
      waiting = setTimeout(function () { show(message, labels); }, TYPING);
      return;
    }
    current = { delivery: message.delivery, remove: function () {} };
    try {
      draw(message, labels);
    } catch (e) {
      done[message.delivery] = true;
      close();
    }
  }

  function close() {
    if (!current) return;
    current.remove();
    current = null;
    later(PERIOD);
  }

  function draw(message, labels) {
    var popup = message.style === "popup";
    var banner = message.style === "banner";
    var name = message.title || labels.message || "Message";
    var host = document.createElement("engage-message");
    var root = host.attachShadow({ mode: "open" });
    current.remove = function () { host.remove(); };
    var sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    root.adoptedStyleSheets = [sheet];

    var frame = element("div", "frame");
    var tabs = "BroadcastChannel" in window ? new BroadcastChannel("engage") : null;
    var card = element(popup ? "dialog" : "div", "card " + (popup ? "popup" : banner ? "banner" : "note"));
    var scroll = element("div", "scroll");
    var body = element("div", "body");
    card.dir = "auto";

    function finish(kind, button) {
      if (!current || current.delivery !== message.delivery || done[message.delivery]) return;
      done[message.delivery] = true;
      settle(message.delivery, kind, button);
      if (tabs) tabs.postMessage(message.delivery);
      // After the click has been followed: a link that is gone leads nowhere.
      setTimeout(close, 0);
    }

    if (message.title) {
      var title = element(banner ? "strong" : "h2", "title", message.title);
      title.id = "title";
      scroll.append(title);
    }
    fill(body, message.html || "");
    scroll.append(body);

    var actions = element("div", "actions");
    (message.buttons || []).forEach(function (button, index) {
      var url = button.url && address(button.url);
      var made = element(url ? "a" : "button", index ? "button quiet" : "button", button.label);
      if (url) made.href = url;
      else made.type = "button";
      made.addEventListener("click", function () {
        finish(url ? "clicked" : "dismissed", index);
      });
      actions.append(made);
    });
    if (actions.firstChild) scroll.append(actions);
    body.addEventListener("click", function (event) {
      if (event.target.closest("a[href]")) settle(message.delivery, "clicked");
    });

    var cross = element("button", "close");
    cross.type = "button";
    cross.setAttribute("aria-label", labels.close || "Close");
    cross.addEventListener("click", function () { finish("dismissed"); });
    card.append(scroll, cross);

    if (popup) {
      card.setAttribute("aria-modal", "true");
      card.tabIndex = -1;
      card.addEventListener("close", function () { finish("dismissed"); });
      host.addEventListener("keydown", function (event) {
        event.stopPropagation(); // the page's shortcuts are not meant
        keepInside(event, card, root);
      });
    } else {
      card.setAttribute("role", "region");
    }
    if (message.title && !banner) card.setAttribute("aria-labelledby", "title");
    else card.setAttribute("aria-label", name);

    if (!popup && !banner) frame.className += " dock";
    frame.append(card);
    root.append(frame);
    follow(host);
    // Beside the body, not in it: scripts that swap the body's content leave it alone.
    if (banner) document.documentElement.insertBefore(host, document.body);
    else document.documentElement.append(host);
    readable(host, card, banner);

    if (scroll.scrollHeight > scroll.clientHeight + 1) scroll.tabIndex = 0; // for the arrow keys
    if (popup) {
      card.showModal();
      card.focus();
    } else {
      announce(frame, name + "\n" + body.textContent);
    }
    var unwatch = watch(card, body.firstChild ? body : card, message.delivery);
    if (tabs) {
      tabs.onmessage = function (event) {
        done[event.data] = true;
        if (current && current.delivery === event.data) close();
      };
    }
    current.remove = function () {
      unwatch();
      if (tabs) tabs.close();
      if (popup && card.open) card.close(); // gives the focus back to where it was
      host.remove();
    };
  }

  function announce(frame, text) {
    // Heard once, without taking the focus. A region must be there before its text is.
    var live = element("div", "live");
    live.setAttribute("role", "status");
    frame.append(live);
    setTimeout(function () { live.textContent = text; }, 200);
    setTimeout(function () { live.remove(); }, 10000);
  }

  function keepInside(event, card, root) {
    if (event.key !== "Tab") return;
    var stops = card.querySelectorAll("[tabindex='0'], a[href], button");
    var edge = stops[event.shiftKey ? 0 : stops.length - 1];
    if (root.activeElement !== edge && !(event.shiftKey && root.activeElement === card)) return;
    event.preventDefault();
    stops[event.shiftKey ? stops.length - 1 : 0].focus();
  }

  function follow(host) {
    // The host element stands beside the body, so what is set on the body is carried over.
    var style = getComputedStyle(document.body);
    ["--engage-color", "--engage-on-color", "--engage-radius", "--engage-font"].forEach(function (name) {
      var value = style.getPropertyValue(name);
      if (value) host.style.setProperty(name, value);
    });
    host.style.fontFamily = style.fontFamily;
    if (style.colorScheme) host.style.colorScheme = style.colorScheme;
  }

  function readable(host, card, banner) {
    // Black or white on the host's colour, unless the host says what.
    var style = getComputedStyle(host);
    if (!style.getPropertyValue("--engage-color") || style.getPropertyValue("--engage-on-color")) return;
    var sample = banner ? card : card.querySelector(".button");
    var paint = sample && document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    if (!paint) return;
    paint.fillStyle = getComputedStyle(sample).backgroundColor;
    paint.fillRect(0, 0, 1, 1);
    var parts = paint.getImageData(0, 0, 1, 1).data;
    var light = [0.2126, 0.7152, 0.0722].reduce(function (sum, weight, i) {
      var c = parts[i] / 255;
      return sum + weight * (c <= 0.04045 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4));
    }, 0);
    host.style.setProperty("--engage-on-color", light > 0.179 ? "#000" : "#fff");
  }

  function watch(card, part, delivery) {
    var shown = false;
    var reading = 0;
    var enough = false;
    function half() {
      // Half of it, or, where it is too long for that, half of what has room.
      return Math.min(1, Math.min(innerHeight, card.clientHeight) / (part.offsetHeight || 1)) / 2;
    }
    function count() {
      clearTimeout(reading);
      if (!enough || document.hidden) return;
      reading = setTimeout(function () {
        stop();
        tell(delivery, "opened");
      }, READ);
    }
    var eye = new IntersectionObserver(function (entries) {
      var entry = entries[entries.length - 1];
      if (entry.isIntersecting && !shown) {
        shown = true;
        tell(delivery, "shown");
      }
      var was = enough;
      enough = entry.intersectionRatio >= half();
      if (enough !== was) count();
    }, { threshold: [0, 0.1, 0.2, 0.3, 0.4, 0.5, half()] });
    function stop() {
      clearTimeout(reading);
      eye.disconnect();
      document.removeEventListener("visibilitychange", count);
    }
    document.addEventListener("visibilitychange", count);
    eye.observe(part);
    return stop;
  }

  var CSS = [
    ":host{display:contents!important}",
    ".frame{all:initial;color-scheme:inherit;font-family:var(--engage-font,inherit);font-size:max(16px,1rem);",
    "--surface:#fff;--text:#1d1a18;--soft:#4a4542;--line:#0000;--quiet:#efedeb;--ink:#24201e;--on-ink:#fff;--veil:#14110f73;",
    "--color:var(--engage-color,var(--ink));--on:var(--engage-on-color,var(--on-ink));--radius:var(--engage-radius,12px)}",
    "@supports (color:light-dark(#000,#fff)){.frame{--surface:light-dark(#fff,#2a2624);--text:light-dark(#1d1a18,#f5f2f0);",
    "--soft:light-dark(#4a4542,#cfc9c5);--line:light-dark(#0000,#5b5551);--quiet:light-dark(#efedeb,#423d3a);",
    "--ink:light-dark(#24201e,#f0edeb);--on-ink:light-dark(#fff,#1d1a18);--veil:light-dark(#14110f73,#000000a6)}}",
    "*,::before,::after{box-sizing:border-box}",
    ".card{position:relative;margin:0;padding:0;border:0;color:var(--soft);background:var(--surface);",
    "font-size:.9375em;line-height:1.5;text-align:start;overflow-wrap:anywhere}",
    ".popup,.note{display:flex;flex-direction:column;border:1px solid var(--line);border-radius:var(--radius);overflow:hidden;",
    "box-shadow:0 1px 2px #0000001f,0 16px 48px -8px #00000052}",
    ".popup{position:fixed;inset:0;margin:auto;inline-size:min(24em,100vw - 32px);block-size:fit-content;",
    "max-inline-size:none;max-block-size:calc(100dvh - 32px)}.popup>.scroll{padding:24px}",
    ".scroll{display:grid;gap:12px;min-block-size:0;overflow:auto;overscroll-behavior:contain}.banner>.scroll{display:contents}",
    ".popup::backdrop{background:var(--veil)}",
    ".dock{position:fixed;z-index:2147483000;inset-block-end:max(16px,env(safe-area-inset-bottom));inset-inline-end:16px}",
    ".note{inline-size:min(22em,100vw - 32px);max-block-size:min(60dvh,32em)}.note>.scroll{padding:16px}",
    ".live{position:absolute;inline-size:1px;block-size:1px;overflow:hidden;clip-path:inset(50%)}",
    ".banner{z-index:2147483000;display:flex;flex-wrap:wrap;align-items:center;gap:0 12px;min-block-size:52px;",
    "padding-block:8px;padding-inline:16px 56px;color:var(--on);background:var(--color)}",
    ".title{margin:0;color:var(--text);font-size:1.1em;font-weight:650;line-height:1.35;padding-inline-end:32px}",
    ".banner .title{color:inherit;font-size:1em;padding:0}",
    ".body>*{unicode-bidi:plaintext;margin-block:0 .6em}.body>:last-child{margin-block-end:0}",
    ":is(.note,.popup) .body:first-child{padding-inline-end:32px}",
    ".body :is(h1,h2,h3,h4,h5,h6){color:var(--text);font-size:1em;line-height:1.4}.body :is(b,strong){color:var(--text);font-weight:650}",
    ".body a{color:var(--text);text-underline-offset:.2em}.banner .body :is(a,b,strong){color:inherit}.banner a{font-weight:650}",
    ".body img{max-inline-size:100%;block-size:auto}.body :is(ul,ol){padding-inline-start:1.4em}",
    ".body :is(pre,code){font-family:ui-monospace,monospace;font-size:.92em;white-space:pre-wrap}",
    ".body blockquote{margin-inline:0;padding-inline-start:12px;border-inline-start:3px solid var(--quiet)}",
    ".body hr{border:0;border-block-start:1px solid var(--quiet)}.body table{display:block;overflow:auto}",
    ".actions{display:flex;flex-wrap:wrap;gap:8px;margin-block-start:4px}.banner .actions{margin:-8px -4px}",
    ".button{display:inline-flex;align-items:center;justify-content:center;min-block-size:44px;min-inline-size:44px;padding:8px 16px;",
    "border:1px solid #0000;border-radius:max(0px,var(--radius) - 4px);color:var(--on);background:var(--color);",
    "font:inherit;font-weight:650;line-height:1.25;text-align:center;text-decoration:none;cursor:pointer}",
    ".quiet{color:var(--text);background:var(--quiet)}.button:hover{filter:brightness(.94)}",
    ".banner .button{padding-inline:4px;color:inherit;background:none;text-decoration:underline;text-underline-offset:.2em}",
    ".close{position:absolute;inset-block-start:4px;inset-inline-end:4px;inline-size:44px;block-size:44px;padding:0;border:0;",
    "border-radius:var(--radius);color:inherit;background:inherit;cursor:pointer}",
    ".close::before,.close::after{content:'';position:absolute;inset:0;margin:auto;inline-size:15px;block-size:0;",
    "border-block-start:1.5px solid;transform:rotate(45deg)}.close::after{transform:rotate(-45deg)}",
    ".close:hover{box-shadow:inset 0 0 0 44px color-mix(in srgb,currentColor 10%,transparent)}",
    ":focus-visible{outline:2px solid var(--text);outline-offset:2px}.close:focus-visible,.scroll:focus-visible{outline-offset:-4px}.banner :focus-visible{outline-color:currentColor;outline-offset:-4px}",
    "dialog:focus{outline:none}",
    "@media (prefers-reduced-motion:no-preference){.popup,.note{animation:in .16s ease-out}.popup::backdrop{animation:veil .16s}",
    "@keyframes in{from{opacity:0;translate:0 8px}}@keyframes veil{from{opacity:0}}}",
    "@media print{.frame{display:none}}"
  ].join("");

  /* ---- from here on it runs ---- */

  document.addEventListener("keydown", function () { lastKey = Date.now(); }, { capture: true, passive: true });
  document.addEventListener("visibilitychange", back);
  addEventListener("focus", back);
  addEventListener("pageshow", function (event) {
    if (!event.persisted) return;
    if (!framed) view(); // shown again, without a request
    if (current && answered(current.delivery)) close(); // on a page in between
    back();
  });

  ["click", "auxclick", "submit"].forEach(function (type) {
    document.addEventListener(type, marked, true);
  });
  document.addEventListener("visibilitychange", function () {
    if (document.hidden) (telling ? leave : flush)(); // perhaps for good
  });
  addEventListener("pagehide", leave);
  addEventListener("online", function () { if (pausing) resume(); });
  if (window.PerformanceObserver) new PerformanceObserver(remember).observe({ type: "resource" });
  watchHistory();

  window.Engage = Object.freeze({
    /** Tell that somebody did something; properties are texts, numbers, true, false or null. */
    track: track,
    /** Tell that a page is shown that the server was not asked for; with a name, also track it. */
    page: page,
    /** Ask for the next message now, and who is logged in. */
    check: ask,
    /** Take the message off the screen; it was neither clicked nor dismissed. */
    close: close
  });

  if (document.prerendering) {
    document.addEventListener("prerenderingchange", function () {
      ask();
      view(); // the server doesn't count what is only prepared
    }, { once: true });
  } else {
    viewedAt = performance.now();
    ask();
  }
  if (early) early.q.forEach(function (call) { window.Engage[call[0]].apply(null, call[1]); });
})();
